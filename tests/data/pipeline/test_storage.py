"""The same run in an object store, and what storage promises."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest
from pipeline_world import hashes
from typer.testing import CliRunner

from starloom.cli import app
from starloom.core.errors import FormatError, InputError
from starloom.data.pipeline.addresses import source_lines
from starloom.data.pipeline.run import run
from starloom.data.pipeline.settings import DataSettings
from starloom.data.pipeline.storage import Storage


@pytest.fixture(scope="module")
def _bucket() -> Iterator[None]:
    """An S3 on this machine's loopback, with the bucket `bucket`."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("AWS_ENDPOINT_URL", f"http://{host}:{port}"),
            ("AWS_ACCESS_KEY_ID", "testing"),
            ("AWS_SECRET_ACCESS_KEY", "testing"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
        ):
            patch.setenv(name, value)
        fsspec.filesystem("s3", use_listings_cache=False).mkdir("bucket")
        yield
    server.stop()


def _said(*arguments: str) -> str:
    return CliRunner().invoke(app, ["data", *arguments], catch_exceptions=False).stdout


@pytest.mark.usefixtures("_bucket")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_run_in_an_object_store_gives_the_same_bytes(settings: DataSettings, tmp_path: Path) -> None:
    settings = replace(settings, sources=settings.sources[:2], buckets=1)
    run(settings, str(tmp_path / "local"), workers=0)
    report = run(settings, "s3://bucket/runs/one", workers=0).report
    store = fsspec.filesystem("s3", use_listings_cache=False)
    store.get("bucket/runs/one/", str(tmp_path / "one"), recursive=True)
    assert hashes(tmp_path / "one") == hashes(tmp_path / "local")
    before = {name: store.info(name)["LastModified"] for name in store.find("bucket/runs/one") if name.endswith(".done")}
    assert run(settings, "s3://bucket/runs/one", workers=0).report == report
    assert {name: store.info(name)["LastModified"] for name in before} == before
    for command in (["stats"], ["card"], ["inspect", "--reason", "exact duplicate", "--json"]):
        local, remote = (_said(*command, place) for place in (str(tmp_path / "local"), "s3://bucket/runs/one"))
        assert "exact" in local
        assert remote == local or command == ["stats"]
        assert "s3://bucket/runs/one/plots/languages.png" in remote or command != ["stats"]
    assert store.cat_file("bucket/runs/one/plots/languages.png").startswith(b"\x89PNG")
    with pytest.raises(InputError, match="there is no run at 's3://bucket/runs/two'"):
        _said("card", "s3://bucket/runs/two")


@pytest.mark.usefixtures("_bucket")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_change_in_an_object_store_is_noticed() -> None:
    store = fsspec.filesystem("s3", use_listings_cache=False)
    address = json.dumps({"kind": "issues", "path": "s3://bucket/events"})
    with pytest.raises(InputError, match="there is no source at 's3://bucket/events'"):
        source_lines([address])
    store.pipe("bucket/events/a.json", b"one")
    (first,) = source_lines([address])
    assert (first.size, source_lines([address])[0]) == (3, first)
    store.pipe("bucket/events/a.json", b"two")
    (second,) = source_lines([address])
    assert (second.size, second.identity != first.identity) == (3, True)
    store.pipe("bucket/events/b.json", b"three")
    assert source_lines([address])[0].size == 8
    one = json.dumps({"kind": "issues", "path": "s3://bucket/events/b.json"})
    assert source_lines([one])[0].size == 5


def test_a_file_is_whole_or_absent(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    storage.write("a/b.json", b"one")
    with contextlib.suppress(KeyError), storage.new("a/b.json") as partial:
        partial.write_bytes(b"tw")
        raise KeyError
    assert storage.read("a/b.json") == b"one"
    assert storage.names("a") == ["b.json"]
    assert storage.size("a/b.json") == 3


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    assert (storage.read("nothing"), storage.size("nothing"), storage.names("nothing")) == (None, None, [])
    with pytest.raises(FormatError, match="missing"), storage.open("nothing"):
        pass
    with pytest.raises(InputError, match="no place for a run"):
        Storage("nosuchprotocol://x")
