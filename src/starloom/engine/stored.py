"""Weights as model files store them, and their values: exactly as whole numbers where the engine has such a kind, else as floats.

Knows the number formats of safetensors and of GGUF; knows nothing of files.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import gguf
import numpy as np
from gguf import GGMLQuantizationType

from starloom.core.errors import FormatError
from starloom.engine.gguf_blocks import READERS
from starloom.engine.layouts import F32, U8, U16, Groups, Kind, bf16_bits, from_bf16_bits

Floats = TypeVar("Floats", bound=np.ndarray[Any, Any])

KIND_OF: Final[dict[str, Kind]] = {
    **{"F32": "f32", "F16": "bf16", "BF16": "bf16", "Q8_0": "q8", "Q4_0": "q4"},
    **{"Q4_1": "q4m", "Q4_K": "q4m", "Q5_K": "q8", "Q6_K": "q8"},
}
"""The kind in which the engine holds each stored format. Q8_0, Q4_0 and Q4_1 keep every bit; F16 loses 3 of its 11."""


@dataclass(frozen=True)
class Stored:
    """A tensor of a model file: its format (a key of `KIND_OF`), its shape [N, K] or [N], and its bytes.

    `data` is [N, bytes of a row], or [bytes] for a vector.
    """

    name: str
    format: str
    shape: tuple[int, ...]
    data: U8

    def rows(self, start: int, stop: int) -> Stored:
        """The rows from `start` to before `stop` of a matrix; a view."""
        data = self.data[start:stop]
        return Stored(self.name, self.format, (len(data), *self.shape[1:]), data)

    def forget(self) -> None:
        """Give back the memory of the mapped pages, which would be read again from the file."""
        base: Any = self.data
        while isinstance(base, np.ndarray):
            base = base.base
        area = base.obj if isinstance(base, memoryview) else base
        if isinstance(area, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            area.madvise(mmap.MADV_DONTNEED)

    def floats(self) -> F32:
        """The values, in float32. Raises `FormatError` when some are not finite."""
        raw = np.ascontiguousarray(self.data)
        with np.errstate(all="ignore"):  # damaged scales may be anything
            if self.format == "F32":
                values = raw.view("<f4").astype(np.float32)
            elif self.format == "F16":
                values = raw.view("<f2").astype(np.float32)
            elif self.format == "BF16":
                values = from_bf16_bits(raw.view("<u2"))
            else:
                values = np.asarray(gguf.dequantize(raw, GGMLQuantizationType[self.format]), np.float32)
        return self._finite(values).reshape(self.shape)

    def bf16(self) -> U16:
        """The values as the bits of bfloat16, rounded where the format has more. Raises `FormatError` as `floats`."""
        if self.format != "BF16":
            return bf16_bits(self.floats())
        bits = np.ascontiguousarray(self.data).view("<u2").reshape(self.shape)
        if (bits & 0x7F80 == 0x7F80).any():
            raise self._not_finite()
        return bits

    def groups(self) -> Groups | None:
        """The whole numbers with their scales, where the engine holds them as they are. Raises `FormatError` as `floats`."""
        if self.format not in READERS:
            return None
        groups = READERS[self.format](self.data)
        self._finite(groups.scale)
        if groups.minimum is not None:
            self._finite(groups.minimum)
        return groups

    def _finite(self, values: Floats) -> Floats:
        if not np.isfinite(values).all():
            raise self._not_finite()
        return values

    def _not_finite(self) -> FormatError:
        return FormatError(f"tensor '{self.name}' holds numbers that are not finite: the file is damaged")
