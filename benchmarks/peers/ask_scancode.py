"""ScanCode's answers on licences, for `benchmarks/licences.py`; runs in an environment of ScanCode's own.

    python ask_scancode.py ANSWERS.jsonl < NAMES

Reads one JSON object a line (`sha256`, `place`: a file on the disk, `manifest`: whether a package manifest), appends one answer
a line, flushed at once, so that a run that was ended goes on where it stopped. An answer holds the licence expression in
ScanCode's keys, its matches (expression, first and last line), what a package manifest declares, and every key's SPDX identifier
and category. `pip install scancode-toolkit==32.5.0 "pluggy<1.6" typecode-libmagic`.
"""

import json
import sys
import time
from pathlib import Path

from licensedcode.cache import get_licenses_db, get_licensing
from scancode.api import get_licenses, get_package_data

SECONDS = 100  # a file, as for The Stack v2


def main(store: Path) -> None:
    known = {json.loads(line)["sha256"] for line in store.read_text().splitlines()} if store.exists() else set()
    with store.open("a") as answers:
        for line in sys.stdin:
            asked = json.loads(line)
            if asked["sha256"] not in known:
                answers.write(json.dumps({"sha256": asked["sha256"], **answer(asked["place"], asked["manifest"])}) + "\n")
                answers.flush()


def answer(place: str, manifest: bool) -> dict[str, object]:
    start = time.process_time()
    try:
        found = get_licenses(place, include_text=False, deadline=time.time() + SECONDS)
        packages = get_package_data(place)["package_data"] if manifest else []
    except Exception as error:  # ScanCode's own failure is an answer: none
        return {"error": repr(error), "seconds": time.process_time() - start}
    matches = [match for detection in found["license_detections"] for match in detection["matches"]]
    told = {
        "expression": found["detected_license_expression"],
        "matches": [[match["license_expression"], match["start_line"], match["end_line"]] for match in matches],
        "declared": " AND ".join(f"({one})" for package in packages if (one := package["declared_license_expression"])),
    }
    keys = {key for part in (told["expression"], told["declared"]) if part for key in get_licensing().license_keys(part)}
    return {**told, "licences": {key: described(key) for key in sorted(keys)}, "seconds": time.process_time() - start}


def described(key: str) -> dict[str, str | None]:
    licence = get_licenses_db()[key]
    return {"spdx": licence.spdx_license_key, "category": licence.category}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
