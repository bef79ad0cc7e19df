"""The contract of a model: its tokenizer, its special tokens by id, and every sequence it is trained on or asked with.

Written as `contract.json` beside the model, so that a prompt years later is laid out as the training sequences were.
Joins `tokenizer`, `layouts` and `healing`; knows nothing of models, of how cuts are drawn or of how tokens are chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from starloom.contract import layouts
from starloom.contract.contract_file import CONTRACT_FILE, ContractFile
from starloom.contract.gguf_vocabulary import read_gguf_vocabulary
from starloom.contract.healing import split_trailing
from starloom.contract.layouts import MARK_TEXTS, Marks, Order
from starloom.contract.pieces import as_bytes
from starloom.contract.tokenizer import Tokenizer
from starloom.core.errors import FormatError, InputError, MismatchError
from starloom.core.files import write_text

STOPS = ("end_of_text", "file_sep")
"""The marks at which a completion ends: nothing closes a middle but what closes its file (specification §3.2)."""


@dataclass(frozen=True)
class SourceFile:
    """A file of a repository: its path as the repository knows it, and its text.

    `special`: the places in a text (in characters, ascending) where the text of a special token stands for that token, as
    placeholders of redaction do. Anywhere else the same characters are a user's, and plain text. Only training looks at it.
    """

    path: str
    text: str | bytes
    special: tuple[int, ...] = ()


@dataclass(frozen=True)
class Prompt:
    """What to feed the model, the bytes that it must write before its completion begins (see `healing`), texts that end it."""

    ids: list[int]
    held_back: bytes = b""
    stop_texts: tuple[str, ...] = ()


class Contract:
    """One model's prompt format. Immutable; may be shared by threads.

    Training sequences raise `InputError` for bytes that the vocabulary lacks: nothing is lost silently. Prompts put
    U+FFFD in their place, because a strange character far from the cursor must not cost the completion.
    """

    def __init__(self, tokenizer: Tokenizer, order: Order = "spm") -> None:
        layouts.check_order(order)
        self.tokenizer, self.order = tokenizer, order
        self.marks = Marks.of(tokenizer)
        self.stops = tuple(getattr(self.marks, name) for name in STOPS)

    @classmethod
    def of(cls, path: Path) -> Self:
        """The contract of a model directory or of a GGUF file.

        A model that carries none, such as a published one, has the first version's defaults when its tokenizer holds
        the tokens they need. Raises `InputError`, `FormatError`, `MismatchError`.
        """
        if path.is_file() and path.suffix == ".gguf":
            header = read_gguf_vocabulary(path)
            tokenizer, text = Tokenizer(header.vocabulary), header.contract
        else:
            tokenizer, text = Tokenizer.open(path), _text_beside(path)
        try:
            return cls(tokenizer) if text is None else cls.from_json(text, tokenizer)
        except (FormatError, MismatchError) as error:
            raise type(error)(f"'{path}': {error}") from None

    @classmethod
    def from_json(cls, text: str, tokenizer: Tokenizer) -> Self:
        """Read the text of a `contract.json`. Raises `FormatError`, or `MismatchError` for another tokenizer's."""
        written = ContractFile.from_json(text)
        if written.tokenizer != tokenizer.fingerprint:
            raise MismatchError(
                f"the contract is one for the tokenizer {written.tokenizer}, but the model's is {tokenizer.fingerprint}"
            )
        contract = cls(tokenizer, written.order)
        if contract._file() != written:
            raise FormatError("the tokens or stops of the contract are not those of its tokenizer: it is damaged")
        return contract

    def to_json(self) -> str:
        """The text of `contract.json`, which is also the value of the GGUF key `starloom.contract`."""
        return self._file().to_json()

    def save(self, directory: Path) -> None:
        """Write `contract.json` and the tokenizer's two files into `directory`."""
        self.tokenizer.save(directory)
        write_text(directory / CONTRACT_FILE, self.to_json())

    def is_special(self, token: int) -> bool:
        """Whether `token` is a special token; a completion never shows one, and ends at those in `stops`."""
        return self.tokenizer.is_special(token)

    def fill_in_ids(
        self, prefix: str | bytes, middle: str | bytes, suffix: str | bytes, *, order: Order | None = None
    ) -> list[int]:
        """A fill-in fragment to train on, without an end. With metadata, `prefix` begins with the path and a newline."""
        before, inside, after = self.tokenizer.encode_batch([prefix, middle, suffix])
        return layouts.fill_in(self.marks, before, inside, after, order or self.order)

    def repository_ids(self, files: Sequence[SourceFile], *, repository: str | None) -> list[int]:
        """A repository to train on, ending with <|endoftext|>; without `repository`, its paths are left out as well."""
        texts = [_with_path(file.path, file.text) if repository is not None else file.text for file in files]
        name = None if repository is None else self.tokenizer.encode(_checked(repository, "repository name"))
        ids = self.tokenizer.encode_batch(texts)
        for number, (file, text) in enumerate(zip(files, texts, strict=True)):
            if file.special and isinstance(text, str):
                shift = len(text) - len(file.text)
                ids[number] = self.tokenizer.encode_marked(text, [place + shift for place in file.special])
        return layouts.repository(self.marks, name, ids)

    def fill_in_prompt(
        self,
        prefix: str | bytes,
        suffix: str | bytes,
        *,
        order: Order | None = None,
        path: str | None = None,
        repository: str | None = None,
        files: Sequence[SourceFile] = (),
    ) -> Prompt:
        """Ask for what stands between `prefix` and `suffix`, with `files` of the same repository in front.

        Nothing is held back: training cuts between any two characters and tokenises the parts for themselves, so a
        prefix that ends with a newline or within a word is what the model has learned to go on from.
        """
        start = self._files_start(path, repository, files)
        before, after = (self._prompt_ids(text) for text in (_in_file(path, prefix), suffix))
        return Prompt([*start, *layouts.fill_in_start(self.marks, before, after, order or self.order)])

    def continue_prompt(
        self, prefix: str | bytes, *, path: str | None = None, repository: str | None = None, files: Sequence[SourceFile] = ()
    ) -> Prompt:
        """Ask for what follows `prefix`, left to right. White space at its end is held back (see `healing`).

        Where no other token would be in front, as before an empty prefix, <file_sep> begins the file.
        """
        start = self._files_start(path, repository, files)
        text, held_back = split_trailing(as_bytes(_in_file(path, prefix), "replace"))
        ids = [*start, *self._prompt_ids(text)]
        return Prompt(ids or [self.marks.file_sep], held_back)

    def _files_start(self, path: str | None, repository: str | None, files: Sequence[SourceFile]) -> list[int]:
        """What stands before the current file's text: paths are shown when its own is known, as in training."""
        if path is None and repository is not None:
            raise InputError("a prompt that names its repository must also give the path of the current file")
        if path is None and not files:
            return []
        name = None if repository is None else self._prompt_ids(_checked(repository, "repository name"))
        texts = [file.text if path is None else _with_path(file.path, file.text) for file in files]
        others = self.tokenizer.encode_batch(texts, unknown="replace")
        return [*layouts.repository_start(self.marks, name, others), self.marks.file_sep]

    def _prompt_ids(self, text: str | bytes) -> list[int]:
        return self.tokenizer.encode(text, unknown="replace")

    def _file(self) -> ContractFile:
        ids = {MARK_TEXTS[name]: place for name, place in vars(self.marks).items()}
        return ContractFile(self.tokenizer.fingerprint, self.order, ids, tuple(MARK_TEXTS[name] for name in STOPS))


def _text_beside(path: Path) -> str | None:
    file = (path if path.is_dir() else path.parent) / CONTRACT_FILE
    try:
        return file.read_text(encoding="utf-8") if file.is_file() else None
    except UnicodeDecodeError as error:
        raise FormatError(f"'{file}' is damaged: it is not UTF-8 ({error})") from None


def _in_file(path: str | None, text: str | bytes) -> str | bytes:
    return text if path is None else _with_path(path, text)


def _with_path(path: str, text: str | bytes) -> str | bytes:
    """A file as training shows it: its path is the first line."""
    line = f"{_checked(path, 'path')}\n"
    return line + text if isinstance(text, str) else as_bytes(line, "replace") + text


def _checked(name: str, what: str) -> str:
    if not name or any(mark in name for mark in "\n\r\0"):
        raise InputError(f"the {what} is {name!r}; it must not be empty or hold a line end or NUL")
    return name
