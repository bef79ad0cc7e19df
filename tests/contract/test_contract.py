import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starloom.contract import Contract, SourceFile, Tokenizer
from starloom.contract.layouts import Order
from starloom.core.errors import FormatError, InputError, MismatchError, SettingsError

END, FP, FM, FS, REPO, SEP = 0, 1, 2, 3, 5, 6
ORDERS = pytest.mark.parametrize("order", ["psm", "spm"])
PARTS = st.text(max_size=20) | st.sampled_from(["", "\n    ", "\r\n", "<fim_middle>", "<|endoftext|>", "<file_sep>x", "12"])


@pytest.fixture(scope="session")
def contract(tokenizer: Tokenizer) -> Contract:
    return Contract(tokenizer)


def test_fill_in_layouts(contract: Contract) -> None:
    encode = contract.tokenizer.encode
    prefix, middle, suffix = encode("def f():\n"), encode("    return"), encode(" 1\n")
    parts = ("def f():\n", "    return", " 1\n")
    assert contract.fill_in_ids(*parts, order="psm") == [FP, *prefix, FS, *suffix, FM, *middle]
    assert contract.fill_in_ids(*parts, order="spm") == [FP, FS, *suffix, FM, *prefix, *middle]
    assert contract.fill_in_ids(*parts) == contract.fill_in_ids(*parts, order="spm")
    assert contract.fill_in_ids("", "", "", order="psm") == [FP, FS, FM]


def test_repository_layouts(contract: Contract) -> None:
    encode = contract.tokenizer.encode
    files = [SourceFile("a/b.py", "x = 1\r\n"), SourceFile("c.py", b"\xff\n"), SourceFile("empty.py", "")]
    assert contract.repository_ids(files, repository="me/it") == [
        REPO, *encode("me/it"),
        SEP, *encode("a/b.py\nx = 1\r\n"),
        SEP, *encode(b"c.py\n\xff\n"),
        SEP, *encode("empty.py\n"),
        END,
    ]  # fmt: skip
    assert contract.repository_ids(files, repository=None) == [SEP, *encode("x = 1\r\n"), SEP, *encode(b"\xff\n"), SEP, END]


def test_prompts_of_a_single_file(contract: Contract) -> None:
    encode = contract.tokenizer.encode
    assert contract.fill_in_prompt("a", "b", order="psm").ids == [FP, *encode("a"), FS, *encode("b"), FM]
    assert contract.fill_in_prompt("a", "b").ids == [FP, FS, *encode("b"), FM, *encode("a")]
    assert contract.fill_in_prompt("a", "b", path="p.py").ids == [SEP, FP, FS, *encode("b"), FM, *encode("p.py\na")]
    assert contract.continue_prompt("a").ids == encode("a")
    assert contract.continue_prompt("a", path="p.py").ids == [SEP, *encode("p.py\na")]


def test_prompts_in_a_repository(contract: Contract) -> None:
    encode = contract.tokenizer.encode
    files = [SourceFile("a.py", "x"), SourceFile("b.py", "y")]
    named = [REPO, *encode("me/it"), SEP, *encode("a.py\nx"), SEP, *encode("b.py\ny"), SEP]
    start = contract.fill_in_prompt("p", "s", order="psm", path="c.py", repository="me/it", files=files)
    assert start.ids == [*named, FP, *encode("c.py\np"), FS, *encode("s"), FM]
    assert contract.continue_prompt("p", path="c.py", repository="me/it", files=files).ids == [*named, *encode("c.py\np")]
    assert contract.continue_prompt("p", path="c.py", files=files).ids == [*named[named.index(SEP) :], *encode("c.py\np")]
    assert contract.continue_prompt("p", files=files).ids == [SEP, *encode("x"), SEP, *encode("y"), SEP, *encode("p")]


