"""Write `docs/commands.md` from the command line's own help (`make docs`)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

COMMANDS = ("complete", "bench", "tokenize", "data build", "data fetch", "train")


def help_of(command: str) -> str:
    """What `starloom COMMAND --help` prints, 100 columns wide."""
    words = [sys.executable, "-m", "starloom", *command.split(), "--help"]
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    done = subprocess.run(words, capture_output=True, check=True, text=True, env=environment)
    return done.stdout.strip().replace("python -m starloom", "starloom")


def page() -> str:
    """The whole page."""
    parts = ["# Commands", "", "Made by `make docs` from the command line's own help.", ""]
    for command in COMMANDS:
        parts += [f"## starloom {command}", "", "```", help_of(command), "```", ""]
    return "\n".join(parts)


if __name__ == "__main__":
    (Path(__file__).parent / "commands.md").write_text(page())
