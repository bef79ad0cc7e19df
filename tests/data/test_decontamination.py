import gzip
import json
import re
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starloom.core.errors import FormatError, InputError
from starloom.data.decontamination import MIN_LENGTH, SHAPE_GRAM, SHAPE_SIGNS, Hit, Index, gram_hashes, shape_hashes, squeezed

BENCHMARKS = Path(__file__).parents[3] / "shared" / "data" / "benchmarks"

PROMPT = '''def mix(left, right):
    """Interleave two lists of colours by the weight of their second letters, longest names first.
    >>> mix(["red"], ["blue"])
    ["blue", "red"]
    """
'''
SOLUTION = """    weights = {name: ord(name[1]) for name in left + right}
    ranked = sorted(weights, key=lambda name: (-len(name), weights[name]))
    for place, name in enumerate(ranked):
        if place % 2 and name in left:
            ranked[place] = name.upper()
    return [name for name in ranked if name]
"""
TASKS = [
    {"task_id": "Toy/0", "prompt": PROMPT, "canonical_solution": SOLUTION, "test": "assert True"},
    {"task_id": "Toy/1", "prompt": "def add(x, y):\n", "canonical_solution": "    return x + y\n"},
    {"id": "trace_2", "code": SOLUTION.replace("weights", "masses").replace("ranked", "order"), "input": "1", "output": "2"},
]
FILLER = "".join(f"def function_{i}(value_{i}):\n    return value_{i} * {i}\n\n" for i in range(200))


