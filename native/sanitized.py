"""Build the package with its native core under the address and undefined-behaviour sanitizers, and run the engine's tests on it.

    make native-asan

The build goes into an environment of its own below `build/asan`, which borrows every library from the one that runs this file.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOME = ROOT / "build" / "asan"


def main() -> None:
    """Build, then test; the exit code is the tests'."""
    venv.create(HOME, with_pip=True)
    python = HOME / "bin" / "python"
    asked = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    build = ["--config-settings=cmake.define.STARLOOM_SANITIZE=ON", f"--config-settings=build-dir={HOME / 'native'}"]
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--no-deps", *build, str(ROOT)], check=True)
    # Exceptions are intercepted when a program starts, so the library that throws them must be there by then.
    libraries = [
        subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("libasan.so", "libstdc++.so")
    ]
    environment = {
        **os.environ,
        "LD_PRELOAD": " ".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "halt_on_error=1",
    }
    tests = [str(python), "-m", "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider", "tests/engine", *sys.argv[1:]]
    sys.exit(subprocess.run(tests, cwd=ROOT, env=environment).returncode)


if __name__ == "__main__":
    main()
