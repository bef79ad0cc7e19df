"""The machine's speed at this moment: bytes a second read from memory and 8-bit operations a second, as one JSON line.

    python benchmarks/calibration.py [--threads N]

Run in a process of its own, since the loops pin their threads.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

NUM_BYTES = 1 << 29


def calibrate(threads: int) -> dict[str, float]:
    """Measure in a new process."""
    out = subprocess.run([sys.executable, __file__, "--threads", str(threads)], check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(out)
    return found


def main() -> None:
    import numpy as np

    from starloom.engine import _native

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    threads = _native.Threads(parser.parse_args().threads)
    data = np.ones(NUM_BYTES, np.uint8)
    bandwidth = max(_native.read_bandwidth(data, threads) for _ in range(3))
    peak = max(_native.int8_peak(threads) for _ in range(3))
    print(json.dumps({"read_bandwidth": bandwidth, "int8_peak": peak}))


if __name__ == "__main__":
    main()
