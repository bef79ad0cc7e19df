"""Peers of `redaction.py`, each in an environment of its own: texts in, the spans that they call secret out.

    python secret_scanners.py detect-secrets|credsweeper texts.jsonl spans.jsonl

`texts.jsonl` has `{"text", "name"}` a line; `spans.jsonl` gets one list of [start, end] a line and at last the processor seconds.
"""

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path


def on_line(text: str, line: int, value: str) -> list[list[int]]:
    """Where `value` is on a line (from 1) or, when it is longer, behind its beginning."""
    starts = [0]
    for piece in text.split("\n"):
        starts.append(starts[-1] + len(piece) + 1)
    at = text.find(value, starts[min(line, len(starts) - 1) - 1]) if value else -1
    return [[at, at + len(value)]] if at >= 0 else []


def detect_secrets(texts: list[dict[str, str]], folder: Path) -> list[list[list[int]]]:
    from detect_secrets.core import scan
    from detect_secrets.settings import default_settings

    spans = []
    with default_settings():
        for number, entry in enumerate(texts):
            path = folder / f"{number}-{entry['name']}"
            path.write_text(entry["text"], newline="")
            found = [(secret.line_number, secret.secret_value) for secret in scan.scan_file(str(path))]
            spans.append([span for line, value in sorted(found) for span in on_line(entry["text"], line, value)])
    return spans


def credsweeper(texts: list[dict[str, str]], folder: Path) -> list[list[list[int]]]:
    for number, entry in enumerate(texts):
        (folder / f"{number}-{entry['name']}").write_text(entry["text"], newline="")
    report = folder.parent / "report.json"
    program = Path(sys.executable).parent / "credsweeper"
    subprocess.run([program, "--path", folder, "--save-json", report, "--jobs", "1"], check=True, stdout=subprocess.DEVNULL)
    spans: list[list[list[int]]] = [[] for _ in texts]
    for finding in json.loads(report.read_text()):
        for line in finding["line_data_list"]:
            number = int(Path(line["path"]).name.partition("-")[0])
            spans[number] += on_line(texts[number]["text"], line["line_num"], line["value"])
    return spans


def main() -> None:
    peer, source, target = sys.argv[1:]
    texts = [json.loads(line) for line in Path(source).read_text().splitlines()]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "texts"
        folder.mkdir()
        spans = {"detect-secrets": detect_secrets, "credsweeper": credsweeper}[peer](texts, folder)
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(each.ru_utime + each.ru_stime for each in usage)
    Path(target).write_text("".join(json.dumps(each) + "\n" for each in [*spans, seconds]))


if __name__ == "__main__":
    main()
