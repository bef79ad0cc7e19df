import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from source_samples import write_folder

from starloom.data.sources.files import Files
from starloom.data.sources.notebooks import NO_CODE, NOT_A_NOTEBOOK, NOT_PYTHON, ONE_KIND, OTHER_LANGUAGE, render_notebook
from starloom.data.sources.record import ReadSettings, Record


def notebook(*cells: dict[str, Any], language: str = "python") -> bytes:
    return json.dumps({"nbformat": 4, "metadata": {"language_info": {"name": language}}, "cells": cells}).encode()


def code(text: str | list[str], *outputs: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": "code", "source": text, "outputs": outputs}


def markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "source": text}


def render(data: bytes, form: Any) -> Record:
    return render_notebook(Record("r", "x.ipynb", "file", data, len(data)), form)


def test_the_structured_form() -> None:
    data = notebook(
        markdown("# Title"),
        markdown("More"),
        code(["x = 1\n", "x"], {"output_type": "execute_result", "data": {"text/plain": ["1"]}}),
        code("print('<jupyter_text>')", {"output_type": "stream", "text": "y" * 1001}),
        markdown("End"),
        code("pass"),
    )
    record = render(data, "structured")
    assert record.content is not None
    assert record.content.decode() == (
        "<jupyter_start><jupyter_text># Title\nMore<jupyter_code>x = 1\nx\nprint('< jupyter_text>')<jupyter_output>"
        + "y" * 1000
        + "[...]<jupyter_text>End<jupyter_code>pass<jupyter_output><empty_output><|endoftext|>"
    )
    assert (record.kind, record.language, record.size) == ("notebook", "Python", len(data))


def test_the_script_form() -> None:
    data = notebook(markdown("# Title\n\ntext"), code("%matplotlib inline\n!ls\nx = 1"), code("%%bash\necho 1"))
    assert render(data, "script").content == (
        b"<jupyter_script># # Title\n#\n# text\n\n# %matplotlib inline\n# !ls\nx = 1\n\n# %%bash\n# echo 1\n<|endoftext|>"
    )
    record = render(notebook(markdown("a"), code("x <- 1"), language="R"), "script")
    assert (record.content, record.language) == (b"<jupyter_script># a\n\nx <- 1\n<|endoftext|>", "R")


def test_format_3_is_read() -> None:
    cells = [{"cell_type": "markdown", "source": "a"}, {"cell_type": "code", "input": "b", "outputs": [{"text": "c"}]}]
    data = json.dumps({"nbformat": 3, "metadata": {}, "worksheets": [{"cells": cells}]}).encode()
    content = render(data, "structured").content
    assert content == b"<jupyter_start><jupyter_text>a<jupyter_code>b<jupyter_output>c<|endoftext|>"


@pytest.mark.parametrize(
    ("data", "form", "reason"),
    [
        (b"", "script", NOT_A_NOTEBOOK),
        (b"\xff\x00", "script", NOT_A_NOTEBOOK),
        (b'{"nbformat": 4', "script", NOT_A_NOTEBOOK),
        (b"[" * 200_000, "script", NOT_A_NOTEBOOK),
        (b"[]", "structured", NOT_A_NOTEBOOK),
        (notebook(markdown("a"), code("b"), language="R"), "structured", NOT_PYTHON),
        (notebook(code("b")), "structured", ONE_KIND),
        (notebook(markdown("a"), code(" \n")), "structured", ONE_KIND),
        (notebook(markdown("a")), "script", NO_CODE),
        (notebook(code("b"), language="brainfuck"), "script", OTHER_LANGUAGE),
    ],
)
def test_what_has_no_document_says_why(data: bytes, form: str, reason: str) -> None:
    record = render(data, form)
    assert (record.refused, record.content) == (reason, None)


_keys = st.sampled_from(["cells", "cell_type", "source", "outputs", "text", "data", "metadata", "language_info", "name"])
_json = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=4),
)


@given(values=st.dictionaries(st.sampled_from(["cells", "worksheets", "metadata"]), _json), version=st.sampled_from([3, 4, "x"]))
def test_any_json_is_a_document_or_has_a_reason(values: dict[str, Any], version: object) -> None:
    for form in ("structured", "script"):
        render(json.dumps({"nbformat": version, **values}).encode(), form)


def test_notebooks_are_rendered_where_they_stand(tmp_path: Path) -> None:
    data = notebook(markdown("a"), code("b"))
    folder = write_folder(tmp_path / "r", {"LICENSE": b"MIT", "a.ipynb": data, "b.ipynb": b"{}"})
    kinds = {}
    for form in ("file", "structured", "script"):
        found = list(Files(folder, notebooks=form).records(ReadSettings()))  # type: ignore[arg-type]
        kinds[form] = [(record.kind, record.refused) for record in found]
    assert kinds["file"] == [("file", None)] * 3
    assert kinds["structured"] == [("file", None), ("notebook", None), ("file", NOT_A_NOTEBOOK)]
    assert kinds["script"] == [("file", None), ("notebook script", None), ("file", NOT_A_NOTEBOOK)]
