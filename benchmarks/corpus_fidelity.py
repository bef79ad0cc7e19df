"""How like their original the copies of `corpus_copies.py` are, for `corpus_record.py`: file by file in one run over all."""

from collections import Counter
from typing import Any

import numpy as np

from starloom.data.pipeline.finished import FinishedRun
from starloom.data.pipeline.markers import output_name
from starloom.data.pipeline.shuffle import read_rows, rows_of, shards_of
from starloom.data.pipeline.stages.near_groups import PAIRS, pairs_of

ALIKE = ("language", "licence", "reason")
_COLUMNS = ("source", "path", "size", "sha256", "exact_survivor", "near_survivor", *ALIKE)


def fidelity(run: FinishedRun) -> dict[str, Any]:
    """For each copy: files, those whose content is another than the original's, kept files and bytes, files with the same
    values of `ALIKE`, and duplicates of files of another copy. Then verified near pairs within and across copies."""
    copies: dict[int, list[dict[str, Any]]] = {}
    copy_of: list[int] = []  # by row of the run
    starts = [0]  # the first row of each shard
    for shard in range(len(run.layout.shards)):
        for row in run.shard(shard, *_COLUMNS).to_pylist():
            copy_of.append(int(row["source"].split("-")[1]))
            copies.setdefault(copy_of[-1], []).append(row)
        starts.append(len(copy_of))
    by_row, first_rows = np.array(copy_of), np.array(starts)

    def copies_at(ids: Any) -> Any:
        return by_row[first_rows[shards_of(ids)] + rows_of(ids)]

    names = [output_name("near_verified", bucket, sent=True) for bucket in range(run.layout.num_buckets)]
    pairs = pairs_of(read_rows(run.storage, names, 0, PAIRS))
    within = int((copies_at(pairs[:, 0]) == copies_at(pairs[:, 1])).sum())
    lines = {str(copy): _line(copy, rows, copies[0], copies_at) for copy, rows in sorted(copies.items())}
    return {"copies": lines, "pairs within": within, "pairs across": len(pairs) - within}


def _line(copy: int, rows: list[dict[str, Any]], originals: list[dict[str, Any]], copies_at: Any) -> dict[str, int]:
    assert [row["path"] for row in rows] == [row["path"] for row in originals], "a copy has the paths of its original"
    found = Counter[str](files=len(rows))
    for row, original in zip(rows, originals, strict=True):
        kept = row["reason"] is None
        found.update({"changed": row["sha256"] != original["sha256"], "kept": kept, "kept bytes": row["size"] * kept})
        found.update({f"same {name}": row[name] == original[name] for name in ALIKE})
        for name in ("exact", "near"):
            survivor = row[f"{name}_survivor"]
            found[f"{name} of others"] += survivor is not None and int(copies_at(np.array([survivor]))[0]) != copy
    return dict(found)
