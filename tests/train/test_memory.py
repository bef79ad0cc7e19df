from __future__ import annotations

import resource
import subprocess
import sys

PROBE = """
import resource, sys
import numpy as np
from starloom.train.memory import keep_freed

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(2**22, dtype=np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "keep":
    assert keep_freed()
    faults()
print(faults())
"""


def _faults(mode: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROBE, mode], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_what_is_freed_is_kept_for_the_next_step() -> None:
    pages = 2**22 // resource.getpagesize()
    assert _faults("keep") < pages
    assert _faults("leave") > 0
