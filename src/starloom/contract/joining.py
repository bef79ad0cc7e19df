"""Where a completion meets the text behind the cursor: a model that begins to write that text again has done its work.

In the layout suffix - prefix - middle nothing marks the end of the prefix, and small models hardly ever end by themselves there.
Knows nothing of tokens.
"""

from __future__ import annotations

import re

_LOOK = 4096  # bytes; a longer line is no line of code
_WORD = re.compile(r"\w\w")


def stops_before(suffix: bytes) -> tuple[str, ...]:
    """The texts before which a completion ends that goes on with `suffix`.

    With text behind the cursor on its line a completion stays on that line, and stops where the line's rest begins again. With
    none it stops where the next line begins again, if that has a word (`}` is too often right).
    """
    text = suffix[:_LOOK].decode(errors="replace")
    rest, newline, below = text.partition("\n")
    if rest.strip():
        return (f"{rest}\n", "\n") if newline else ("\n",)
    line, newline, _ = below.lstrip("\r\n").partition("\n")
    return (f"\n{line}\n",) if newline and _WORD.search(line) else ()
