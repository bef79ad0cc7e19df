"""Bytes of tokens in, text to show out: whole characters only, cut at the first stop text. Knows no tokens or models."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class TextStream:
    """Collects a completion; `text` is what was given out so far, `stopped` whether a stop text has ended it.

    Text that may be the beginning of a stop text waits until it is clear. Bytes that are not UTF-8 become U+FFFD; a
    character that is not complete at the end is left out.
    """

    def __init__(self, stop_texts: Sequence[str] = ()) -> None:
        self.text = ""
        self.stopped = False
        self._stop_texts = stop_texts
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._waiting = ""

    def feed(self, data: bytes) -> str:
        """Add the bytes of one token; what can be shown now."""
        text = self._waiting + self._decoder.decode(data)
        ends = [(place + len(stop), place) for stop in self._stop_texts if (place := text.find(stop)) >= 0]
        if ends:  # the one that is complete first, so that it does not matter how the text was cut into tokens
            self.stopped = True
            return self._give(text[: min(ends)[1]], "")
        clear = len(text) - self._num_waiting(text)
        return self._give(text[:clear], text[clear:])

    def end(self) -> str:
        """What was still waiting, now that nothing more comes."""
        return self._give(self._waiting, "")

    def _give(self, text: str, waiting: str) -> str:
        self.text += text
        self._waiting = waiting
        return text

    def _num_waiting(self, text: str) -> int:
        """The length of the longest end of `text` that a stop text begins with."""
        longest = min(len(text), max(map(len, self._stop_texts), default=1) - 1)
        return next(
            (size for size in range(longest, 0, -1) if any(stop.startswith(text[-size:]) for stop in self._stop_texts)), 0
        )
