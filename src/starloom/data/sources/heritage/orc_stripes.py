"""Reads ORC files in a process of its own: `python -m starloom.data.sources.heritage.orc_stripes`.

The ORC library can crash on a damaged file (measured: one in thirty files with a few changed bytes). Here that costs a process
that does nothing else. Each line of standard input asks for a file (JSON: address, columns). The answer is a number of frames:
a letter, a length in 8 bytes, and so many bytes. `S` is a stripe as an Arrow stream, `E` a complaint, `D` the end of the file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence

import pyarrow as pa

MEMORY = 16 * 2**30
"""Address space of the process in bytes, so that lengths which damage has made up are not asked for."""

LENGTH = 8


def stripes(address: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The chosen columns of every stripe of one file, each checked whole."""
    import fsspec
    from pyarrow import orc

    with fsspec.open(address, "rb") as stream:
        file = orc.ORCFile(stream)
        for stripe in range(file.nstripes):
            batch = file.read_stripe(stripe, columns=list(columns)).select(list(columns))
            batch.validate(full=True)
            yield batch


def _answer(address: str, columns: Sequence[str]) -> None:
    try:
        for batch in stripes(address, columns):
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, batch.schema) as writer:
                writer.write_batch(batch)
            _frame(b"S", sink.getvalue())
    except Exception as error:
        _frame(b"E", (str(error).splitlines() or [type(error).__name__])[0].encode())
    else:
        _frame(b"D", b"")


def _frame(letter: bytes, data: bytes | pa.Buffer) -> None:
    sys.stdout.buffer.write(letter + len(data).to_bytes(LENGTH))
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY or most > MEMORY:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, most))


if __name__ == "__main__":
    _limit_memory()
    for line in sys.stdin:
        _answer(*json.loads(line))