@ORDERS
@given(prefix=PARTS, middle=PARTS, suffix=PARTS)
def test_a_prompt_and_its_middle_are_the_training_fragment(
    contract: Contract, order: Order, prefix: str, middle: str, suffix: str
) -> None:
    prompt = contract.fill_in_prompt(prefix, suffix, order=order)
    trained = contract.fill_in_ids(prefix, middle, suffix, order=order)
    assert prompt.ids + contract.tokenizer.encode(middle) == trained
    assert prompt.held_back == b""
    assert [token for token in trained if contract.is_special(token)] == ([FP, FS, FM])
    with_path = contract.fill_in_prompt(prefix, suffix, order=order, path="src/a.py")
    assert with_path.ids == [SEP, *contract.fill_in_ids("src/a.py\n" + prefix, "", suffix, order=order)]


@given(prefix=PARTS, rest=PARTS)
def test_a_left_to_right_prompt_ends_where_training_goes_on(contract: Contract, prefix: str, rest: str) -> None:
    prompt = contract.continue_prompt(prefix, path="a.py")
    text = ("a.py\n" + prefix).encode()
    assert contract.tokenizer.decode_bytes(prompt.ids) + prompt.held_back == text
    assert prompt.ids == [SEP, *contract.tokenizer.encode(text.rstrip())]
    assert prompt.ids[-1] == SEP or contract.tokenizer.token_bytes[prompt.ids[-1]][-1:] not in b" \t\r\n"


@pytest.mark.parametrize(
    ("prefix", "held_back"),
    [
        ("def f():\n", b"\n"),
        ("def f():\n    ", b"\n    "),
        ("def f():\r\n\t", b"\r\n\t"),
        ("def f():  \r\n\r\n  ", b"  \r\n\r\n  "),
        ("def f():", b""),
        ("return ", b" "),
        (b"\xff\n", b"\n"),
    ],
)
def test_white_space_at_the_end_is_held_back(contract: Contract, prefix: str | bytes, held_back: bytes) -> None:
    prompt = contract.continue_prompt(prefix)
    assert prompt.held_back == held_back
    whole = prefix.encode() if isinstance(prefix, str) else prefix
    assert contract.tokenizer.decode_bytes(prompt.ids) + held_back == whole


def test_an_empty_file_begins_with_its_separator(contract: Contract) -> None:
    for prefix, held_back in (("", b""), ("\n\n", b"\n\n")):
        prompt = contract.continue_prompt(prefix)
        assert (prompt.ids, prompt.held_back) == ([SEP], held_back)
    prompt = contract.continue_prompt("", path="a.py")
    assert (prompt.ids, prompt.held_back) == ([SEP, *contract.tokenizer.encode("a.py")], b"\n")


def test_stops_and_special_tokens(contract: Contract) -> None:
    assert contract.stops == (END, SEP)
    assert [contract.is_special(token) for token in (0, 37, 38)] == [True, True, False]
    assert contract.marks.fim_pad == 4


@pytest.mark.parametrize("name", ["a\nb", "a\r", "a\0", ""])
def test_a_name_of_two_lines_is_refused(contract: Contract, name: str) -> None:
    for ask in (contract.continue_prompt, lambda text, **options: contract.fill_in_prompt(text, "", **options)):
        with pytest.raises(InputError, match="the path is"):
            ask("x", path=name)
        with pytest.raises(InputError, match="the path is"):
            ask("x", path="fine", files=[SourceFile(name, "")])
        with pytest.raises(InputError, match="the repository name is"):
            ask("x", path="fine", repository=name)
    with pytest.raises(InputError, match="the repository name is"):
        contract.repository_ids([], repository=name)
    with pytest.raises(InputError, match="the path is"):
        contract.repository_ids([SourceFile(name, "")], repository="me/it")


def test_a_repository_without_a_path_is_refused(contract: Contract) -> None:
    with pytest.raises(InputError, match="must also give the path"):
        contract.continue_prompt("x", repository="me/it")


def test_an_unknown_order_is_refused(contract: Contract) -> None:
    with pytest.raises(SettingsError, match="order is 'pms'; it must be one of 'psm', 'spm'"):
        Contract(contract.tokenizer, "pms")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="order is 'x'"):
        contract.fill_in_prompt("", "", order="x")  # type: ignore[arg-type]