def write(path: Path, tasks: list[dict[str, str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(task) + "\n" for task in tasks)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    return Index.of([write(tmp_path_factory.mktemp("benchmark") / "toy.jsonl.gz", TASKS)])


@pytest.mark.parametrize(
    ("text", "task", "test"),
    [
        (SOLUTION, "Toy/0", "solution"),
        (FILLER + SOLUTION + FILLER, "Toy/0", "solution"),
        ("é\n" + re.sub(r"\s+", "\t \n", SOLUTION.upper()), "Toy/0", "solution"),
        (SOLUTION.replace("weights", "masses").replace("ranked", "order"), "trace_2", "solution"),
        ("/* Interleave two lists of colours by the weight of their second letters,\n longest names first.\n"
         '>>> mix(["red"], ["blue"])\n["blue", "red"]*/', "Toy/0", "description"),
    ],
)  # fmt: skip
def test_copies_are_found_whatever_their_white_space_and_case(index: Index, text: str, task: str, test: str) -> None:
    hit = index.find(text)
    assert hit == Hit(task, "toy.jsonl.gz", test, 1.0)


def test_copies_with_marks_and_changes_overlap(index: Index) -> None:
    text = "".join(f" * {line};\n" for line in (PROMPT + SOLUTION).splitlines()).replace("enumerate", "numbered")
    hit = index.find(FILLER + text)
    assert hit is not None
    assert (hit.task, hit.test) == ("Toy/0", "overlap")
    assert 0.5 <= hit.share < 1


@pytest.mark.parametrize(
    "text", ["", "x", FILLER, "    return x + y\n", SOLUTION[:150], SOLUTION[-150:], " " * 10_000, "a" * 10_000]
)
def test_other_texts_and_trivial_solutions_are_not(index: Index, text: str) -> None:
    assert index.find(text) is None


@given(st.text(max_size=200), st.text(max_size=200))
def test_a_solution_is_found_in_any_surroundings(before: str, after: str) -> None:
    index = Index.of([WRITTEN])
    assert index.find(before + " " + SOLUTION + after) == Hit("Toy/0", WRITTEN.name, "solution", 1.0)


@pytest.fixture(scope="module", autouse=True)
def written(tmp_path_factory: pytest.TempPathFactory) -> None:
    global WRITTEN
    WRITTEN = write(tmp_path_factory.mktemp("written") / "toy.jsonl", TASKS)


WRITTEN = Path()


@pytest.mark.parametrize("length", [(1 << 20) - 200, (1 << 20) - 20, (1 << 20) + 3])
def test_a_solution_over_the_border_of_two_pieces_is_found(index: Index, length: int) -> None:
    text = "".join(chr(97 + i * i % 26) for i in range(length)) + " " + SOLUTION
    hit = index.find(text)
    assert hit is not None
    assert hit.task == "Toy/0"


@given(st.text(max_size=60), st.integers(0, 5))
def test_needles_are_found_exactly_where_plain_search_finds_them(text: str, repeats: int) -> None:
    text = text + SOLUTION[: len(SOLUTION) - repeats] + text
    hit = Index.of([WRITTEN]).find(text)
    contained = any(
        len(squeezed(needle)) >= MIN_LENGTH and squeezed(needle) in squeezed(text) for needle in (SOLUTION, TASKS[2]["code"])
    )
    assert (hit is not None and hit.test == "solution") == contained


def test_grams_are_those_of_the_words() -> None:
    words = [f"word{i}" for i in range(30)]
    plain = gram_hashes(" ".join(words))
    assert len(plain) == 21
    assert len(set(plain.tolist())) == 21
    assert gram_hashes("((" + ")-\n".join(words).upper() + "))").tolist() == plain.tolist()
    assert gram_hashes("zero " + " ".join(words)).tolist()[1:] == plain.tolist()
    assert gram_hashes("one two three").tolist() == []


def test_copies_with_every_name_changed_have_the_shape(index: Index) -> None:
    renamed = re.sub(r"\b[a-z]+\b", lambda match: f"other_{len(match[0])}_{match[0][::-1]}", PROMPT + SOLUTION)
    hit = index.find(FILLER + renamed + FILLER)
    assert hit is not None
    assert (hit.task, hit.test) == ("Toy/0", "shape")
    prose = re.sub(r"[^\w\s]", "", renamed)
    assert index.find(FILLER + prose + FILLER) is None


@given(st.text(max_size=300))
def test_the_shape_is_that_of_the_tokens(text: str) -> None:
    padded = text + "f(a, 1) = [b[2], {c: d}];" * 2
    tokens = [token if not token[0].isalnum() else token[0] if token[0] in "0123456789" else "w" for token in _tokens(padded)]
    runs = [tuple(tokens[place : place + SHAPE_GRAM]) for place in range(len(tokens) - SHAPE_GRAM + 1)]
    expected = {run for run in runs if sum(token != "w" for token in run) >= SHAPE_SIGNS}
    assert len(set(shape_hashes(padded).tolist())) == len(expected)


def _tokens(text: str) -> list[str]:
    ascii_text = "".join(each if ord(each) < 128 else "w" for each in text)
    return [token.replace("_", "w", 1) for token in re.findall(r"[A-Za-z0-9_]+|[^A-Za-z0-9_\s]", ascii_text)]


def test_boilerplate_of_many_tasks_is_no_overlap(tmp_path: Path) -> None:
    head = " ".join(f"import{i}" for i in range(40))
    tasks = [{"task_id": f"T/{i}", "prompt": f"{head} body{i}", "canonical_solution": ""} for i in range(6)]
    assert Index.of([write(tmp_path / "t.jsonl", tasks)]).find(head) is None
    assert Index.of([write(tmp_path / "t.jsonl", tasks[:3])]).find(head) is not None


def test_folders_and_wheels_are_read(tmp_path: Path) -> None:
    write(tmp_path / "folder" / "deep" / "a.jsonl.gz", TASKS[:1])
    write(tmp_path / "folder" / "notes.txt", TASKS)
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
        archive.write(write(tmp_path / "b.jsonl", TASKS[2:]), "data/b.jsonl")
    index = Index.of([tmp_path / "folder", tmp_path / "x.whl"])
    assert len(index) == 2
    assert index.find(SOLUTION) == Hit("Toy/0", "deep/a.jsonl.gz", "solution", 1.0)


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("a.jsonl", b'{"task_id": 1}\n{broken\n', FormatError, "line 2"),
        ("a.jsonl", b"[1]\n", FormatError, "line 1, is not an object"),
        ("a.jsonl.gz", b"no gzip", FormatError, "not a whole gzip file"),
        ("a.jsonl.gz", gzip.compress(b"{}\n" * 500)[:-12], FormatError, "not a whole gzip file"),
        ("a.txt", b"{}", InputError, "holds no benchmark"),
        ("a.whl", b"no zip", InputError, "cannot be read"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, name: str, content: bytes, error: type[Exception], message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message):
        Index.of([tmp_path / name])


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no benchmark"):
        Index.of([tmp_path / "absent.jsonl"])


def test_an_index_of_nothing_finds_nothing(tmp_path: Path) -> None:
    assert Index.of([write(tmp_path / "a.jsonl", [])]).find(FILLER) is None
    assert Index.of([write(tmp_path / "a.jsonl", [{"task_id": "x", "prompt": "p"}])]).find(FILLER) is None


@pytest.mark.skipif(not BENCHMARKS.is_dir(), reason="the benchmark files are not on this machine")
def test_real_tasks_are_found_in_copies_of_themselves() -> None:
    files = [
        BENCHMARKS / "mxeval" / "humaneval" / "HumanEval.jsonl.gz",
        BENCHMARKS / "mxeval" / "mbxp" / "mbpp_release_v1.jsonl.gz",
        BENCHMARKS / "cruxeval" / "cruxeval.jsonl.gz",
    ]
    index = Index.of(files)
    records = [json.loads(line) for file in files for line in gzip.decompress(file.read_bytes()).splitlines()]
    whole = [record.get("prompt", "") + (record.get("canonical_solution") or record.get("code") or "") for record in records]
    long = [text for text in whole if len(squeezed(text)) >= MIN_LENGTH]
    assert len(long) > 0.97 * len(whole)
    assert all(index.find(FILLER + text + FILLER) for text in long)
    assert index.find(FILLER) is None
