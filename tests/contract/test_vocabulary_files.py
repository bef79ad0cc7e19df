"""Vocabularies on disk: written and read by `transformers` and `gguf`, damaged, foreign, or out of reach."""

import contextlib
import errno
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import pytest
import transformers

from starloom.contract import Contract, Tokenizer
from starloom.contract.vocabulary import Vocabulary
from starloom.core.errors import FormatError, InputError, MismatchError

TEXT = "def f():\r\n    return 1234, 'größer <fim_middle>', '€'\n\n\t x  \U000522f4"


def write_gguf(path: Path, tokenizer: Tokenizer, *, pre: str = "starcoder", contract: object = None) -> Path:
    writer = gguf.GGUFWriter(path, "starcoder2")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(list(tokenizer.tokens))
    writer.add_token_types([3 if tokenizer.is_special(place) else 1 for place in range(tokenizer.vocab_size)])
    writer.add_token_merges(tokenizer.merges)
    if contract is not None:
        writer.add_key_value("starloom.contract", contract, gguf.GGUFValueType.STRING if isinstance(contract, str) else 4)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("with_config", [False, True])
def test_transformers_gives_the_same_ids(tokenizer: Tokenizer, smallest: Tokenizer, with_config: bool, tmp_path: Path) -> None:
    for place, ours in enumerate((tokenizer, smallest)):
        directory = tmp_path / str(place)
        ours.save(directory)
        if with_config:
            (directory / "config.json").write_text('{"model_type": "starcoder2"}')
        theirs = transformers.AutoTokenizer.from_pretrained(directory)
        assert theirs(TEXT)["input_ids"] == ours.encode_with_special(TEXT)
        plain = TEXT.replace("<fim_middle>", "<fim middle>")
        assert theirs(plain)["input_ids"] == ours.encode(plain)
        assert theirs.decode(ours.encode(TEXT)) == TEXT
        assert (len(theirs), theirs.bos_token_id, theirs.eos_token_id) == (ours.vocab_size, 0, 0)


def test_what_transformers_writes_is_read(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "ours")
    transformers.AutoTokenizer.from_pretrained(tmp_path / "ours").save_pretrained(tmp_path / "theirs")
    assert Tokenizer.open(tmp_path / "theirs").fingerprint == tokenizer.fingerprint


def test_the_fingerprint_is_that_of_the_content(tokenizer: Tokenizer, smallest: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    path = tmp_path / "tokenizer.json"
    content = json.loads(path.read_text())
    content["model"]["merges"] = [" ".join(merge) for merge in content["model"]["merges"]]
    content["added_tokens"].reverse()
    path.write_text(json.dumps(content, sort_keys=True, indent=7))
    assert Tokenizer.open(path).fingerprint == tokenizer.fingerprint
    assert Tokenizer.open(write_gguf(tmp_path / "v.gguf", tokenizer)).fingerprint == tokenizer.fingerprint
    whole = tokenizer.vocabulary
    others = [
        smallest.vocabulary,
        Vocabulary(whole.tokens, whole.merges[:-1], whole.special),
        Vocabulary(whole.tokens, whole.merges[::-1], whole.special),
        Vocabulary((*whole.tokens, "<more>"), whole.merges, whole.special | {len(whole.tokens)}),
    ]
    assert len({tokenizer.fingerprint, *(other.fingerprint for other in others)}) == 5


def test_saving_to_a_full_disk_keeps_the_earlier_file(
    tokenizer: Tokenizer, smallest: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    tokenizer.save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fail)
        with pytest.raises(OSError, match="No space left"):
            smallest.save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_tokenizer_without_merges_in_gguf(smallest: Tokenizer, tmp_path: Path) -> None:
    assert Tokenizer.open(write_gguf(tmp_path / "v.gguf", smallest)).fingerprint == smallest.fingerprint


def test_the_contract_inside_a_gguf(tokenizer: Tokenizer, smallest: Tokenizer, tmp_path: Path) -> None:
    text = Contract(tokenizer, "psm").to_json()
    assert Contract.of(write_gguf(tmp_path / "a.gguf", tokenizer, contract=text)).order == "psm"
    assert Contract.of(write_gguf(tmp_path / "b.gguf", tokenizer)).order == "spm"
    with pytest.raises(MismatchError, match=r"c\.gguf"):
        Contract.of(write_gguf(tmp_path / "c.gguf", smallest, contract=text))
    with pytest.raises(FormatError, match=r"d\.gguf"):
        Contract.of(write_gguf(tmp_path / "d.gguf", tokenizer, contract="{"))
    with pytest.raises(FormatError, match=r"'starloom\.contract' is no text"):
        Contract.of(write_gguf(tmp_path / "e.gguf", tokenizer, contract=7))


def test_a_gguf_cut_anywhere_is_refused(smallest: Tokenizer, tmp_path: Path) -> None:
    data = write_gguf(tmp_path / "v.gguf", smallest).read_bytes()
    cut = tmp_path / "cut.gguf"
    for size in [*range(60), *random.Random(1).sample(range(60, len(data) - 64), 60)]:
        cut.write_bytes(data[:size])
        with pytest.raises(FormatError, match=r"cut\.gguf"):
            Tokenizer.open(cut)


def test_a_damaged_gguf_is_refused_or_harmless(smallest: Tokenizer, tmp_path: Path) -> None:
    data = write_gguf(tmp_path / "v.gguf", smallest).read_bytes()
    damaged = tmp_path / "damaged.gguf"
    draw = random.Random(2)
    for _ in range(300):
        copy = bytearray(data)
        for place in draw.choices(range(len(data)), k=3):
            copy[place] = draw.randrange(256)
        damaged.write_bytes(copy)
        with contextlib.suppress(FormatError):
            Tokenizer.open(damaged)


def test_a_gguf_of_another_tokenizer(tokenizer: Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"'tokenizer\.ggml\.pre' is 'llama-bpe'"):
        Tokenizer.open(write_gguf(tmp_path / "v.gguf", tokenizer, pre="llama-bpe"))


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"GGUF"])
def test_what_is_no_gguf(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "v.gguf"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"v\.gguf"):
        Tokenizer.open(path)


