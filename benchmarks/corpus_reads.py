"""What one small read of an exchange costs, by the number of receivers of a sender's file, for `corpus_record.py`.

A reader fetches its entry of the file's head and its piece, whatever the number of the others.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from starloom.data.pipeline.shuffle import buckets_of, read_rows, write_rows
from starloom.data.pipeline.stages.near import KEYS
from starloom.data.pipeline.storage import Storage

RECEIVERS = (16, 256, 1024, 4096, 16384)
ROWS = 250_000
"""About what a shard of 64 MB of text, packed, sends as keys of bands."""
_READS = 20


def reads() -> list[dict[str, Any]]:
    """Bytes of the file, processor seconds to write it and to read one receiver's rows."""
    generator = np.random.default_rng(0)
    keys = generator.integers(0, 2**64 - 1, ROWS, dtype=np.uint64)
    rows = pa.table([keys, generator.integers(5, 5000, ROWS, dtype=np.uint32), np.arange(ROWS) // 35], schema=KEYS)
    with tempfile.TemporaryDirectory() as folder:
        return [_measure(Path(folder), rows, receivers) for receivers in RECEIVERS]


def _measure(folder: Path, rows: pa.Table, receivers: int) -> dict[str, Any]:
    storage, name = Storage(str(folder)), f"keys/{receivers}"
    begun = time.process_time()
    written = write_rows(storage, name, rows, buckets_of(rows.column("key").to_numpy(), receivers), receivers)
    middle = time.process_time()
    for part in range(_READS):
        read_rows(storage, [name], part % receivers, KEYS)
    ended = time.process_time()
    took = {"write s": round(middle - begun, 4), "read s": round((ended - middle) / _READS, 5)}
    return {"receivers": receivers, "bytes": written.bytes, **took}
