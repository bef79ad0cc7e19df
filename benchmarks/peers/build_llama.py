"""Build llama.cpp for this machine, from the source package of llama-cpp-python, as a peer to measure beside.

    python benchmarks/peers/build_llama.py FOLDER [--jobs N]

FOLDER/bin then holds the tools in TARGETS. Needs cmake, ninja and a C++ compiler;
takes 10 to 30 minutes of one core. What a run leaves unfinished, the next one goes on with. The web interface, OpenSSL and the
tests are left out; GGML_NATIVE takes every instruction that this machine has.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
from pathlib import Path

VERSION = "0.3.36"
TARGETS = ("llama-bench", "llama-server", "llama-quantize", "llama-imatrix", "llama-perplexity")
OPTIONS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DGGML_NATIVE=ON",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
    "-DLLAMA_OPENSSL=OFF",
)


def fetch(folder: Path, version: str) -> Path:
    """Download and unpack the source package, unless that was done before; where its llama.cpp is."""
    source = folder / f"llama_cpp_python-{version}"
    if not source.is_dir():
        package = f"llama-cpp-python=={version}"
        plain = ("--no-binary", ":all:", "--no-deps")
        subprocess.run([sys.executable, "-m", "pip", "download", *plain, package, "-d", folder], check=True)
        with tarfile.open(next(folder.glob(f"llama_cpp_python-{version}.tar.gz"))) as archive:
            archive.extractall(folder, filter="data")
    return source / "vendor" / "llama.cpp"


def build(source: Path, folder: Path, jobs: int) -> None:
    """Configure and compile into `folder`."""
    subprocess.run(["cmake", "-S", source, "-B", folder, "-G", "Ninja", *OPTIONS], check=True)
    subprocess.run(["cmake", "--build", folder, f"-j{jobs}", "--target", *TARGETS], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--version", default=VERSION, help="of llama-cpp-python")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    build(fetch(folder, arguments.version), folder, arguments.jobs)
    print(f"built: {', '.join(str(folder / 'bin' / target) for target in TARGETS)}")


if __name__ == "__main__":
    main()
