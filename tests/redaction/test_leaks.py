import os
import subprocess
import sys
import textwrap

import pytest

from starloom.core import errors
from starloom.core.errors import MissingExtraError, StarloomError
from starloom.redaction import Kind, find, redact
from starloom.redaction import leaks as module
from starloom.redaction.leaks import leaks

pytest.importorskip("betterleaks")

GITHUB = "ghp_" + "8Zk2Lq9XyW4vT7rP1sN6mB3cF5gH0jD2aE4u"


@pytest.mark.parametrize(
    "text",
    [
        f'é="😀"; x = "{GITHUB}"',
        f'x = "{GITHUB}"  # gitleaks:allow',
        f'x = "{GITHUB}"  # betterleaks:allow',
        f'a\0b\nx = "{GITHUB}"',
        f'a\r\nb\rc\u2028\x0b\nx = "{GITHUB}"',
        f'\ud800 x = "{GITHUB}"',
        "y = 1\n" * 30_000 + f'x = "{GITHUB}"',
        "y = 1;" * 30_000 + f'x = "{GITHUB}"',
    ],
)
def test_offsets_are_right_and_nothing_hides_a_secret(text: str) -> None:
    found = list(leaks(text))
    assert {(each.kind, each.value) for each in found} == {(Kind.KEY, GITHUB)}
    assert all(text[each.start : each.end] == GITHUB for each in found)


@pytest.mark.parametrize("offset", range(59_900, 60_100, 7))
def test_a_secret_on_the_border_of_two_blocks_is_found(offset: int) -> None:
    text = "z" * (offset - 5) + f' t = "{GITHUB}"' + "z" * 70_000
    assert {each.value for each in leaks(text)} == {GITHUB}


def test_every_copy_on_one_line_is_found() -> None:
    text = f'ü = "{GITHUB}"; v = "{GITHUB}"\nw = "{GITHUB}"'
    assert sorted(each.start for each in leaks(text)) == [5, 53, 100]
    assert redact(text).text == 'ü = "<KEY>"; v = "<KEY>"\nw = "<KEY>"'


def test_it_finds_formats_that_we_do_not_know() -> None:
    text = 'key = "' + "pul-" + '11e03f6123b1e6fe4471a00f49751eff139f8ba4"'
    assert find(text, betterleaks=False) == []
    assert [each.rule for each in find(text)] == ["betterleaks: pulumi-api-token"]


def test_without_the_library_one_has_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(errors.importlib, "import_module", absent)
    with pytest.raises(MissingExtraError, match="starloom\\[data\\]"):
        find("x")
    assert find(f'"{GITHUB}"', betterleaks=False)[0].value == GITHUB


def test_a_forked_child_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    find("x")
    monkeypatch.setattr(module, "_used_in", os.getpid() + 1)
    with pytest.raises(StarloomError, match="spawn"):
        find("x")


def test_processes_by_spawn_work() -> None:
    script = f"""
        import multiprocessing
        from starloom.redaction import redact

        if __name__ == "__main__":
            redact("x = 1")
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(pool.map(redact, ['x = "{GITHUB}"'])[0].text)
    """
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=120, check=True
    ).stdout
    assert out == 'x = "<KEY>"\n'
