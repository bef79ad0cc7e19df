"""Repositories, owners and files whose owners do not want them in a data set, by lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from starloom.data.opt_out import OPTED_OUT, OptOut
from starloom.data.pipeline.lists import fingerprint
from starloom.data.pipeline.rows import each, table_of
from starloom.data.pipeline.step import VERDICT, Step

SCHEMA = pa.schema(VERDICT)
_HASHES = {"sha256": "sha256", "sha1": "sha1", "git": "git_sha1"}
_READS = ("repository", *_HASHES.values())


def opt_out_step(lists: tuple[str, ...]) -> Step:
    """The step for these lists. Raises `InputError` for one that cannot be read, `FormatError` for a line that is wrong."""
    opted_out = OptOut.read(Path(path) for path in lists)

    def function(table: pa.Table) -> pa.Table:
        return table_of((_row(opted_out, *values) for values in each(table, *_READS)), SCHEMA)

    return Step("opt_out", SCHEMA, function, reads=_READS, settings={"lists": fingerprint(lists)})


def _row(opted_out: OptOut, repository: str, *digests: bytes | None) -> dict[str, Any]:
    hashes = {kind: digest.hex() for kind, digest in zip(_HASHES, digests, strict=True) if digest is not None}
    entry = opted_out.match(repository, hashes)
    return {} if entry is None else {"dropped": OPTED_OUT, "detail": entry}
