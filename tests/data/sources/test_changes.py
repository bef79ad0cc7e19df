import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starloom.data.sources.changes import base_problem, compare, render_base, render_hunks, without_data
from starloom.data.sources.rendering import Rendering, split

_lines = st.lists(st.sampled_from(["a", "b", "c", "@@ -1 +1 @@", "-x", "", " ", "\x0c@@ -9 +9 @@", "é\r"]), max_size=60)


def apply(hunks: list[str], before: list[str]) -> list[str]:
    """Patch, as any tool would read it: the truth that hunks are held to."""
    after, place = [], 0
    for hunk in hunks:
        header, *lines = hunk.split("\n")
        start, length, new_start, new_length = map(int, re.findall(r"\d+", header))
        after += before[place : start - 1]
        old = [line[1:] for line in lines if line[0] in " -"]
        new = [line[1:] for line in lines if line[0] in " +"]
        assert (len(old), len(new)) == (length, new_length)
        assert old == before[start - 1 : start - 1 + length]
        assert new_start == len(after) + 1
        after += new
        place = start - 1 + length
    return after + before[place:]


@settings(max_examples=60, deadline=None)
@given(before=_lines, after=_lines, seed=st.integers(0, 3))
def test_hunks_turn_what_is_shown_into_what_follows(
    tmp_path_factory: pytest.TempPathFactory, before: list[str], after: list[str], seed: int
) -> None:
    texts = ["\n".join(lines) + "\n" if lines else "" for lines in (before, after)]
    change = compare("a.py", texts[0], texts[1], tmp_path_factory.mktemp("diff"))
    if before == after:
        assert change.edits == ()
        return
    document, draw = Rendering(), random.Random(seed)
    skipped = render_base(document, [change], draw)
    render_hunks(document, change, skipped["a.py"], draw)
    parts = split(document.to_bytes().decode())
    shown = parts[parts.index("<pr_base_code>") + 1]
    hunks = [text for mark, text in zip(parts[1::2], parts[2::2], strict=True) if mark == "<pr_diff_hunk>"]
    start = skipped["a.py"]
    hidden_after = len(before) - start - (len(shown.split("\n")) if shown or start < len(before) else 0)
    rest = before[start:]
    assert apply(hunks, rest) == after[start:]
    assert shown == "\n".join(rest[: len(rest) - hidden_after])


def test_base_files_that_may_not_be_shown() -> None:
    assert base_problem("a.py", "def f(x):\n    return x\n") is None
    assert base_problem("a.py", "x" * 1001) == "long lines"
    assert base_problem("a.py", "x" * 101 + "\n") == "long lines"
    assert base_problem("a.json", '"' + "x" * 1001 + '"') is None
    assert base_problem("a.py", "a\n" * 100_001) == "too long"
    assert base_problem("a.py", "a" * 1_000_001) == "too long"
    assert base_problem("a.py", "+-*/" * 10 + "a") == "few letters"
    assert base_problem("a.py", "") == "few letters"
    assert base_problem("a.csv", "a,b\nc,d\n") == "unwanted language"
    assert base_problem("changes.DIFF", "a b c\n") == "unwanted language"
    assert base_problem("a.py", r"\xab\xcd\xef" * 3) == "hexadecimal data"
    assert base_problem("a.md", "This is the text of a page for you and it is not long.") is None
    assert base_problem("a.md", "Dies ist ein Text ohne ein einziges Wort jener Sprache.") == "not English"


def test_of_data_files_one_in_ten_stays() -> None:
    paths = {"a.py": 10, "package-lock.json": 1, "small.yaml": 1}
    kept = [without_data(paths, random.Random(seed)) for seed in range(1000)]
    assert all({"a.py", "small.yaml"} <= paths for paths in kept)
    assert 70 <= sum("package-lock.json" in paths for paths in kept) <= 130
    assert (
        70 <= sum(bool(without_data({"big.json": 9, "a.py": 1}, random.Random(seed)) - {"a.py"}) for seed in range(1000)) <= 130
    )
