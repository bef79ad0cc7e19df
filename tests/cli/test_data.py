import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from starloom.cli import app, main
from starloom.core.errors import InputError
from starloom.data.registries import REGISTRIES

MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software"


def project(folder: Path, name: str) -> Path:
    path = folder / name
    path.mkdir(parents=True)
    (path / "LICENSE").write_text(MIT)
    (path / "a.py").write_text("".join(f"def {name}_{number}(value):\n    return value\n" for number in range(40)))
    return path


def test_build_shows_what_became_of_the_files_and_ends_with_json(tmp_path: Path) -> None:
    one, two = project(tmp_path, "one"), project(tmp_path, "two")
    (tmp_path / "list").write_text(f"# more\n{two}\n")
    (tmp_path / "held").write_text("two\n")
    arguments = ["data", "build", str(one), "--list", str(tmp_path / "list"), "--out", str(tmp_path / "out")]
    options = ["--languages", "python", "--vocab-size", "400", "--validation-list", str(tmp_path / "held"), "--json"]
    done = CliRunner().invoke(app, [*arguments, *options])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout.splitlines()[-1])
    assert report == json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["kept"] == {"train": {"files": 1, "bytes": 1430}, "validation": {"files": 1, "bytes": 1430}}
    assert "language unknown" in done.stderr


def test_build_prints_tables_on_standard_output(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["data", "build", str(project(tmp_path, "one")), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0
    for word in ("kept for train", "language unknown", "Python", "MIT"):
        assert word in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent", "--out", "out"], "there is no source at 'absent'"),
        (["--out", "out"], "no sources"),
        (["x", "--out", "out", "--licences", "mine"], "permissive or any"),
        (["x", "--out", "out", "--list", "absent"], "cannot be read"),
        (["x", "--out", "out", "--languages", "Pyton"], "did you mean"),
        (["x", "--out", "out", "--tokenizer", "absent"], "there is no tokenizer"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_1(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["starloom", "data", "build", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    error = capsys.readouterr().err
    assert stopped.value.code == 1
    assert error.startswith("starloom: ")
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_fetch_reports_failures_with_exit_code_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(self: object, registry: str, name: str, version: str | None, folder: Path) -> None:
        if name == "absent":
            raise InputError(f"{registry}: {name} cannot be fetched: no such thing")
        (folder / f"{name}-{version}-py3-none-any.whl").write_bytes(b"1")

    monkeypatch.setattr("starloom.data.registries.Downloads.__call__", download)
    (tmp_path / "names").write_text("good==1.0\nnpm:absent\n")
    done = CliRunner().invoke(app, ["data", "fetch", str(tmp_path / "names"), "--out", str(tmp_path / "out"), "--json"])
    assert done.exit_code == 1
    assert "npm: absent cannot be fetched: no such thing" in done.stderr
    assert "1 packages in" in done.stderr
    assert json.loads(done.stdout)["packages"][0]["file"] == "good-1.0-py3-none-any.whl"


def test_fetch_knows_the_registries(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["data", "fetch", "--help"], env={"COLUMNS": "200"}).stdout
    for registry in REGISTRIES:
        assert registry == "pypi" or f"{registry}:" in shown
    (tmp_path / "names").write_text("cargo:serde\n")
    with pytest.raises(InputError, match="'cargo:serde' is not of the form"):
        CliRunner().invoke(
            app, ["data", "fetch", str(tmp_path / "names"), "--out", str(tmp_path / "out")], catch_exceptions=False
        )


def test_help_needs_none_of_the_heavy_libraries() -> None:
    code = "import sys, starloom.cli; assert not {'pyarrow', 'numpy', 'torch', 'tokenizers'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)