def test_prompts_replace_what_training_refuses(published: Tokenizer) -> None:
    contract = Contract(published)
    with pytest.raises(InputError, match="byte 0xFF"):
        contract.fill_in_ids(b"\xff", "", "")
    with pytest.raises(InputError, match="byte 0xF1"):
        contract.repository_ids([SourceFile("a.py", "\U00040000")], repository=None)
    assert published.decode(contract.fill_in_prompt(b"a\xff", "\ud800").ids) == "\ufffda\ufffd"
    assert published.decode(contract.continue_prompt("a\ud800b", files=[SourceFile("x", b"\xff")]).ids) == "\ufffda\ufffdb"


def test_the_first_version_of_the_file(contract: Contract, tmp_path: Path) -> None:
    contract.save(tmp_path)
    assert json.loads((tmp_path / "contract.json").read_text()) == {
        "format": "starloom-contract",
        "version": 1,
        "tokenizer": contract.tokenizer.fingerprint,
        "order": "spm",
        "tokens": {
            "<|endoftext|>": 0,
            "<fim_prefix>": 1,
            "<fim_middle>": 2,
            "<fim_suffix>": 3,
            "<fim_pad>": 4,
            "<repo_name>": 5,
            "<file_sep>": 6,
        },
        "stops": ["<|endoftext|>", "<file_sep>"],
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["contract.json", "tokenizer.json", "tokenizer_config.json"]


@ORDERS
def test_what_is_saved_is_opened(tokenizer: Tokenizer, order: Order, tmp_path: Path) -> None:
    Contract(tokenizer, order).save(tmp_path)
    for path in (tmp_path, tmp_path / "tokenizer.json"):
        again = Contract.of(path)
        assert again.order == order
        assert again.tokenizer.fingerprint == tokenizer.fingerprint


def test_a_model_without_a_contract_has_the_defaults(published_path: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    assert Contract.of(published_path).stops == (END, SEP)
    tokenizer.save(tmp_path)
    assert Contract.of(tmp_path).order == "spm"


def _remove(name: str) -> dict[str, object]:
    return {name: ...}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, 'does not say "format": "starloom-contract"'),
        ({"version": 2}, "version 2; this Starloom knows version 1"),
        ({"version": "1"}, "version '1'"),
        ({"version": True}, "version True"),
        (_remove("version"), "version None"),
        ({"colour": "red"}, "unknown field 'colour'; known are"),
        (_remove("stops"), "has no field 'stops'"),
        ({"order": "PSM"}, "order is 'PSM'"),
        ({"tokens": {"<file_sep>": "6"}}, "table of token and id"),
        ({"tokens": {"<file_sep>": 7}}, "not those of its tokenizer"),
        ({"stops": "<file_sep>"}, "list of tokens"),
        ({"stops": ["<file_sep>"]}, "not those of its tokenizer"),
    ],
)
def test_a_damaged_contract_is_refused(contract: Contract, tmp_path: Path, changes: dict[str, object], message: str) -> None:
    contract.save(tmp_path)
    content = json.loads((tmp_path / "contract.json").read_text()) | changes
    kept = {name: value for name, value in content.items() if value is not ...}
    (tmp_path / "contract.json").write_text(json.dumps(kept))
    with pytest.raises(FormatError, match=message) as caught:
        Contract.of(tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_a_contract_that_is_no_json_is_refused(contract: Contract, tmp_path: Path, data: bytes) -> None:
    contract.save(tmp_path)
    (tmp_path / "contract.json").write_bytes(data)
    with pytest.raises(FormatError, match="contract"):
        Contract.of(tmp_path)


def test_a_contract_for_another_tokenizer_is_a_mismatch(contract: Contract, smallest: Tokenizer, tmp_path: Path) -> None:
    contract.save(tmp_path)
    smallest.save(tmp_path)
    with pytest.raises(MismatchError) as caught:
        Contract.of(tmp_path)
    assert contract.tokenizer.fingerprint in str(caught.value)
    assert smallest.fingerprint in str(caught.value)


def test_a_tokenizer_without_the_tokens_has_no_contract(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    path = tmp_path / "tokenizer.json"
    path.write_text(path.read_text().replace("<fim_suffix>", "<other>"))
    with pytest.raises(FormatError, match="has no <fim_suffix>"):
        Contract.of(tmp_path)


def test_nothing_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent", tmp_path / "absent.gguf"):
        with pytest.raises(InputError, match="there is no tokenizer"):
            Contract.of(path)
