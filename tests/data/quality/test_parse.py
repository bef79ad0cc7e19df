from collections.abc import Iterator

import pytest
from tree_sitter_language_pack import get_parser

from starloom.data import linguist
from starloom.data.quality import parse, parse_worker
from starloom.data.quality.parse import ParseChecker, grammars


@pytest.fixture(scope="module")
def checker() -> Iterator[ParseChecker]:
    with ParseChecker() as checker:
        yield checker


@pytest.mark.parametrize(
    ("text", "language", "share"),
    [
        ("def f(x):\n    return x\n", "Python", 0),
        ("", "Python", 0),
        ("é = 'ü'\n", "Python", 0),
        ("))))", "C", 1),
        ("int f(void) { return 1 }\n", "C", 1 / 25),
        ("x", "no such language", None),
        ("a" * (512 * 1024) + "\n", "Python", None),
        ("x = 1\n" * 80_000, "Python", 0),
    ],
)
def test_the_share_of_errors(checker: ParseChecker, text: str, language: str, share: float | None) -> None:
    assert checker.error_share(text, language) == (share if share is None else pytest.approx(share))


def test_half_a_broken_file_is_about_half_wrong(checker: ParseChecker) -> None:
    good = "int one(void) { return 1; }\n" * 10
    share = checker.error_share(good + "?? ) ( } ] $$ " * 20, "C")
    assert share is not None
    assert 0.3 < share < 0.7


def test_a_text_that_a_grammar_does_not_survive_has_no_share_and_the_next_one_has() -> None:
    with ParseChecker(max_seconds=0.3) as checker:
        assert checker.error_share("(" * 100_000, "Bicep") is None
        assert checker.error_share("x = 1\n", "Python") == 0


def test_steps_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_worker.error_share(b"x = 1\n" * 1000, "python") == 0
    monkeypatch.setattr(parse_worker, "MAX_STEPS", 10)
    assert parse_worker.error_share(b"x = 1\n" * 1000, "python") is None


def test_every_grammar_is_there_and_every_language_is_linguists() -> None:
    assert len(grammars()) > 120
    for language, grammar in grammars().items():
        assert linguist.canonical(language) == language
        assert get_parser(grammar) is not None


def test_an_unused_checker_starts_nothing() -> None:
    with ParseChecker() as checker:
        assert checker.error_share("x", "no such language") is None
        assert checker._worker is None


def test_the_size_limit_is_exact(monkeypatch: pytest.MonkeyPatch, checker: ParseChecker) -> None:
    monkeypatch.setattr(parse, "MAX_PARSE_BYTES", 6)
    assert checker.error_share("x = 1\n", "Python") == 0
    assert checker.error_share("x = 12\n", "Python") is None
