"""The same bytes from every engine, and what becomes of a task that takes its process with it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline_world import hashes

from starloom.core.errors import PipelineError, SettingsError
from starloom.data.pipeline.engines import on_ray, processes
from starloom.data.pipeline.engines.engine import EngineName, make_engine
from starloom.data.pipeline.run import run
from starloom.data.pipeline.settings import DataSettings

_DYING = """
import json, os, pathlib
from starloom.data.pipeline.engines import worker

def run_task(text, real=worker.run_task):
    task = json.loads(text)
    deaths = pathlib.Path({deaths!r})
    if (task["step"], task["part"]) == ("text", 1) and len(deaths.read_text()) < {times}:
        deaths.write_text(deaths.read_text() + "x")
        os._exit(7)
    return real(text)

worker.run_task = run_task
worker.main()
"""


@pytest.fixture(scope="module")
def _ray() -> Iterator[None]:
    """One Ray for all tests: starting it takes seconds."""
    import ray

    os.environ["RAY_AUTH_MODE"] = "disabled"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def _die(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, times: int) -> None:
    deaths = tmp_path / "deaths"
    deaths.write_text("")
    code = _DYING.format(deaths=str(deaths), times=times)
    monkeypatch.setattr(processes, "_COMMAND", [sys.executable, "-c", code])


def test_daft_gives_the_same_bytes(settings: DataSettings, finished: Path, tmp_path: Path) -> None:
    run(settings, str(tmp_path / "out"), engine="daft", workers=2)
    assert hashes(tmp_path / "out") == hashes(finished)
    assert os.environ["DO_NOT_TRACK"] == "true"


@pytest.mark.usefixtures("_ray")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")
def test_ray_gives_the_same_bytes(settings: DataSettings, finished: Path, tmp_path: Path) -> None:
    run(settings, str(tmp_path / "out"), engine="ray", workers=2)
    assert hashes(tmp_path / "out") == hashes(finished)


@pytest.mark.parametrize("engine", ["local", "daft"])
def test_a_worker_that_dies_once_is_replaced(
    engine: EngineName, settings: DataSettings, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _die(monkeypatch, tmp_path, 1)
    run(settings, str(tmp_path / "out"), engine=engine, workers=1)
    assert (tmp_path / "deaths").read_text() == "x"
    assert hashes(tmp_path / "out") == hashes(finished)


@pytest.mark.parametrize("engine", ["local", "daft"])
def test_a_task_that_kills_twice_is_named(
    engine: EngineName, settings: DataSettings, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _die(monkeypatch, tmp_path, 2)
    out = tmp_path / "out"
    with pytest.raises(PipelineError, match=r"died twice in step 'text', part 1 \(the process ended with code 7\)"):
        run(settings, str(out), engine=engine, workers=1)
    assert (tmp_path / "deaths").read_text() == "xx"
    assert (out / "ingest" / "00001.done").exists()
    monkeypatch.undo()
    run(settings, str(out), workers=0)
    assert hashes(out) == hashes(finished)


@pytest.mark.usefixtures("_ray")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")
def test_ray_names_a_task_that_kills_twice(settings: DataSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deaths = str(tmp_path / "deaths")

    def dying(text: str) -> str:
        import os

        with open(deaths, "a") as stream:  # noqa: PTH123
            stream.write("x")
        os._exit(7)

    monkeypatch.setattr(on_ray, "run_task", dying)
    with pytest.raises(PipelineError, match="died twice in step 'ingest', part 0"):
        run(settings, str(tmp_path / "out"), engine="ray", workers=1)
    assert (tmp_path / "deaths").read_text() == "xx"


def test_unknown_engines_and_numbers_of_workers_are_mistakes() -> None:
    with pytest.raises(SettingsError, match="local, daft, ray"):
        make_engine("spark", 1)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="at least 1"):
        make_engine("ray", 0)
