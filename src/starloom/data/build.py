"""From sources to documents and token shards: the entry point of `data`, and the order of its stages.

read and filter each source -> hold out repositories -> exact duplicates -> near duplicates -> tokenizer -> write.
The output folder appears whole at the end or not at all; the same sources and settings give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np

from starloom.contract.tokenizer import Tokenizer
from starloom.core.errors import InputError, SettingsError
from starloom.core.files import check_free, new_folder, write_text
from starloom.core.progress import bar
from starloom.data.documents import DROPPED_SCHEMA, Document, DocumentWriter, TableWriter
from starloom.data.duplicates.near import NearDuplicates
from starloom.data.held_out import canonical, close_names, not_among
from starloom.data.languages import known_language
from starloom.data.quality.filters import EXACT_DUPLICATE, NEAR_DUPLICATE
from starloom.data.report import Failure, Report, make_report
from starloom.data.repositories import Entry, Repository, Rules, read_repository
from starloom.data.sequences import drop_not_expressible, train_tokenizer, write_shards
from starloom.data.sources.source import open_source


@dataclass(frozen=True)
class BuildConfig:
    """What to build from what. Sizes are in bytes. Raises `SettingsError` for values that cannot work.

    `languages` None keeps every language that is known; `validation` names whole repositories to hold out; with
    neither `tokenizer` (a place) nor `vocab_size` (train one) only documents are written.
    """

    sources: tuple[Path, ...]
    out: Path
    languages: tuple[str, ...] | None = None
    licences: Literal["permissive", "any"] = "permissive"
    tokenizer: Path | None = None
    vocab_size: int | None = None
    validation: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    seed: int = 0
    max_file_bytes: int = 1_000_000
    near_duplicates: bool = True
    metadata_probability: float = 0.5
    tokenizer_bytes: int = 200_000_000
    keep_going: bool = False

    def __post_init__(self) -> None:
        if not self.sources:
            raise SettingsError("no sources: name at least one folder, archive or git repository")
        if self.tokenizer is not None and self.vocab_size is not None:
            raise SettingsError("give either a tokenizer to use or the size of a vocabulary to train, not both")
        if not 0 <= self.metadata_probability <= 1:
            raise SettingsError(f"metadata_probability is {self.metadata_probability}; it must be between 0 and 1")
        for name in ("max_file_bytes", "tokenizer_bytes"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.licences not in ("permissive", "any"):
            raise SettingsError(f"licences is '{self.licences}'; it must be 'permissive' or 'any'")

    def rules(self) -> Rules:
        """What the first pass keeps."""
        languages = None if self.languages is None else frozenset(map(known_language, self.languages))
        return Rules(languages, self.exclude, self.max_file_bytes, self.licences == "any")

    def recorded(self) -> dict[str, object]:
        """The settings that decide what is written, for the report; no places on the disk."""
        return {
            "languages": sorted(self.rules().languages or ()) or None,
            "licences": self.licences,
            "validation": sorted(self.validation),
            "exclude": list(self.exclude),
            "seed": self.seed,
            "max_file_bytes": self.max_file_bytes,
            "near_duplicates": self.near_duplicates,
            "metadata_probability": self.metadata_probability,
        }


def build(config: BuildConfig) -> Report:
    """Build `config.out`. Raises `StarloomError`; then, as after a full disk, nothing is at `config.out`."""
    check_free(config.out)
    rules = config.rules()
    tokenizer = None if config.tokenizer is None else Tokenizer.open(config.tokenizer)
    with new_folder(config.out) as out:
        with TemporaryDirectory(dir=out, prefix=".spool-") as spool:
            repositories, failed = _read(config, rules, Path(spool))
            _hold_out(repositories, failed, config.validation)
            _drop_exact_duplicates(repositories)
            if config.near_duplicates:
                _drop_near_duplicates(repositories, Path(spool) / "shingles")
            if not any(True for repository in repositories for _ in repository.kept()):
                raise InputError(_nothing_kept(make_report(repositories, failed, {})))
            report = _write(config, repositories, failed, tokenizer, out)
        write_text(out / "report.json", report.to_json(indent=2) + "\n")
    return report


def _read(config: BuildConfig, rules: Rules, spool: Path) -> tuple[list[Repository], list[Failure]]:
    """The first pass over all sources; the repositories come back in the order of their names."""
    repositories, failed = [], []
    with bar("reading", len(config.sources)) as progress:
        for number, path in enumerate(config.sources):
            progress.say(path.name)
            try:
                repositories.append(read_repository(open_source(path), rules, spool / f"{number:06d}.parquet"))
            except InputError as error:
                if not config.keep_going:
                    raise
                failed.append(Failure(path.name, str(error).replace(str(path), path.name)))
            progress.advance()
    repositories.sort(key=lambda repository: repository.name)
    for one, other in pairwise(repositories):
        if one.name == other.name:
            raise InputError(
                f"'{one.source.path}' and '{other.source.path}' are both called '{one.name}': give one of them, or rename one"
            )
    return repositories, sorted(failed, key=lambda failure: failure.source)


def _hold_out(repositories: Sequence[Repository], failed: Sequence[Failure], names: Sequence[str]) -> None:
    by_name = {canonical(repository.name): repository for repository in repositories}
    lost = {canonical(open_name) for failure in failed for open_name in (failure.source, failure.source.split("-")[0])}
    for name in names:
        if canonical(name) in by_name:
            by_name[canonical(name)].held_out = True
        elif canonical(name) not in lost:
            known = {key: repository.name for key, repository in by_name.items()}
            raise InputError(not_among(name, close_names(name, known)))


def _ranked(repositories: Sequence[Repository]) -> Iterator[tuple[Repository, Entry]]:
    """Every kept entry in the total order in which the first of equals survives: held out first, then by name and path."""
    for repository in sorted(repositories, key=lambda item: (not item.held_out, item.name)):
        for entry in sorted(repository.kept(), key=lambda entry: entry.path):
            yield repository, entry


def _drop_exact_duplicates(repositories: Sequence[Repository]) -> None:
    first: dict[bytes, str] = {}
    for repository, entry in _ranked(repositories):
        place = f"{repository.name}/{entry.path}"
        survivor = first.setdefault(entry.sha256, place)
        if survivor is not place:
            entry.drop(EXACT_DUPLICATE, survivor)


def _drop_near_duplicates(repositories: Sequence[Repository], store: Path) -> None:
    places = {id(entry): rank for rank, (_, entry) in enumerate(_ranked(repositories))}
    entries: list[tuple[Repository, Entry]] = []
    with NearDuplicates(store) as duplicates, bar("near duplicates", len(places)) as progress:
        for repository in repositories:
            for entry, text in repository.texts():
                duplicates.add(text)
                entries.append((repository, entry))
                progress.advance()
        survivors = duplicates.survivors(np.array([places[id(entry)] for _, entry in entries], dtype=np.int64))
    for number, survivor in enumerate(survivors):
        if survivor != number:
            repository, entry = entries[survivor]
            entries[number][1].drop(NEAR_DUPLICATE, f"{repository.name}/{entry.path}")


def _nothing_kept(report: Report) -> str:
    reasons = sorted(report.dropped.items(), key=lambda item: -item[1].files)[:3]
    why = ", ".join(f"{count.files} {reason}" for reason, count in reasons) or "the sources hold no files"
    return f"none of {report.read.files} files was kept ({why}); nothing was written"


def _write(
    config: BuildConfig, repositories: list[Repository], failed: list[Failure], tokenizer: Tokenizer | None, out: Path
) -> Report:
    if config.vocab_size is not None:
        tokenizer = train_tokenizer(repositories, config.vocab_size, config.tokenizer_bytes, config.seed)
    if tokenizer is not None:
        tokenizer.save(out / "tokenizer")
        drop_not_expressible(repositories, tokenizer)
    _write_documents(repositories, out / "documents")
    _write_dropped(repositories, out / "dropped.parquet")
    report = make_report(repositories, failed, config.recorded())
    if tokenizer is not None:
        report.tokenizer = {
            "fingerprint": tokenizer.fingerprint,
            "vocab_size": tokenizer.vocab_size,
            "trained_here": config.vocab_size is not None,
        }
        for split, members in _splits(repositories):
            folder = out / "tokens" / split
            report.tokens[split] = write_shards(members, tokenizer, folder, config.seed, config.metadata_probability)
    return report


def _splits(repositories: Sequence[Repository]) -> Iterator[tuple[str, list[Repository]]]:
    """The repositories with documents of `train` and `validation`, each where there are any."""
    for split, held_out in (("train", False), ("validation", True)):
        members = [item for item in repositories if item.held_out is held_out and any(True for _ in item.kept())]
        if members:
            yield split, members


def _write_documents(repositories: Sequence[Repository], folder: Path) -> None:
    folder.mkdir()
    for split, members in _splits(repositories):
        with DocumentWriter(folder, split) as writer:
            for repository in members:
                for entry, text in repository.texts():
                    writer.add(_document(repository, entry, text))


def _document(repository: Repository, entry: Entry, text: str) -> Document:
    return Document(
        repository.name,
        entry.path,
        text,
        entry.size,
        entry.sha256.hex(),
        entry.language,
        entry.licence,
        entry.licence_source,
    )


def _write_dropped(repositories: Sequence[Repository], path: Path) -> None:
    with TableWriter(path, DROPPED_SCHEMA) as table:
        for repository in repositories:
            for entry in repository.entries:
                if entry.reason is not None:
                    table.add(
                        {
                            "repository": repository.name,
                            "path": entry.path,
                            "reason": entry.reason,
                            "size": entry.size,
                            "detail": entry.detail,
                        }
                    )
