import codecs
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from starloom.data.quality.decoding import Decoded, decode, utf8

RUSSIAN = "// Это комментарий на русском языке для проверки\nint x;\n"
JAPANESE = "// これは日本語のコメントです。プログラムの説明\nint x = 1;\n"


@pytest.mark.parametrize(
    ("written", "found", "text"),
    [
        ("windows-1252", "windows-1252", "# Größe der Schleife für Prüfungen\n// naïve café\n"),
        ("iso8859_2", "iso-8859-2", "// Zażółć gęślą jaźń, proszę bardzo\n"),
        ("windows-1251", "windows-1251", RUSSIAN),
        ("koi8-r", "koi8-u", RUSSIAN),
        ("cp866", "ibm866", RUSSIAN),
        ("windows-1253", "windows-1253", "// Αυτό είναι ένα σχόλιο στα ελληνικά\n"),
        ("windows-1255", "windows-1255", "// זוהי הערה בעברית לבדיקה\n"),
        ("shift_jis", "cp932", JAPANESE),
        ("euc_jp", "euc-jp", JAPANESE),
        ("gbk", "gb18030", "// 这是一个中文注释,用来测试编码检测\n"),
        ("big5", "big5hkscs", "// 這是一個中文註釋,用來測試編碼檢測\n"),
        ("euc_kr", "cp949", "// 이것은 한국어 주석입니다. 인코딩 검출 시험\n"),
    ],
)
def test_legacy_encodings_are_found(written: str, found: str, text: str) -> None:
    assert decode(text.encode(written)) == Decoded(text, found)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", Decoded("", "utf-8")),
        (b"x = 1\r\n", Decoded("x = 1\r\n", "utf-8")),
        (codecs.BOM_UTF8 + "é".encode(), Decoded("é", "utf-8-sig")),
        ("é = 1".encode("utf-16"), Decoded("é = 1", "utf-16")),
        (codecs.BOM_UTF16_BE + "é = 1".encode("utf-16-be"), Decoded("é = 1", "utf-16")),
        (codecs.BOM_UTF32_LE + "é".encode("utf-32-le"), Decoded("é", "utf-32")),
        (codecs.BOM_UTF32_BE + "é".encode("utf-32-be"), Decoded("é", "utf-32")),
        (codecs.BOM_UTF16_LE + b"odd", None),
        (codecs.BOM_UTF16_LE + b"a\0\0\0", None),
        (codecs.BOM_UTF8 + b"\xff", None),
        (codecs.BOM_UTF8 + b"a\0", None),
        (b"a\0b", None),
        (b"caf\xe9 \x01\x02 na\xefve", None),
        (b"caf\xe9 na\xefve\x1a", Decoded("café naïve\x1a", "windows-1252")),
        (b"\x1b[1m caf\xe9 na\xefve", Decoded("\x1b[1m café naïve", "windows-1252")),
    ],
)
def test_marks_utf8_and_binary(data: bytes, expected: Decoded | None) -> None:
    assert decode(data) == expected


@given(st.binary(max_size=200))
@example(b"\xff\xfe")
@example(b"\xff\xfe\0\0")
def test_the_encoding_gives_the_text_back(data: bytes) -> None:
    found = decode(data)
    if found is not None:
        assert data.decode(found.encoding) == found.text
        assert "\0" not in found.text


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=100))
def test_utf8_comes_back_as_it_was(text: str) -> None:
    data = text.encode()
    assert utf8(data) == text
    if not text.startswith("\ufeff"):
        assert decode(data) == Decoded(text, "utf-8")


@pytest.mark.parametrize("data", [b"a = \xe9\n" * 1_700_000, bytes(random.Random(1).choices(range(128, 256), k=10_000_000))])
def test_ten_hostile_megabytes_end(data: bytes) -> None:
    found = decode(data)
    assert found is None or data.decode(found.encoding) == found.text
