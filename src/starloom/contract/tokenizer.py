"""The tokenizer: bytes of code to ids and back, exactly, and never a special token from a user's text.

Byte-level BPE on the `tokenizers` library with StarCoder 2's recipe (specification §2.1): digits one by one, then the
GPT-2 rule, no normaliser, nothing added in front. The recipe is fixed here; files only bring a vocabulary. The
instance that encodes knows no added tokens at all, so "<fim_middle>" in a file is ten characters like any others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from starloom.contract.alphabet import SYMBOL_OF_BYTE
from starloom.contract.gguf_vocabulary import read_gguf_vocabulary
from starloom.contract.json_vocabulary import read_json_vocabulary
from starloom.contract.pieces import Unknown, as_bytes, is_plain, pieces
from starloom.contract.starts import Starts
from starloom.contract.tokens import END_OF_TEXT, SPECIAL_TOKENS
from starloom.contract.vocabulary import Vocabulary
from starloom.core.errors import InputError, SettingsError
from starloom.core.files import write_text

SMALLEST = len(SPECIAL_TOKENS) + 256
"""The fewest tokens a trained vocabulary can have: the special tokens and every byte."""

TOKENIZER_FILE, TOKENIZER_CONFIG_FILE = "tokenizer.json", "tokenizer_config.json"

Ids: TypeAlias = Sequence[int] | npt.NDArray[np.integer]


class Tokenizer:
    """Encodes and decodes with one vocabulary. Immutable; one instance may be shared by threads."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._plain = _assemble(vocabulary)
        self._symbol_ids = [vocabulary.ids.get(symbol) for symbol in SYMBOL_OF_BYTE]
        self.missing_bytes = frozenset(byte for byte, place in enumerate(self._symbol_ids) if place is None)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a `tokenizer.json`, a directory that holds one, or a GGUF file. Raises `InputError`, `FormatError`."""
        if path.is_dir():
            path = path / TOKENIZER_FILE
        if not path.is_file():
            raise InputError(f"there is no tokenizer at '{path}': name a tokenizer.json, a model directory or a GGUF file")
        if path.suffix == ".gguf":
            return cls(read_gguf_vocabulary(path).vocabulary)
        return cls(read_json_vocabulary(path))

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> Self:
        """Train on `texts`: the 38 special tokens, the 256 bytes, then merges up to `vocab_size` tokens.

        The same texts in the same order give the same tokenizer. Texts that hold too few pairs give fewer tokens.
        Raises `SettingsError` for a `vocab_size` below 294, `InputError` for a text that is no Unicode.
        """
        if vocab_size < SMALLEST:
            raise SettingsError(
                f"vocab_size is {vocab_size}; it must be at least {SMALLEST} ({len(SPECIAL_TOKENS)} special tokens + 256 bytes)"
            )
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=list(SYMBOL_OF_BYTE),
            show_progress=False,
        )
        learner = tokenizers.Tokenizer(models.BPE())
        learner.pre_tokenizer = _pre_tokenizer()
        learner.train_from_iterator(_unicode(texts), trainer)
        return cls(_learned(learner))

    def save(self, directory: Path) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`, which `transformers` opens and gives the same ids."""
        write_text(directory / TOKENIZER_FILE, self._with_special.to_str(pretty=True) + "\n")
        write_text(directory / TOKENIZER_CONFIG_FILE, json.dumps(self._transformers_config(), indent=2) + "\n")

    @property
    def vocab_size(self) -> int:
        """How many ids there are, special tokens included."""
        return len(self.vocabulary.tokens)

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the vocabulary, the same whatever file it came from."""
        return self.vocabulary.fingerprint

    @property
    def tokens(self) -> tuple[str, ...]:
        """Every token in id order, in the GPT-2 byte alphabet; special tokens as their text."""
        return self.vocabulary.tokens

    @property
    def merges(self) -> list[str]:
        """The merges in order, each as `"left right"`."""
        return [f"{left} {right}" for left, right in self.vocabulary.merges]

    @property
    def special_ids(self) -> Mapping[str, int]:
        """The id of every special token by its text."""
        return self.vocabulary.special_ids

    @property
    def token_bytes(self) -> Sequence[bytes]:
        """The bytes of every id; special tokens give none."""
        return self.vocabulary.bytes_of_id

    @cached_property
    def starts(self) -> Starts:
        """The tokens by their bytes (see `healing`)."""
        return Starts(self.token_bytes)

    def is_special(self, token: int) -> bool:
        """Whether the id `token` is a special token."""
        return token in self.vocabulary.special

    def encode(self, text: str | bytes, *, unknown: Unknown = "error") -> list[int]:
        """The ids of `text`, among which there is never a special token.

        Bytes that are not valid UTF-8 are one byte symbol each, so that any bytes come back from `decode_bytes`.
        A text may hold such bytes as surrogate escapes (PEP 383). What the vocabulary has no symbol for - the
        published one lacks 14 byte values - raises `InputError` with its place, or with `unknown="replace"` is
        encoded as U+FFFD; so are surrogates that stand for no byte.
        """
        if is_plain(text, self.missing_bytes):
            return self._ids(text if isinstance(text, str) else text.decode())
        ids: list[int] = []
        for piece in pieces(as_bytes(text, unknown), self.missing_bytes, unknown):
            if isinstance(piece, str):
                ids += self._ids(piece)
            else:
                ids += (self._symbol_id(byte) for byte in piece)
        return ids

    def encode_batch(self, texts: Sequence[str | bytes], *, unknown: Unknown = "error") -> list[list[int]]:
        """`encode` for many texts at once, on all cores."""
        plain = [is_plain(text, self.missing_bytes) for text in texts]
        ready = [text if isinstance(text, str) else text.decode() for text, fits in zip(texts, plain, strict=True) if fits]
        encoded = iter(self._plain.encode_batch_fast(ready, add_special_tokens=False))
        return [
            next(encoded).ids if fits else self.encode(text, unknown=unknown) for text, fits in zip(texts, plain, strict=True)
        ]

    def encode_with_special(self, text: str | bytes, *, unknown: Unknown = "error") -> list[int]:
        """The ids of `text` with the texts of special tokens read as special tokens: to look at a prompt, for nothing else.

        Never for text of users; `encode` is. Raises `InputError` as `encode` does.
        """
        ids: list[int] = []
        for place, part in enumerate(self._special_pattern.split(as_bytes(text, unknown))):
            ids += [self.special_ids[part.decode()]] if place % 2 else self.encode(part, unknown=unknown)
        return ids

    def encode_marked(self, text: str, places: Iterable[int]) -> list[int]:
        """The ids of `text`, in which the text of a special token is that token at `places` and nowhere else.

        Places count characters, ascend, and do not overlap; one where the vocabulary has no such token is plain text. Raises
        `InputError` as `encode` does.
        """
        ids: list[int] = []
        done = 0
        for place in places:
            token = max((token for token in self.special_ids if text.startswith(token, place)), key=len, default=None)
            if token is not None:
                ids += [*self.encode(text[done:place]), self.special_ids[token]]
                done = place + len(token)
        return ids + self.encode(text[done:])

    def decode_bytes(self, ids: Ids, *, special: bool = False) -> bytes:
        """The bytes of `ids`, exactly; special tokens are left out, or with `special` written as their text."""
        table = self._special_bytes if special else self.vocabulary.bytes_of_id
        places = ids.tolist() if isinstance(ids, np.ndarray) else list(ids)
        if places and (min(places) < 0 or max(places) >= len(table)):
            outside = next(place for place in places if not 0 <= place < len(table))
            raise InputError(f"id {outside} is outside the vocabulary: ids go from 0 to {len(table) - 1}")
        return b"".join([table[place] for place in places])

    def decode(self, ids: Ids, *, special: bool = False) -> str:
        """`decode_bytes` as text; what is not UTF-8 becomes U+FFFD."""
        return self.decode_bytes(ids, special=special).decode(errors="replace")

    @cached_property
    def _special_bytes(self) -> tuple[bytes, ...]:
        special = {place: text.encode() for text, place in self.special_ids.items()}
        return tuple(special.get(place, plain) for place, plain in enumerate(self.token_bytes))

    @cached_property
    def _special_pattern(self) -> re.Pattern[bytes]:
        longest_first = sorted((text.encode() for text in self.special_ids), key=len, reverse=True)
        return re.compile(b"(" + b"|".join(map(re.escape, longest_first)) + b")" if longest_first else b"($.)")

    @cached_property
    def _with_special(self) -> tokenizers.Tokenizer:
        whole = _assemble(self.vocabulary)
        whole.add_special_tokens([tokenizers.AddedToken(text, special=True, normalized=False) for text in self.special_ids])
        return whole

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._plain.encode_batch_fast([text], add_special_tokens=False)[0].ids
        return ids

    def _symbol_id(self, byte: int) -> int:
        place = self._symbol_ids[byte]
        assert place is not None, "pieces() lets no missing byte through"
        return place

    def _transformers_config(self) -> dict[str, object]:
        config: dict[str, object] = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
        if END_OF_TEXT in self.special_ids:
            config |= dict.fromkeys(("bos_token", "eos_token", "unk_token"), END_OF_TEXT)
        return config


def _pre_tokenizer() -> pre_tokenizers.Sequence:
    digits = pre_tokenizers.Digits(individual_digits=True)
    return pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])


def _assemble(vocabulary: Vocabulary) -> tokenizers.Tokenizer:
    whole = tokenizers.Tokenizer(models.BPE(vocab=vocabulary.ids, merges=list(vocabulary.merges)))
    whole.pre_tokenizer = _pre_tokenizer()
    whole.decoder = decoders.ByteLevel()
    return whole


def _learned(learner: tokenizers.Tokenizer) -> Vocabulary:
    model = json.loads(learner.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    merges = tuple((left, right) for left, right in model["merges"])
    return Vocabulary(tuple(tokens), merges, frozenset(range(len(SPECIAL_TOKENS))))


def _unicode(texts: Iterable[str]) -> Iterator[str]:
    for place, text in enumerate(texts):
        if not is_plain(text, frozenset()):
            raise InputError(f"text {place} holds lone surrogates, which are no Unicode: decode it with errors='replace' first")
        yield text
