"""Opens damaged model files for some minutes, and says which seeds broke something.

    python tests/engine/fuzz_weights.py [--minutes 10] [--seed 0] [--memory-gb 4]

A seed breaks something when opening raises anything but a `StarloomError`, takes more than 20 seconds, or asks for more memory
than allowed. Keep such a seed in test_hostile_files.py. Prints counts by kind of file and outcome.
"""

from __future__ import annotations

import argparse
import collections
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

from hostile import KINDS, attempt, good_files, spoil

_SLOWEST = 20.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--memory-gb", type=float, default=4)
    arguments = parser.parse_args()
    limit = int(arguments.memory_gb * 1e9)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    warnings.simplefilter("error")
    outcomes, broken = collections.Counter[tuple[str, str]](), list[tuple[str, int]]()
    slowest, end, seed = 0.0, time.monotonic() + 60 * arguments.minutes, arguments.seed
    with tempfile.TemporaryDirectory() as folder:
        good = good_files(Path(folder))
        while time.monotonic() < end:
            kind = KINDS[seed % len(KINDS)]
            target = Path(folder) / "spoiled"
            spoil(kind, good[kind], target, seed)
            start = time.monotonic()
            try:
                outcomes[kind, attempt(kind, target)] += 1
            except Exception:  # whatever it is, the seed is kept
                traceback.print_exc()
                broken.append((kind, seed))
            slowest = max(slowest, time.monotonic() - start)
            if time.monotonic() - start > _SLOWEST:
                broken.append((kind, seed))
            shutil.rmtree(target) if target.is_dir() else target.unlink()
            seed += 1
    for (kind, outcome), count in sorted(outcomes.items()):
        print(f"{kind:12} {outcome:14} {count:8,}")  # noqa: T201
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    summary = f"{seed - arguments.seed:,} files; slowest {slowest:.2f} s; peak memory {peak / 1e6:.0f} MB"
    print(f"{summary}; broken: {broken or 'none'}")  # noqa: T201
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
