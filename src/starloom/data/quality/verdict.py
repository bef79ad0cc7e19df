"""The quality rules in their order: the first that a text breaks is its reason to be dropped."""

from __future__ import annotations

from starloom.data.quality import rules
from starloom.data.quality.rules import Drop
from starloom.data.quality.signals import Signals, measure


def verdict(
    text: str, path: str, language: str, *, flagged_generated: bool | None = None, signals: Signals | None = None
) -> Drop | None:
    """Why to drop a text of this language at this path, or None to keep it.

    `flagged_generated` is go-enry's flag (`linguist.is_generated`), `signals` those of the text when they are known already.
    Pure, and linear in the length of the text.
    """
    known = measure(text) if signals is None else signals
    return (
        rules.empty(text)
        or rules.nearly_empty(text)
        or rules.many_lines(known)
        or rules.long_lines(known, language)
        or rules.generated(text, flagged_generated)
        or rules.minified(text, path, language)
        or rules.few_letters(known, language)
        or rules.encoded_data(text)
        or rules.long_data(known, language)
        or rules.other_text(path, language)
        or rules.little_visible_text(text, language)
    )
