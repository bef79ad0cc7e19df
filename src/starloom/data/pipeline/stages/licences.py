"""The licence of every file with its evidence, and whether the policy lets it stay."""

from __future__ import annotations

import pyarrow as pa

from starloom.data.pipeline.rows import each, table_of
from starloom.data.pipeline.settings import LicenceSettings
from starloom.data.pipeline.step import VERDICT, Step

SCHEMA = pa.schema(
    [
        pa.field("licence", pa.string()),
        pa.field("licence_source", pa.string()),
        pa.field("licence_type", pa.string()),
        *VERDICT,
    ]
)


def licences_steps(settings: LicenceSettings) -> tuple[Step, ...]:
    """The steps for these settings."""
    return (Step("licences", SCHEMA, _judged, reads=("said_licence",), settings={"policy": settings.policy}),)


def _judged(table: pa.Table) -> pa.Table:
    return table_of(({"licence": said, "licence_type": "no_licence"} for (said,) in each(table, "said_licence")), SCHEMA)
