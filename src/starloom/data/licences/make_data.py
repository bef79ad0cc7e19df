"""Makes the data files of this room from the packages that they come from, so that both can be checked and renewed.

    python -m starloom.data.licences.make_data FOLDER

FOLDER holds `spdx-license-list/`, `spdx-exceptions/` and `@blueoak/list/` as npm lays them out (`npm install` of the three).
ScanCode's categories come from the index inside the library license-expression. Where each file is from and its licence:
`SOURCES.md`.
"""

from __future__ import annotations

import json
import lzma
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

PERMISSIVE_CATEGORIES = ("Permissive", "Public Domain")
BRONZE_OR_BETTER = ("Model", "Gold", "Silver", "Bronze")
NEUTRAL = (
    "dco-1.1",
    "generic-cla",
    "google-cla",
    "jetty-ccla-1.1",
    "newton-king-cla",
    "generic-exception",
    "generic-export-compliance",
    "generic-tos",
    "generic-trademark",
    "warranty-disclaimer",
)

OWN = ("LicenseRef-BSD", "LicenseRef-Biopython-License-Agreement")  # not in those lists, and permissive


def main(folder: Path) -> None:
    """Write the licence texts and the two policies."""
    here = Path(__file__).parent
    texts = _read(folder / "spdx-license-list/spdx-full.json")
    plain = {identifier: texts[identifier]["licenseText"] for identifier in sorted(texts)}
    packed = lzma.compress(json.dumps(plain, ensure_ascii=False, sort_keys=True).encode(), preset=9 | lzma.PRESET_EXTREME)
    (here / "spdx-texts.json.xz").write_bytes(packed)
    exceptions = sorted(_read(folder / "spdx-exceptions/index.json"))
    tiers = {tier["name"]: [entry["id"] for entry in tier["licenses"]] for tier in _read(folder / "@blueoak/list/index.json")}
    scancode = _scancode_permissive()
    listed = {identifier for tier in tiers.values() for identifier in tier}
    bronze = {identifier for name in BRONZE_OR_BETTER for identifier in tiers[name]}
    blue_oak = "Blue Oak Council's licence list 15.0.0"
    _write_policy(
        here / "policies/permissive.json",
        f"{blue_oak}, and ScanCode's categories Permissive and Public Domain: the union that The Stack v2 took.",
        listed | scancode | set(OWN),
        exceptions,
    )
    _write_policy(here / "policies/blueoak-bronze.json", f"{blue_oak}, Bronze or better.", bronze | {OWN[0]}, exceptions)


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _scancode_permissive() -> set[str]:
    """The SPDX identifiers of what ScanCode places in its permissive categories; deprecated identifiers too, exceptions not."""
    index = files("license_expression").joinpath("data/scancode-licensedb-index.json")
    found: set[str] = set()
    for entry in json.loads(index.read_text(encoding="utf-8")):
        if entry["category"] in PERMISSIVE_CATEGORIES and not entry["is_exception"]:
            found |= {entry["spdx_license_key"], *entry.get("other_spdx_license_keys", ())} - {None, ""}
    return found


def _write_policy(path: Path, note: str, permissive: set[str], exceptions: list[str]) -> None:
    policy = {
        "name": path.stem,
        "version": 2,
        "note": f"{note} LicenseRef-BSD is 'BSD licence' without a number of clauses.",
        "permissive": sorted(permissive, key=str.casefold),
        "neutral": [f"LicenseRef-scancode-{key}" for key in NEUTRAL],
        "exceptions": exceptions,
    }
    path.write_text(json.dumps(policy, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
