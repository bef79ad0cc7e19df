"""Make an environment with OpenVINO GenAI and turn a Hugging Face directory into its int8 and int4 formats, as peers.

    python benchmarks/peers/build_openvino.py environment FOLDER
    python benchmarks/peers/build_openvino.py export FOLDER MODEL OUT [--format int8 --format int4]

`environment` installs about 1.5 GB: the exporter (optimum-intel) needs PyTorch, and asks for a torchvision that breaks
`transformers` beside it, so both optimum packages come without what they ask for.
`export` writes OUT/int8 (a scale a channel) and OUT/int4 (symmetric, groups of 128), the settings of a default user.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import venv
from pathlib import Path

TORCH = ("torch==2.13.0",)
PACKAGES = ("openvino-genai==2026.4.1.0", "nncf==3.4.0", "transformers==5.5.4", "requests", "setuptools")
ALONE = ("optimum-intel==2.2.0", "optimum==2.3.0")
FORMATS = {
    "int8": ("--weight-format", "int8"),
    "int4": ("--weight-format", "int4", "--sym", "--group-size", "128", "--ratio", "1.0"),
}


def make_environment(folder: Path) -> None:
    """A virtual environment in `folder`."""
    venv.create(folder, with_pip=True)
    install = (folder / "bin" / "python", "-m", "pip", "install")
    for packages in (TORCH, PACKAGES, ("--no-deps", *ALONE)):
        subprocess.run([*install, *packages], check=True)


def export(environment: Path, model: Path, out: Path, formats: list[str]) -> None:
    """Write `model` once a format below `out`, skipping what is there."""
    tool = (environment / "bin" / "optimum-cli", "export", "openvino", "--task", "text-generation-with-past")
    for name in formats:
        if not (out / name / "openvino_model.bin").is_file():
            subprocess.run([*tool, "--model", model, *FORMATS[name], out / name], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("environment").add_argument("folder", type=Path)
    exporter = commands.add_parser("export")
    for name in ("folder", "model", "out"):
        exporter.add_argument(name, type=Path)
    exporter.add_argument("--format", action="append", choices=sorted(FORMATS))
    arguments = parser.parse_args()
    try:
        if arguments.command == "environment":
            make_environment(arguments.folder)
        else:
            export(arguments.folder, arguments.model, arguments.out, arguments.format or list(FORMATS))
    except subprocess.CalledProcessError as error:
        sys.exit(f"build_openvino: {error}")


if __name__ == "__main__":
    main()
