"""The settings of a run of the pipeline, one group a stage. Defaults are The Stack v2's (StarCoder 2 paper, section 2)."""

from __future__ import annotations

from dataclasses import dataclass, field

from starloom.core.errors import SettingsError
from starloom.data.mixture import Mixture
from starloom.data.orders import FileOrder


@dataclass(frozen=True)
class NearSettings:
    """Near duplicates: `bands` of `rows` minima propose pairs, a Jaccard similarity of `threshold` decides.

    `rounds` 0 finds connected groups in one part, which takes about 100 bytes of memory for each pair of duplicates; else in so
    many rounds over buckets (6 are enough for most sets; too few are an error).
    """

    threshold: float = 0.7
    bands: int = 35
    rows: int = 7
    rounds: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise SettingsError(f"near.threshold is {self.threshold}; it must be above 0 and at most 1")
        if self.rounds < 0:
            raise SettingsError(f"near.rounds is {self.rounds}; it must be at least 0")


@dataclass(frozen=True)
class LicenceSettings:
    """Which licences may stay: those of a named `policy`.

    `keep_unlicensed`: files of which no licence is known stay too, as in The Stack v2. `exempt_kinds`: kinds of records whose
    licence is noted and does not decide: issues, whose events never tell one and of which StarCoder 2 asked none.
    """

    policy: str = "permissive"
    keep_unlicensed: bool = False
    exempt_kinds: tuple[str, ...] = ("issue",)


@dataclass(frozen=True)
class ValidationSettings:
    """Whole repositories held out for validation: those named in `repositories` (compared as PyPI compares names), and of all
    others about `share`, drawn by their names."""

    repositories: tuple[str, ...] = ()
    share: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise SettingsError(f"validation.share is {self.share}; it must be at least 0 and below 1")

    @property
    def is_asked_for(self) -> bool:
        """Whether anything is to be held out."""
        return bool(self.repositories) or self.share > 0


@dataclass(frozen=True)
class MalwareSettings:
    """Our rules, and more `rules` (YARA) and `deny_lists` (hashes) by their files; `clamd` is a daemon's address."""

    enabled: bool = True
    rules: tuple[str, ...] = ()
    deny_lists: tuple[str, ...] = ()
    clamd: str | None = None


@dataclass(frozen=True)
class RedactionSettings:
    """Personal data and secrets; `secrets` takes the rules of betterleaks as well."""

    enabled: bool = True
    secrets: bool = True


@dataclass(frozen=True)
class TokenSettings:
    """Token shards of repository sequences, with the `tokenizer` at that place; without one there are none.

    `order` of a repository's files, `metadata_probability` of showing its name and paths, `max_bytes` from which a repository
    becomes several sequences; `mixture`: weights and caps by language and by kind of record.
    """

    tokenizer: str | None = None
    order: FileOrder = "random"
    metadata_probability: float = 0.5
    max_bytes: int = 16 * 2**20
    mixture: Mixture = field(default_factory=Mixture)


@dataclass(frozen=True)
class DataSettings:
    """A whole run. Sizes are in bytes.

    `shard_bytes`: sources fill a shard up to about this much; `group_bytes`: what a stage holds in memory at a time;
    `buckets`: the parts of every exchange, one of which is in memory at a time. `languages` None keeps every language.
    With `keep_going`, a source that cannot be read is one dropped row instead of the end of the run. `opt_out`: files with
    lists; `benchmarks`: files and folders with what must not be trained on.
    """

    sources: tuple[str, ...] = ()
    seed: int = 0
    shard_bytes: int = 256 * 2**20
    group_bytes: int = 16 * 2**20
    buckets: int = 16
    max_file_bytes: int = 10_000_000
    keep_going: bool = True
    validation: ValidationSettings = field(default_factory=ValidationSettings)
    languages: tuple[str, ...] | None = None
    licences: LicenceSettings = field(default_factory=LicenceSettings)
    parse: bool = True
    opt_out: tuple[str, ...] = ()
    benchmarks: tuple[str, ...] = ()
    malware: MalwareSettings = field(default_factory=MalwareSettings)
    near: NearSettings = field(default_factory=NearSettings)
    redaction: RedactionSettings = field(default_factory=RedactionSettings)
    tokens: TokenSettings = field(default_factory=TokenSettings)

    def __post_init__(self) -> None:
        for name in ("shard_bytes", "group_bytes", "buckets", "max_file_bytes"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be at least 1")
