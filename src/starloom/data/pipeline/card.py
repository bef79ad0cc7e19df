"""A data card in Markdown: what a run's documents are, where they come from, what was done to them and what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starloom.data.linguist import backend
from starloom.data.pipeline.finished import FinishedRun
from starloom.data.pipeline.report import Count
from starloom.data.pipeline.settings import DataSettings
from starloom.data.pipeline.statistics import FOLDER, Statistics

_ROWS = 40


def card(run: FinishedRun, found: Statistics, *, plots: bool) -> str:
    """The card; with `plots` it shows the figures that `statistics.draw` wrote."""
    settings = run.layout.settings
    parts = [
        _opening(run, found),
        _section("Sources", _sources(found)),
        _section("Languages", _table("language", found.languages) + _figure("languages", plots)),
        _section("Licences", _licences(settings) + _table("licence", found.licences) + _figure("licences", plots)),
        _section("What was left out", _table("reason", found.reasons) + _figure("reasons", plots)),
        _section("Sizes", _table("bytes, from", found.sizes) + _figure("sizes", plots)),
        _section("Duplicates", _duplicates(settings, found) + _figure("duplicates", plots)),
        _section("Personal data, benchmarks, malware, opt-out", _protection(settings, found)),
        _section("Limits", _LIMITS),
        _section("Settings", _settings(run.report["settings"])),
    ]
    return "\n".join(parts)


_LIMITS = """Licences are what files, manifests and hosts say; nobody was asked. Languages are Linguist's judgement. Detectors of
personal data, secrets and malware miss some and flag some that are none. Texts may hold mistakes, vulnerabilities and
offensive words, as their sources do.
"""


def _opening(run: FinishedRun, found: Statistics) -> str:
    languages = len([name for name in found.languages if name])
    held_out = (
        f"{found.held_out.files:,} documents ({found.held_out.bytes / 1e6:,.1f} MB) of whole repositories are held out for "
        "validation, and no training document repeats one.\n\n"
        if found.held_out.files
        else ""
    )
    return (
        f"# Data card\n\n{found.kept.files:,} documents, {found.kept.bytes / 1e6:,.1f} MB, {languages} languages, kept of "
        f"{found.read.files:,} records ({found.read.bytes / 1e6:,.1f} MB) from {sum(map(len, run.layout.shards)):,} sources.\n\n"
        f"{held_out}"
        "Every record that was read is kept or has one reason: the numbers below add up. `starloom data inspect` "
        "shows any of them.\n"
    )


def _sources(found: Statistics) -> str:
    lines = ["| source | files read | MB read | files kept | MB kept |", "|---|---:|---:|---:|---:|"]
    for name, (read, kept) in list(found.sources.items())[:_ROWS]:
        lines.append(f"| {name} | {read.files:,} | {read.bytes / 1e6:,.2f} | {kept.files:,} | {kept.bytes / 1e6:,.2f} |")
    more = f"\n{len(found.sources) - _ROWS:,} more in `run.json`.\n" if len(found.sources) > _ROWS else ""
    return "\n".join(lines) + "\n" + more


def _licences(settings: DataSettings) -> str:
    unknown = "stay too" if settings.licences.keep_unlicensed else "are dropped"
    exempt = ", ".join(settings.licences.exempt_kinds)
    kinds = f" The licence does not decide for: {exempt}." if exempt else ""
    return (
        f"Policy `{settings.licences.policy}`: a file stays when everything that applies to it (what it says itself, licence "
        f"files and manifests in its folder and above, its host) is permissive. Files without any known licence "
        f"{unknown}.{kinds} Each document keeps its licence and the evidence for it.\n\n"
    )


def _duplicates(settings: DataSettings, found: Statistics) -> str:
    near = settings.near
    lines = [
        f"Exact: equal SHA-256. Near: connected by a Jaccard similarity of at least {near.threshold} between sets of five words, "
        f"proposed by {near.bands} bands of {near.rows} minima and verified on the sets. One file of a group stays: held out for "
        "validation before others, permissive before unlicensed, own before vendored code, more stars, later date, then the "
        "order of the sources.\n",
    ]
    for name, groups in (("exact", found.exact_groups), ("near", found.near_groups)):
        largest = f"; the largest has {max(groups)} files" if groups else ""
        lines.append(f"- {sum(groups.values()):,} groups of {name} duplicates{largest}")
    return "\n".join(lines) + "\n"


def _protection(settings: DataSettings, found: Statistics) -> str:
    def listed(names: tuple[str, ...]) -> str:
        return ", ".join(f"`{name.rstrip('/').rpartition('/')[2]}`" for name in names)

    redaction = (
        f"{found.redacted.files:,} kept documents were changed: names, e-mail addresses, keys, passwords and IP addresses gave "
        "way to placeholders or private addresses"
        if settings.redaction.enabled
        else "nothing was looked for or replaced"
    )
    benchmarks = f"texts with a task of {listed(settings.benchmarks)} were dropped" if settings.benchmarks else "not looked for"
    opt_out = f"what {listed(settings.opt_out)} names was dropped" if settings.opt_out else "no lists"
    malware = "rules for malicious source" if settings.malware.enabled else "not looked for"
    return (
        f"- Personal data and secrets: {redaction}.\n- Benchmarks: {benchmarks}.\n- Malware: {malware}.\n- Opt-out: {opt_out}.\n"
    )


def _settings(settings: Mapping[str, Any]) -> str:
    lines = [f"- `{name}`: `{_without_places(value)}`" for name, value in settings.items()]
    return "\n".join([*lines, f"- languages by {backend()}"]) + "\n"


def _without_places(value: Any) -> Any:
    """The same value, with absolute paths by their last part alone: where things lie on one machine says nothing on another."""
    if isinstance(value, Mapping):
        return {name: _without_places(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_places(each) for each in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _table(name: str, counts: Mapping[str, Count]) -> str:
    rows = [f"| {key or '(none)'} | {count.files:,} | {count.bytes / 1e6:,.2f} |" for key, count in list(counts.items())[:_ROWS]]
    more = f"\n{len(counts) - _ROWS:,} more in `report.json`.\n" if len(counts) > _ROWS else ""
    return "\n".join([f"| {name} | files | MB |", "|---|---:|---:|", *rows]) + "\n" + more


def _figure(name: str, plots: bool) -> str:
    return f"\n![{name}]({FOLDER}/{name}.png)\n" if plots else ""


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}"
