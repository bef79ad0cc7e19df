"""Which of several equal files stays: the columns of the order, as exchanges carry them. Knows nothing of how files are equal."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from starloom.data.duplicates.survivors import published_order
from starloom.data.pipeline.kinds import NOT_DEDUPLICATED
from starloom.data.pipeline.step import KEPT

READS = ("held_out", "licence_type", "is_vendor", "stars", "date")
FIELDS = (
    pa.field("held_out", pa.bool_()),
    pa.field("licence_type", pa.string()),
    pa.field("is_vendor", pa.bool_()),
    pa.field("stars", pa.int64()),
    pa.field("date", pa.int64()),
    pa.field("id", pa.int64()),
)
COMPARED = ("kind", KEPT)
LOST = pa.schema([pa.field("id", pa.int64()), pa.field("survivor", pa.int64())])
"""Rows that go home: a file and the one that stays in its place."""


def compared(table: pa.Table) -> pa.Table:
    """The rows that are looked at for duplicates, from a table with the columns of `COMPARED`."""
    exempt = pc.is_in(table.column("kind"), value_set=pa.array(sorted(NOT_DEDUPLICATED)))
    return table.filter(pc.and_(table.column(KEPT), pc.invert(exempt)))


def order_columns(table: pa.Table) -> dict[str, pa.Array]:
    """The columns of `FIELDS` from those of `READS` and `id`; dates become numbers of 14 digits."""
    digits = pc.replace_substring_regex(pc.fill_null(table.column("date"), ""), pattern="[^0-9]", replacement="")
    padded = pc.utf8_slice_codeunits(pc.utf8_rpad(digits, width=14, padding="0"), 0, 14)
    types = pc.replace_substring(table.column("licence_type"), pattern="no_license", replacement="no_licence")
    return {
        "held_out": table.column("held_out"),
        "licence_type": pc.fill_null(types, "no_licence"),
        "is_vendor": pc.fill_null(table.column("is_vendor"), False),
        "stars": pc.fill_null(table.column("stars"), -1),
        "date": padded.cast(pa.int64()),
        "id": table.column("id"),
    }


def order_of(table: pa.Table) -> list[npt.NDArray[Any]]:
    """The total order over rows with the columns of `FIELDS`: held out first, so that no training file repeats one, then the
    published order."""
    numbers = {name: table.column(name).to_numpy() for name in ("stars", "date", "id")}
    training = ~np.asarray(table.column("held_out"), dtype=np.bool_)
    vendored = np.asarray(table.column("is_vendor"), dtype=np.bool_)
    types = table.column("licence_type").to_pylist()
    return [training, *published_order(types, vendored, numbers["stars"], numbers["date"], numbers["id"])]


def lost(ids: npt.NDArray[np.int64], places: npt.NDArray[np.int64]) -> pa.Table:
    """The rows that go home; `places` says for each row which row of the same table stays."""
    gone = np.flatnonzero(places != np.arange(len(places)))
    return pa.table({"id": ids[gone], "survivor": ids[places[gone]]}, schema=LOST)
