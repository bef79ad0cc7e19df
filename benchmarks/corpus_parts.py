"""A package with a part of its files, for `corpus.py`: which ones is decided by a hash of their paths, so that parts are nested.

Files that speak of licences for others stay in every part, so that the licence gate judges the same of each file.
"""

import hashlib
import io
import tarfile
from pathlib import Path

from starloom.data.licences.evidence import file_evidence
from starloom.data.sources.files import Files
from starloom.data.sources.record import ReadSettings, Record

FRACTIONS = (0.25, 0.5, 1.0)


def write_part(package: Path, folder: Path, fraction: float) -> Path:
    """Write about `fraction` of a package's files as a tar of the same name below `folder`, once."""
    place = folder / f"{package.name.removesuffix('.gz').removesuffix('.tar')}.tar.gz"
    if place.exists():
        return place
    partial = place.with_suffix(".partial")
    with tarfile.open(partial, "w:gz", compresslevel=3) as archive:
        for record in Files(package).records(ReadSettings()):
            if record.content is not None and (_draw(record.path) < fraction or _speaks_for_others(record)):
                member = tarfile.TarInfo(f"all/{record.path}")
                member.size = len(record.content)
                archive.addfile(member, io.BytesIO(record.content))
    return partial.replace(place)


def _speaks_for_others(record: Record) -> bool:
    return any(item.scope != "file" for item in file_evidence(record.path, (record.content or b"").decode("utf-8", "replace")))


def _draw(path: str) -> float:
    return int.from_bytes(hashlib.sha256(path.encode()).digest()[:4]) / 2**32
