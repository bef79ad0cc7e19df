import pytest

from starloom.data.licences.dep5 import expression_of, matcher, read_dep5


@pytest.mark.parametrize(
    ("synopsis", "expression"),
    [
        ("Expat", "MIT"),
        ("GPL-2+", "GPL-2.0-or-later"),
        ("GPL-3", "GPL-3.0-only"),
        ("LGPL-2.1+", "LGPL-2.1-or-later"),
        ("GFDL-NIV-1.3+", "GFDL-1.3-or-later"),
        ("GPL-2+ or Expat", "GPL-2.0-or-later OR MIT"),
        ("GPL-2+ and BSD-3-clause", "GPL-2.0-or-later AND BSD-3-Clause"),
        ("Apache-2.0 or Expat, and BSD-2-clause", "Apache-2.0 OR (MIT AND BSD-2-Clause)"),
        ("GPL-2+ with OpenSSL exception", "GPL-2.0-or-later"),
        ("Artistic or GPL-1+", "Artistic-1.0-Perl OR GPL-1.0-or-later"),
        ("public-domain", "LicenseRef-scancode-public-domain"),
        ("BSD-3-clause~Google", "BSD-3-Clause"),
        ("custom", "LicenseRef-Unknown"),
    ],
)
def test_short_names_become_spdx(synopsis: str, expression: str) -> None:
    assert expression_of(synopsis) == expression


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*", "a/b.c", True),
        ("src/*", "src/a/b.c", True),
        ("src/*.h", "src/a/b.c", False),
        ("a?.c", "ab.c", True),
        ("a?.c", "abc.c", False),
        ("a\\*.c", "a*.c", True),
        ("a\\*.c", "ab.c", False),
        ("a.c", "a+c", False),
        ("./a.c", "a.c", True),
        ("a*b*c", "axxbxxbxxc", True),
        ("a*b*c", "axxcxxb", False),
        ("*.tar.*", "a.tar.b.tar.gz", True),
        ("*b", "ab/ab", True),
        ("*" * 40 + "x", "a" * 10_000, False),
        ("*a" * 40 + "x", "a" * 10_000, False),
    ],
)
def test_patterns(pattern: str, path: str, matches: bool) -> None:
    assert bool(matcher((pattern,)).fullmatch(path)) is matches


def test_paragraphs_in_order_and_other_formats_say_nothing() -> None:
    text = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
    text += "Files: a/*\n b/*\nLicense: Expat\n text\n"
    (paragraph,) = read_dep5(text)
    assert (paragraph.patterns, paragraph.expression) == (("a/*", "b/*"), "MIT")
    assert read_dep5(text + "\nFiles: " + "x " * 30_000 + "\nLicense: Expat\n")[0].expression == "LicenseRef-Unknown"
    assert read_dep5("This package was debianized by A.\n\nFiles: *\nLicense: Expat\n") == []
