import pytest

from starloom.data.licences.evidence import file_evidence
from starloom.data.licences.parts import parts_of, without
from starloom.data.licences.policies import open_policy
from starloom.data.licences.verdicts import judge

GPL = "This program is free software under the terms of the GNU General Public License, version 3 or any later version.\n"
MIT = "Licensed under the MIT license.\n"
LICENCE = f"""{MIT}
----

This binary distribution also bundles:

Name: OpenBLAS
Files: numpy.libs/libblas*.so
License: BSD-3-Clause

Name: GCC
Files: numpy.libs/libgfortran*.so, numpy.libs/libquadmath.so.0
License: GPL-3.0-or-later WITH GCC-exception-3.1
  {GPL}
----

Full text of license texts referred to above follows:

----
 GNU GENERAL PUBLIC LICENSE, version 3
Name: Colours
Files: here/colours.py here/table
License: GPL-2.0-or-later
  ------
  {GPL}"""


def test_a_part_goes_on_to_the_next_one_over_rules_further_in_and_texts_referred_to() -> None:
    parts = parts_of(LICENCE)
    assert [part.patterns[0] for part in parts] == ["numpy.libs/libblas*.so", "numpy.libs/libgfortran*.so", "here/colours.py"]
    assert [part.is_compiled for part in parts] == [True, True, False]
    assert "GENERAL PUBLIC" in parts[1].text
    assert parts[2].text.rstrip().endswith("later version.")
    assert without(LICENCE, parts).strip().endswith("also bundles:")


def test_what_stands_after_a_rule_speaks_for_all_again() -> None:
    text = f"{MIT}\nName: a\nFiles: a.so\nLicense: MIT\n\n----\n{GPL}"
    assert GPL in without(text, parts_of(text))


@pytest.mark.parametrize("text", ["", MIT, "Name: a\nLicense: MIT\n", "Files: a.c\n", " Name: a\nFiles: a.c\n"])
def test_a_file_that_names_no_files_has_no_parts(text: str) -> None:
    assert parts_of(text) == []
    assert without(text, []) == text


def kept(files: dict[str, str]) -> dict[str, bool]:
    rows = [row for path, text in files.items() for row in file_evidence(path, text)]
    verdicts = judge(list(files), rows, open_policy())
    return {path: verdict.dropped is None for path, verdict in zip(files, verdicts, strict=True)}


def test_a_part_speaks_for_the_files_and_folders_that_it_names() -> None:
    files = dict.fromkeys(["here/a.py", "here/colours.py", "here/table/b.py", "here/table.py"], "")
    found = kept({"x-1.dist-info/licenses/LICENSE.txt": LICENCE, **files})
    assert [path for path in files if found[path]] == ["here/a.py", "here/table.py"]


def test_a_part_whose_files_are_not_there_speaks_for_all() -> None:
    assert not kept({"LICENSE": LICENCE, "other.py": ""})["other.py"]


def test_a_licence_file_that_speaks_of_named_files_alone_is_unknown_for_the_others() -> None:
    assert not kept({"LICENSE": "Name: a\nFiles: a.c\nLicense: MIT\n" + MIT, "a.c": "", "b.c": ""})["b.c"]


def test_a_field_of_metadata_loses_the_parts_about_compiled_libraries_alone() -> None:
    def metadata(text: str) -> str:
        return "Name: x\nVersion: 1\nLicense: " + text.replace("\n", "\n        ")

    compiled = f"{MIT}\nName: GCC\nFiles: libgfortran*.so\nLicense: GPL-3.0-or-later\n  {GPL}"
    assert kept({"PKG-INFO": metadata(compiled), "a.py": ""})["a.py"]
    assert not kept({"PKG-INFO": metadata(compiled.replace(".so", ".c")), "a.py": ""})["a.py"]


PACKAGED = f"""It was downloaded from there. {MIT}
The Debian packaging is copyright (C) 1999 Somebody and
{GPL}
On Debian systems, the complete text of the GNU General Public License
can be found in /usr/share/common-licenses/GPL-3.
"""


def test_what_a_debian_copyright_in_free_form_says_of_the_packaging_holds_for_that_folder() -> None:
    files = {"debian/copyright": PACKAGED, "debian/rules": "", "a.c": ""}
    assert kept(files) == {"debian/copyright": False, "debian/rules": False, "a.c": True}
    assert not kept(files | {"debian/copyright": PACKAGED + "\n" + GPL})["a.c"]
    assert not kept({"LICENSE": PACKAGED, "a.c": ""})["a.c"]


@pytest.mark.parametrize(("introduction", "stays"), [("It also bundles:\n", True), ("", True), ("For friends alone:\n", False)])
def test_a_file_of_nothing_but_parts_says_nothing_of_others(introduction: str, stays: bool) -> None:
    bundled = f"{introduction}\nName: GEOS\nFiles: libgeos.so\nLicense: LGPL-2.1\n  {GPL}"
    assert kept({"LICENSE": MIT, "LICENSE_GEOS": bundled, "a.py": ""})["a.py"] is stays