def change(*names: str | int, to: Any) -> Callable[[Any], None]:
    """A change to a tokenizer.json: put `to` at the place that `names` lead to."""

    def apply(content: Any) -> None:
        for name in names[:-1]:
            content = content[name]
        content[names[-1]] = to

    return apply


TEMPLATE = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}, {"Sequence": {"id": "A"}}]}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (change("model", "type", to="Unigram"), "its model is 'Unigram'"),
        (change("model", "byte_fallback", to=True), "'byte_fallback'"),
        (change("model", "ignore_merges", to=True), "'ignore_merges'"),
        (change("normalizer", to={"type": "NFC"}), "normaliser"),
        (change("pre_tokenizer", to={"type": "ByteLevel"}), "pre-tokeniser"),
        (change("pre_tokenizer", to=None), "pre-tokeniser"),
        (change("pre_tokenizer", "pretokenizers", 0, "individual_digits", to=False), "pre-tokeniser"),
        (change("pre_tokenizer", "pretokenizers", 1, "add_prefix_space", to=True), "pre-tokeniser"),
        (change("decoder", to={"type": "WordPiece"}), "its decoder is 'WordPiece'"),
        (change("post_processor", to=TEMPLATE), "may add tokens"),
        (change("added_tokens", 0, "special", to=False), "not special"),
        (change("added_tokens", 0, "id", to=1), "two ids"),
        (change("added_tokens", to=[{"id": 38, "content": "!", "special": True}]), "cannot be told from text"),
        (change("model", "merges", to=[["a", "b", "c"]]), "not a pair"),
        (change("model", "merges", to=["a"]), "not a pair"),
        (change("model", "merges", to=[["!", "<fim_middle>"]]), "no plain token"),
        (change("model", "merges", to=[["!", "~"]]), "needs '!~'"),
        (change("model", "vocab", "!", to=7), "ids of its"),
        (change("model", "vocab", "!", to="7"), "no tokenizer.json of a byte-level BPE"),
        (change("model", "vocab", "日", to=400), "no byte"),
        (change("model", "vocab", "", to=400), "empty token"),
        (change("model", "vocab", to={}), "ids of its 38 tokens|byte"),
        (change("model", to=None), "no tokenizer.json of a byte-level BPE"),
    ],
)
def test_a_spoilt_tokenizer_json_is_refused(
    tokenizer: Tokenizer, tmp_path: Path, spoil: Callable[[Any], None], message: str
) -> None:
    tokenizer.save(tmp_path)
    path = tmp_path / "tokenizer.json"
    content = json.loads(path.read_text())
    spoil(content)
    path.write_text(json.dumps(content))
    with pytest.raises(FormatError, match=message) as caught:
        Tokenizer.open(tmp_path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"{}", b"\x00\xff", b"[" * 100_000, b'{"model": 3}', b'{"model": {"vocab": 1}}']
)
def test_what_is_no_tokenizer_json(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"tokenizer\.json"):
        Tokenizer.open(path)


def test_a_truncated_tokenizer_json(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    path = tmp_path / "tokenizer.json"
    data = path.read_bytes()
    for size in range(0, len(data) - 1, len(data) // 20):
        path.write_bytes(data[:size])
        with pytest.raises(FormatError, match="damaged, truncated or not JSON"):
            Tokenizer.open(path)


def test_a_file_that_is_far_too_large(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    with path.open("wb") as stream:
        stream.truncate(2**40)
    with pytest.raises(FormatError, match="has at most"):
        Tokenizer.open(path)


def test_nothing_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent", tmp_path / "absent.gguf"):
        with pytest.raises(InputError, match="there is no tokenizer at"):
            Tokenizer.open(path)


def test_special_tokens_behind_the_vocabulary(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """As `transformers` writes tokens that were added to a finished vocabulary."""
    tokenizer.save(tmp_path)
    path = tmp_path / "tokenizer.json"
    content = json.loads(path.read_text())
    content["added_tokens"].append({**content["added_tokens"][0], "id": 400, "content": "<more>"})
    path.write_text(json.dumps(content))
    more = Tokenizer.open(path)
    assert more.vocab_size == 401
    assert more.special_ids["<more>"] == 400
    assert not any(map(more.is_special, more.encode("<more>")))
    assert more.encode_with_special("a<more>") == [*more.encode("a"), 400]
