"""The native module's surface (native/bindings.cc). Arrays are C-contiguous numpy arrays."""

from collections.abc import Callable
from typing import final

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
U8 = npt.NDArray[np.uint8]

def available_isas() -> list[str]: ...  # "generic", "avx2", "avx512", "vnni", ascending
def current_isa() -> str: ...
def force_isa(name: str) -> None: ...  # ValueError when this machine lacks it

@final
class Threads:
    """The calling thread and `count` - 1 pinned workers, which sleep between calls. ValueError below 1 and above 1,024."""

    def __init__(self, count: int) -> None: ...
    @property
    def count(self) -> int: ...
    def run(self, chunks: int, work: Callable[[int, int], None]) -> None: ...  # work(chunk, thread), for tests; RuntimeError

@final
class Pages:
    """`count` pages; their memory is reserved at once and used as they are written. `head_dim` is a multiple of 32 up to 256."""

    def __init__(self, layers: int, kv_heads: int, head_dim: int, count: int, wide: bool = False) -> None: ...
    @property
    def count(self) -> int: ...
    @property
    def page_bytes(self) -> int: ...
    def copy(self, source: int, target: int) -> None: ...

@final
class Model:
    """`data` is the packed file's memory, kept alive; `tensors` maps names to (kind, rows, columns, offset in `data`).

    ValueError that names the field or tensor that is missing or does not fit; so for the arguments of `step`.
    """

    def __init__(self, data: U8, config: dict[str, float], tensors: dict[str, tuple[str, int, int, int]]) -> None: ...
    def step(
        self,
        pages: Pages,
        ids: I32,  # [rows]
        row_starts: I32,  # [parts + 1]
        positions: I32,  # [parts]
        tables: I32,  # all tables, one after the other
        table_starts: I32,  # [parts + 1]
        logit_rows: I32,  # ascending
        threads: Threads,
    ) -> F32: ...  # [len(logit_rows), vocab_size]

# Kernels one by one, for tests, packing and measurements. Kinds: "f32", "bf16", "q8", "q4", "q4m".
def pack(weights: F32, kind: str, threads: Threads) -> U8: ...  # [N, K] rounded to nearest and packed
def unpack(data: U8, kind: str, rows: int, columns: int) -> F32: ...
def multiply(
    data: U8, kind: str, rows: int, columns: int, x: F32, bias: F32 | None, epilogue: str, y: F32, threads: Threads
) -> None: ...
def layer_norm(x: F32, weight: F32, bias: F32, epsilon: float) -> F32: ...
def attend(
    pages: Pages,
    layer: int,
    qkv: F32,  # [rows, (H + 2 G) D], before RoPE
    parts: I32,  # [parts, 2]: rows, position of the first
    tables: I32,
    table_starts: I32,
    heads: int,
    window: int,
    theta: float,
    threads: Threads,
) -> F32: ...  # [rows, H D]
def read_bandwidth(data: U8, threads: Threads) -> float: ...  # bytes a second over `data`
def int8_peak(threads: Threads) -> float: ...  # operations a second of the widest 8-bit multiply-add of `current_isa`
def bf16_peak(threads: Threads) -> float: ...  # the same for bf16
def f32_peak(threads: Threads) -> float: ...  # the same for float32
