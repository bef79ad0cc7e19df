"""The engines that are measured beside each other, each in processes of its own: Starloom, llama.cpp, OpenVINO GenAI.

A system measures once and gives tokens a second by name (`prefill_512`, `decode_2048`, ...) and the most memory it held.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

PREFILLS = (512, 2048)
DECODE = 32


_FACTS = ("int8_peak_share", "read_bandwidth_share", "operations_per_token", "bytes_per_token")


class System(Protocol):
    """One engine with one file."""

    @property
    def name(self) -> str:
        """How tables call it."""
        ...

    def measure(self, threads: int, depth: int) -> dict[str, float]:
        """Run once."""
        ...


def run(command: Sequence[str | Path]) -> tuple[str, int]:
    """A process's standard output and the most memory it held. Raises `RuntimeError` with what it said when it fails."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen([str(part) for part in command], stdout=out, stderr=errors)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        errors.seek(0)
        if process.returncode:
            raise RuntimeError(f"{command[0]} ended with {process.returncode}: {errors.read()[-2000:]}")
        return out.read(), used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@dataclass(frozen=True)
class Starloom:
    """`starloom bench`, one round after its warm-up."""

    model: Path
    name: str = "Starloom"

    def measure(self, threads: int, depth: int) -> dict[str, float]:
        """See `System`."""
        options = ("--threads", str(threads), "--depth", str(depth), "--rounds", "1", "--json")
        out, memory = run([sys.executable, "-m", "starloom", "bench", self.model, *options])
        found: dict[str, float] = json.loads(out.splitlines()[-1])
        return {
            "prefill_512": found["prefill_tokens_per_s"],
            f"prefill_{found['prefill_long_tokens']}": found["prefill_long_tokens_per_s"],
            "decode_0": found["decode_tokens_per_s"],
            f"decode_{depth}": found["decode_deep_tokens_per_s"],
            "first_token_ms": found["first_token_ms"],
            **{name: found[name] for name in _FACTS},
            "peak_rss_bytes": memory,
        }


@dataclass(frozen=True)
class LlamaCpp:
    """llama-bench of a folder made by `build_llama.py`, with flash attention, which is its faster setting."""

    folder: Path
    model: Path
    name: str = "llama.cpp"

    def measure(self, threads: int, depth: int) -> dict[str, float]:
        """See `System`."""
        base = [self.folder / "bin" / "llama-bench", "-m", self.model, "-t", str(threads), "-r", "1", "-fa", "1", "-o", "json"]
        prompts, memory = run([*base, "-p", ",".join(map(str, PREFILLS)), "-n", "0"])
        decodes, more = run([*base, "-p", "0", "-n", str(DECODE), "-d", f"0,{depth}"])
        found: dict[str, float] = {"peak_rss_bytes": max(memory, more)}
        for row in self._rows(prompts) + self._rows(decodes):
            name = f"prefill_{row['n_prompt']}" if row["n_prompt"] else f"decode_{row['n_depth']}"
            found[name] = row["avg_ts"]
        return found

    def _rows(self, text: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(text)
        return rows


@dataclass(frozen=True)
class OpenVino:
    """A model exported by `build_openvino.py`."""

    environment: Path
    model: Path
    name: str

    def measure(self, threads: int, depth: int) -> dict[str, float]:
        """See `System`."""
        script = Path(__file__).with_name("openvino_bench.py")
        settings = ("--threads", threads, "--decode", DECODE, "--prompts", *PREFILLS, "--depths", 0, depth)
        out, memory = run([self.environment / "bin" / "python", script, self.model, *map(str, settings)])
        found: dict[str, float] = json.loads(out.splitlines()[-1])
        return found | {"peak_rss_bytes": memory}
