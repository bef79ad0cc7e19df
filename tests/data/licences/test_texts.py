import random
from dataclasses import replace

import numpy as np
import pytest

from starloom.data.licences import texts
from starloom.data.licences.texts import FEWEST, spdx_texts, texts_in
from starloom.data.licences.words import passages, words_of

PLAIN = (
    "MIT",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSD-4-Clause",
    "ISC",
    "Apache-2.0",
    "MPL-2.0",
    "EPL-2.0",
    "Zlib",
    "BSL-1.0",
    "0BSD",
    "JSON",
)


def found(text: str) -> list[str]:
    return [item.identifier for item in texts_in(words_of(text))[0]]


@pytest.mark.parametrize("identifier", PLAIN)
def test_a_text_is_itself_also_in_a_comment(identifier: str) -> None:
    text = spdx_texts()[identifier]
    assert found(text) == [identifier]
    comment = "".join(f" * {line}\n" for line in text.replace("\n\n", "\n").splitlines())
    assert found("/*\n" + comment + " */\nint main(void) { return 0; }\n") == [identifier]


def test_gnu_texts_are_the_version_alone() -> None:
    assert found(spdx_texts()["GPL-3.0-or-later"]) == ["GPL-3.0-only"]


def test_several_texts_in_one_file() -> None:
    both = spdx_texts()["MIT"] + "\n-----\n" + spdx_texts()["Apache-2.0"] + "\n-----\n" + spdx_texts()["BSD-3-Clause"]
    assert sorted(found(both)) == ["Apache-2.0", "BSD-3-Clause", "MIT"]


def test_what_is_left_is_what_no_text_accounts_for() -> None:
    texts, left = texts_in(words_of("preface words " + spdx_texts()["MIT"] + " except on sundays"))
    assert [item.identifier for item in texts] == ["MIT"]
    assert left[:2] == ["preface", "words"]
    assert left[-3:] == ["except", "on", "sundays"]


def test_half_a_text_and_prose_are_no_licence() -> None:
    words = words_of(spdx_texts()["BSD-3-Clause"])
    assert texts_in(words[: len(words) // 2])[0] == []
    assert found("a program to read and write files in the current directory and below it, with options") == []
    assert found("") == []


def test_containment_is_what_counting_by_hand_gives() -> None:
    """The twin of the index: sets of runs of three words, for a text with every tenth word taken out."""
    words = words_of(spdx_texts()["Apache-2.0"])
    kept = [word for place, word in enumerate(words) if place % 100]
    runs = set(zip(words, words[1:], words[2:], strict=False))
    shared = runs & set(zip(kept, kept[1:], kept[2:], strict=False))
    (text,) = texts_in(kept)[0]
    assert text.identifier == "Apache-2.0"
    assert text.score == round(len(shared) / len(runs), 3)


def test_every_text_of_spdx_is_recognised() -> None:
    """But for the ones that are too short to be told from prose; equal texts count as one."""
    words = {name: words_of(text) for name, text in spdx_texts().items()}
    lost = []
    for name, text in words.items():
        runs = len(set(zip(text, text[1:], text[2:], strict=False)))
        first = next(iter(texts_in(text)[0]), None)
        is_it = first is not None and (words[first.identifier] == text or first.identifier == name.replace("+", "-only"))
        if runs >= FEWEST and not is_it:
            lost.append(name)
    assert lost == []


def test_passages_are_around_the_telling_words() -> None:
    text = "x = 1\n" * 1000 + "# Licensed\n" + "y = 2\n" * 1000 + "# copyright\n"
    first, second = passages(text.lower())
    assert "licensed" in first
    assert "copyright" in second
    assert len(first) + len(second) < 2500
    assert passages("nothing to see here\n" * 100) == []


HEADERS = [
    ("/*\n * Copyright 2020 A\n * Licensed\n * anyhow\n */\n", "int main(void) { return 0; }\n"),
    ("/* Copyright A */\n/* Licensed */\n/* anyhow */\n", "int x;\n/* and\n more */\n"),
    ("# Copyright A\n# Licensed\n\n# anyhow\n", "import os\n# more\n"),
    ("-- one\n-- Licensed anyhow\n", "\nmain = pure ()\n"),
]


@pytest.mark.parametrize(("header", "code"), HEADERS)
def test_a_passage_ends_with_its_comment(header: str, code: str) -> None:
    assert [passage.rstrip() for passage in passages((header + code).lower())] == [header.lower().rstrip()]
    (whole,) = passages((header + code + "# licence").lower())
    assert code.lower() in whole


@pytest.mark.parametrize(
    "said", ["This may not\n * be copied.", "released to the public\n * domain", "for research purposes only"]
)
def test_a_passage_goes_on_where_another_comment_refuses_or_tells(said: str) -> None:
    text = f"/* copyright a */\nint x;\n/*\n * {said}\n */\n".lower()
    assert passages(text) == [text]


@pytest.mark.parametrize("text", ["# licence\n\nMIT\n", 'LICENSE = "MIT"\nx = 1\n', "Licensed\n\n* MIT\n", "licence /* */ x"])
def test_a_passage_that_is_no_comment_goes_on(text: str) -> None:
    assert passages(text.lower()) == [text.lower()]


def test_no_text_is_lost_by_looking_for_its_rarest_runs_first(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(0)
    damaged = []
    for name, text in rng.sample(sorted(spdx_texts().items()), 80):
        share = rng.choice([0.01, 0.03, 0.05, 0.06])
        damaged.append((name, [word if rng.random() > share else "changed" for word in words_of(text)]))
    found = [texts_in(words) for _, words in damaged]
    index = texts._index()
    unhurried = replace(index, fewest_K=np.zeros_like(index.fewest_K))
    monkeypatch.setattr(texts, "_index", lambda: unhurried)
    assert found == [texts_in(words) for _, words in damaged]
    assert 20 < sum(bool(each) for each, _ in found) < 80


def test_words_drop_markup_and_encoded_data() -> None:
    assert words_of("<b>The Licence</b> dnl A-b \\n2.0 " + "f" * 50) == ["the", "license", "a", "b", "2", "0"]
    assert np.all([len(word) <= 40 for word in words_of("a" * 1000 + " b")])
