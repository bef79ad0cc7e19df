"""llama-server as a peer: started for one model, asked with token ids, stopped at the end."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from peers.answers import Answer

_PATIENCE = 120.0  # seconds for a model to load


class LlamaServer:
    """A running server. Each request may come from a thread of its own. Tokens in `forbidden` are never chosen."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.forbidden: Sequence[int] = ()

    @classmethod
    @contextlib.contextmanager
    def start(cls, folder: Path, model: Path, *, threads: int, context: int, slots: int = 1) -> Iterator[LlamaServer]:
        """Run bin/llama-server of a folder made by `build_llama.py`; `context` is for each slot."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        settings = ("-t", threads, "-tb", threads, "-c", context * slots, "-np", slots, "-fa", "on", "--port", port)
        command = [folder / "bin" / "llama-server", "-m", model, "--host", "127.0.0.1", *settings]
        process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            server = cls(port)
            server._wait(process)
            yield server
        finally:
            process.terminate()
            process.wait()

    def complete(self, ids: Sequence[int], new: int) -> Answer:
        """Exactly `new` tokens, greedily, with what the server has cached of the prompt."""
        asked = {"prompt": list(ids), "n_predict": new, "temperature": 0.0, "top_k": 1, "cache_prompt": True}
        rest: dict[str, Any] = {"ignore_eos": True, "return_tokens": True, "samplers": ["top_k"]}
        rest["logit_bias"] = [[token, False] for token in self.forbidden]
        began = time.perf_counter()
        answer = self._ask("POST", "/completion", asked | rest)
        return Answer(answer["tokens"], answer["timings"]["prompt_n"], time.perf_counter() - began)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=600)
        try:
            connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
            response = connection.getresponse()
            data = response.read()
            if response.status != 200:
                raise RuntimeError(f"llama-server answered {response.status}: {data[:500]!r}")
            found: dict[str, Any] = json.loads(data)
            return found
        finally:
            connection.close()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        began = time.monotonic()
        while time.monotonic() - began < _PATIENCE:
            if process.poll() is not None:
                raise RuntimeError(f"llama-server ended with {process.returncode} while it loaded the model")
            with contextlib.suppress(OSError, RuntimeError):
                self._ask("GET", "/health")
                return
            time.sleep(0.1)
        raise RuntimeError(f"llama-server was not ready after {_PATIENCE:.0f} s")
