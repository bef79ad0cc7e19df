from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from source_samples import contents, refusals, write_folder, write_tar

from starloom.data.sources.documentation import NO_TEXT, NOT_DOCUMENTATION, Documentation
from starloom.data.sources.html_text import html_text
from starloom.data.sources.record import ReadSettings

SETTINGS = ReadSettings()
PAGE = """<!DOCTYPE html><html><head><title>x</title><style>p { }</style></head><body><nav>menu</nav>
<h1>How  to</h1><!-- hidden > --><p>Use <code>f(x)</code> when x &lt; 3 &amp; y&nbsp;is
set.</p><SCRIPT>if (a < b) { "</p>" }</SCRIPT><ul><li>one</li><li>two <b>bold</b></li></ul>
<pre>def f(x):
    return  x &gt; 1
</pre><table><tr><td>a</td><td>b</td></tr></table></body></html>"""


def test_html_becomes_text() -> None:
    assert html_text(PAGE) == (
        "# How to\n\nUse `f(x)` when x < 3 & y is set.\n\n- one\n\n- two bold\n\n"
        "```\ndef f(x):\n    return  x > 1\n\n```\n\na\n\nb"
    )


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("", ""),
        ("a < b and c > d", "a < b and c > d"),
        ("a<b", "a<b"),
        ("<p>a<!-- never ends", "a<!-- never ends"),
        ("<script>never ends", ""),
        ("a<script>x</script", "a"),
        ("&#99999999999999999999; &#x41;", "\ufffd A"),
        ("&#" + "9" * 5000 + ";", "\ufffd"),
        ("a<br/>b", "a\nb"),
        ("<svg/>a", "a"),
    ],
)
def test_html_that_is_strange(source: str, text: str) -> None:
    assert html_text(source) == text


@given(source=st.text(st.sampled_from("<>/!-aprescript&#;x \n\"'=")))
def test_any_text_is_read(source: str) -> None:
    html_text(source)


HOSTILE = ["<", "<!--", "</script", "<script>", "<a ", "<p", "&#", "&#9", "&amp", "</", "<![CDATA[", "<pre>", "> ", "<svg/", "\n"]


@pytest.mark.parametrize("unit", HOSTILE)
def test_a_hostile_megabyte_is_read_in_one_pass(unit: str) -> None:
    assert len(html_text(unit * (2**20 // len(unit)))) <= 3 * 2**20


def test_a_tree_of_pages(tmp_path: Path) -> None:
    files = {
        "LICENSE": b"MIT text",
        "package.json": b"{}",
        "README": b"read me",
        "docs/a.md": b"# A <b>",
        "docs/b.rst": b"B\n=\n",
        "docs/c.html": PAGE.encode(),
        "docs/d.txt": b"plain \xff",
        "docs/empty.html": b"<script>1</script>",
        "src/a.py": b"1",
        "CMakeLists.txt": b"project(x)",
        "requirements-dev.txt": b"x",
    }
    records = list(Documentation(write_folder(tmp_path / "tool", files)).records(SETTINGS))
    assert refusals(records) == {
        "docs/empty.html": NO_TEXT,
        "src/a.py": NOT_DOCUMENTATION,
        "CMakeLists.txt": NOT_DOCUMENTATION,
        "requirements-dev.txt": NOT_DOCUMENTATION,
    }
    found = contents(records)
    assert found["docs/c.html"] == html_text(PAGE).encode() + b"\n"
    assert {path: found[path] for path in files if path in found and path != "docs/c.html"} == {
        path: files[path] for path in found if path != "docs/c.html"
    }
    kinds = {record.path: (record.kind, record.language) for record in records if record.content is not None}
    assert kinds == {
        "LICENSE": ("file", None),
        "package.json": ("file", None),
        "README": ("documentation", "Text"),
        "docs/a.md": ("documentation", "Markdown"),
        "docs/b.rst": ("documentation", "reStructuredText"),
        "docs/c.html": ("documentation", "Markdown"),
        "docs/d.txt": ("documentation", "Text"),
    }


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("é".encode(), "é"),
        (b"<meta charset='iso-8859-2'>\xb1", "ą"),
        (b"<meta charset='none'>\x80", "€"),
        (b"\x80", "€"),
    ],
)
def test_the_encoding_of_a_page(tmp_path: Path, data: bytes, text: str) -> None:
    path = write_tar(tmp_path / "x.tar.gz", {"a.html": data})
    assert contents(Documentation(path).records(SETTINGS)) == {"a.html": f"{text}\n".encode()}


def test_a_page_with_nul_is_no_text(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "x", {"a.html": b"a\0b"})
    assert refusals(Documentation(folder).records(SETTINGS)) == {"a.html": NO_TEXT}
