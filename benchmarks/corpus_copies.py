"""Other code of the same kind as given packages, for `corpus.py`: copies in which the words of few packages are others.

A word stays when many packages have it: keywords, common English, the words of licences. All others, identifiers and numbers
above all, have their letters and digits moved on in the alphabet by the number of the copy. So a copy has the sizes, the
languages and the duplicates of its original, and is far from it as duplicates are measured. What speaks of licences stays as
it is, the comments at the head of every file and files that speak for others, and so does what is not UTF-8.
"""

import io
import re
import string
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from starloom.data.duplicates.headers import body_start
from starloom.data.licences.evidence import file_evidence
from starloom.data.sources.files import Files
from starloom.data.sources.record import ReadSettings

SIZES = (1, 2, 4)
COMMON = 12
"""From so many packages on that have it, a word stays."""
_WORD = re.compile(rb"((?<![\w\\])\w{4,})")
_ALPHABETS = ((string.ascii_lowercase, 7), (string.ascii_uppercase, 7), (string.digits, 3))
"""With the steps that a copy moves on further than the copy before it."""


def write_copies(packages: Sequence[Path], folder: Path, num_copies: int) -> list[Path]:
    """Write all packages as tars below `folder`, copy by copy (the first is the original); what is there stays."""
    numbered = [(package, number) for number in range(num_copies) for package in packages]
    places = [folder / f"copy-{number}-{_plain_name(package)}" for package, number in numbered]
    if all(place.exists() for place in places):
        return places
    common = common_words(packages)
    renamings = [_Renaming(number, common) for number in range(num_copies)]
    for (package, number), place in zip(numbered, places, strict=True):
        if not place.exists():
            partial = place.with_suffix(".partial")
            with tarfile.open(partial, "w:gz", compresslevel=1) as archive:
                for path, content in _files(package):
                    _add(archive, path, renamings[number].renamed(path, content))
            partial.replace(place)
    return places


def common_words(packages: Sequence[Path]) -> frozenset[bytes]:
    """The words that `COMMON` packages or more have."""
    found: Counter[bytes] = Counter()
    for package in packages:
        found.update({word for _, content in _files(package) for word in _WORD.findall(content)})
    return frozenset(word for word, count in found.items() if count >= COMMON)


class _Renaming(dict[bytes, bytes]):
    """The words of one copy by those of the original; remembers the words that it has met."""

    def __init__(self, number: int, common: frozenset[bytes]) -> None:
        self._table, self._common = _moved(number), common

    def __missing__(self, word: bytes) -> bytes:
        self[word] = word if word in self._common else word.translate(self._table)
        return self[word]

    def renamed(self, path: str, content: bytes) -> bytes:
        """The file with its words renamed, of the same length."""
        head = _unchanged(path, content)
        pieces = _WORD.split(content[head:])
        pieces[1::2] = map(self.__getitem__, pieces[1::2])
        return content[:head] + b"".join(pieces)


def _unchanged(path: str, content: bytes) -> int:
    """How many bytes at the head of a file stay as they are: those of its comments, or all."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return len(content)
    speaks_for_others = any(item.scope != "file" for item in file_evidence(path, text))
    return len(content) if speaks_for_others else len(text[: body_start(text)].encode())


def _moved(number: int) -> bytes:
    turned = "".join(letters[(step := number * by % len(letters)) :] + letters[:step] for letters, by in _ALPHABETS)
    return bytes.maketrans("".join(letters for letters, _ in _ALPHABETS).encode(), turned.encode())


def _files(package: Path) -> Iterator[tuple[str, bytes]]:
    for record in Files(package).records(ReadSettings()):
        if record.content is not None:
            yield record.path, record.content


def _add(archive: tarfile.TarFile, path: str, content: bytes) -> None:
    member = tarfile.TarInfo(f"all/{path}")
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def _plain_name(package: Path) -> str:
    return f"{package.name.removesuffix('.gz').removesuffix('.tar')}.tar.gz"
