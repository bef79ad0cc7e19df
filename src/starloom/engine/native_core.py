"""The native core behind `core.Core`: a packed model, its pages and its threads.

Turns parts into the arrays that one crossing of the border takes, and no more; knows no requests, text or files.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from starloom.core.errors import FormatError, InputError, SettingsError
from starloom.engine import _native
from starloom.engine.core import PAGE, Part
from starloom.engine.memory import available_memory, gigabytes
from starloom.engine.packed_file import PackedModel

I32 = npt.NDArray[np.int32]

DEFAULT_PAGES = 16_384 // PAGE * 5 // 4
"""Room for the longest text of the published sizes and a quarter more for what requests share."""


class NativeCore:
    """A packed model, ready to run. Not to be called from two threads at once.

    `threads` None: one for each core that this process may use. Of `num_pages` and `memory` (bytes for keys and values) at
    most one is given. `wide` keeps keys and values in float32, for exact comparisons. Memory for pages is used as they are
    written. Raises `SettingsError`, `FormatError` (tensors that do not fit the configuration) and `InputError`.
    """

    def __init__(
        self,
        model: PackedModel,
        *,
        threads: int | None = None,
        num_pages: int | None = None,
        memory: int | None = None,
        wide: bool = False,
    ) -> None:
        config = model.config
        self._config = config
        try:
            self._model = _native.Model(model.data, model.native_config, model.native_tensors)
        except ValueError as error:
            raise FormatError(f"the packed model does not fit its configuration: {error}") from None
        layers, groups = config.num_hidden_layers, config.num_key_value_heads
        page_bytes = 2 * PAGE * config.head_dim * (4 if wide else 2) * groups * layers
        count = _page_count(num_pages, memory, page_bytes)
        self._pages = _native.Pages(layers, groups, config.head_dim, count, wide)
        self._threads = _native.Threads(_thread_count(threads))

    @property
    def vocab_size(self) -> int:
        """How many logits a row has."""
        return self._config.vocab_size

    @property
    def max_positions(self) -> int:
        """The most positions of a sequence."""
        return self._config.max_position_embeddings

    @property
    def window(self) -> int | None:
        """How many of the newest keys a query sees, its own among them; None for all."""
        return self._config.sliding_window

    @property
    def num_pages(self) -> int:
        """Pages are numbered from 0 to this."""
        return self._pages.count

    @property
    def page_bytes(self) -> int:
        """The memory of one page of all layers."""
        return self._pages.page_bytes

    @property
    def num_threads(self) -> int:
        """The calling thread and its workers."""
        return self._threads.count

    def step(self, parts: Sequence[Part]) -> npt.NDArray[np.float32]:
        """Run all parts at once; logits [sum of num_logits, vocab_size], parts in order.

        Raises `ValueError` for ids, positions or page numbers that the model or its pages do not have.
        """
        if not parts:
            return np.zeros((0, self.vocab_size), np.float32)
        starts = _starts([len(part.ids) for part in parts])
        for part in parts:
            if not 0 <= part.num_logits <= len(part.ids):
                raise ValueError(f"{part.num_logits} rows of logits are wanted of a part of {len(part.ids)} ids")
        return self._model.step(
            self._pages,
            np.concatenate([np.asarray(part.ids, np.int32) for part in parts]),
            starts,
            np.array([part.position for part in parts], np.int32),
            np.concatenate([np.asarray(part.table, np.int32) for part in parts]),
            _starts([len(part.table) for part in parts]),
            np.concatenate(
                [np.arange(end - part.num_logits, end, dtype=np.int32) for part, end in zip(parts, starts[1:], strict=True)]
            ),
            self._threads,
        )

    def copy_page(self, source: int, target: int) -> None:
        """Make page `target` equal to page `source`. Raises `ValueError` for pages that do not exist."""
        self._pages.copy(source, target)


def _starts(lengths: list[int]) -> I32:
    starts = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=starts[1:])
    return starts


def _page_count(num_pages: int | None, memory: int | None, page_bytes: int) -> int:
    if num_pages is not None and memory is not None:
        raise SettingsError("give 'num_pages' or 'memory', not both: each says how many pages there are")
    if memory is not None:
        if memory < page_bytes:
            raise SettingsError(f"'memory' is {memory}; one page of {PAGE} positions takes {page_bytes} bytes")
        num_pages = memory // page_bytes
    count = DEFAULT_PAGES if num_pages is None else num_pages
    if not 1 <= count < 2**31:
        raise SettingsError(f"'num_pages' is {count}; it must be at least 1")
    available = available_memory()
    if available is not None and count * page_bytes > available:
        raise InputError(
            f"keys and values for {count * PAGE} positions need {gigabytes(count * page_bytes)} of memory; "
            f"{gigabytes(available)} are free: {available // page_bytes} pages would fit"
        )
    return count


def _thread_count(threads: int | None) -> int:
    if threads is None:
        return usable_cores()
    if not 1 <= threads <= 1024:
        raise SettingsError(f"'threads' is {threads}; it must be from 1 to 1024")
    return threads


def usable_cores() -> int:
    """The cores that this process may use; hardware threads of one core count once where the system tells them apart."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    return len({_siblings(cpu) for cpu in os.sched_getaffinity(0)})


def _siblings(cpu: int) -> str:
    try:
        return Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text()
    except OSError:
        return str(cpu)
