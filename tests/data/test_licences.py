"""The room as one: files in, verdicts out. Its parts are tested in `licences/`."""

import pytest

from starloom.data.licences.evidence import Evidence, file_evidence, unread_evidence
from starloom.data.licences.policies import open_policy
from starloom.data.licences.texts import spdx_texts
from starloom.data.licences.verdicts import Verdict, judge

MIT = """MIT License\n\nCopyright (c) 2020 A\n\nPermission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal in the Software without restriction"""
BSD = """Redistribution and use in source and binary forms, with or without modification, are permitted.
Redistributions in binary form must reproduce the above copyright notice."""
GPL = "under the terms of the GNU General Public License as published by\nthe Free Software Foundation; either version 3"


def verdicts(files: dict[str, str], host: str | None = None, policy: str = "permissive", **settings: bool) -> dict[str, Verdict]:
    evidence: list[Evidence] = []
    for path, text in files.items():
        evidence += file_evidence(path, text)
    return dict(zip(files, judge(list(files), evidence, open_policy(policy), host, **settings), strict=True))


def test_everything_above_a_file_applies_to_it() -> None:
    found = verdicts(
        {
            "x-1.dist-info/METADATA": "Name: x\nVersion: 1\nLicense-Expression: MIT\n",
            "x/a.py": "",
            "x/_vendor/y/LICENSE": GPL,
            "x/_vendor/y/b.py": "",
            "x/_vendor/c.py": "",
            "x/d.py": "# SPDX-License-Identifier: GPL-2.0-only",
        }
    )
    assert found["x/a.py"] == Verdict("MIT", "permissive", "x-1.dist-info/METADATA: License-Expression", None)
    assert found["x/_vendor/y/b.py"].licence == "MIT AND GPL-3.0-only"
    assert found["x/_vendor/y/b.py"].dropped == "licence not permissive"
    assert found["x/_vendor/c.py"].licence == "MIT"
    own = found["x/d.py"]
    assert own.licence == "MIT AND GPL-2.0-only"
    assert own.evidence == "x-1.dist-info/METADATA: License-Expression; own spdx tag"
    assert (own.licence_type, own.dropped) == ("non_permissive", "licence not permissive")


def test_licences_that_a_wheel_stores_apart_cover_the_folder_they_came_from() -> None:
    found = verdicts(
        {
            "x/a.py": "",
            "x/_vendor/y/b.py": "",
            "x-1.dist-info/licenses/LICENSE": MIT,
            "x-1.dist-info/licenses/src/x/_vendor/y/LICENSE": GPL,
            "x-1.dist-info/licenses/x/gone/LICENSE": BSD,
        }
    )
    assert found["x/a.py"].licence == "MIT AND BSD-2-Clause"
    assert found["x/_vendor/y/b.py"].licence == "MIT AND BSD-2-Clause AND GPL-3.0-only"


@pytest.mark.parametrize(
    ("host", "files", "kind"),
    [
        (None, {"a.c": ""}, "no_license"),
        ("NOASSERTION", {"a.c": ""}, "non_permissive"),
        ("MIT", {"a.c": ""}, "permissive"),
        ("GPL-3.0-only", {"a.c": ""}, "non_permissive"),
        ("MIT", {"a.c": GPL}, "non_permissive"),
        ("GPL-3.0-only", {"a.c": MIT}, "non_permissive"),
        ("NOASSERTION", {"a.c": "", "LICENSE": MIT}, "permissive"),
        (None, {"a.c": "", "LICENSE": "by reading this you agree to our terms"}, "non_permissive"),
        (None, {"a.c": "", "NOTICE": "by reading this you agree to our terms"}, "no_license"),
        (None, {"a.c": "", "README.md": "Licensed under the MIT licence."}, "permissive"),
        (None, {"a.c": "", "README.md": "Licensed under the GPL."}, "non_permissive"),
        (None, {"a.c": "", "src/README.md": "Licensed under the GPL."}, "no_license"),
        (None, {"a.c": "", "CONTRIBUTING": "", "NOTICE": "Developer Certificate of Origin"}, "no_license"),
        (None, {"a.c": "Copyright A. All rights reserved."}, "non_permissive"),
        (None, {"a.c": "Copyright A. All rights reserved.", "LICENSE": MIT}, "permissive"),
        (None, {"a.c": "See the LICENSE file for terms."}, "non_permissive"),
        (None, {"a.c": "See the LICENSE file for terms.", "COPYING": BSD}, "permissive"),
    ],
)
def test_the_three_decisions_of_the_stack(host: str | None, files: dict[str, str], kind: str) -> None:
    assert verdicts(files, host)["a.c"].licence_type == kind


def test_files_without_a_licence_are_kept_only_on_request() -> None:
    assert verdicts({"a.c": ""})["a.c"].dropped == "licence unknown"
    assert verdicts({"a.c": ""}, keep_unlicensed=True)["a.c"].dropped is None
    assert verdicts({"a.c": GPL}, keep_unlicensed=True)["a.c"].dropped == "licence not permissive"


def test_the_policy_decides() -> None:
    files = {"a.c": "", "LICENSE": "WTFPL"}
    assert verdicts(files)["a.c"].dropped is None
    assert verdicts(files, policy="blueoak-bronze")["a.c"].dropped == "licence not permissive"


def test_a_licence_file_that_points_to_another_gives_way_to_it() -> None:
    assert verdicts({"a.c": "", "LICENSE": "See COPYING\n", "COPYING": MIT})["a.c"].licence == "MIT"
    assert verdicts({"a.c": "", "LICENSE": "See COPYING\n"})["a.c"].dropped == "licence not permissive"


def test_a_licence_file_that_offers_a_choice_explains_its_own_texts() -> None:
    perl = "This is free software under the same terms as Perl 5 itself.\n" + "\n".join(
        spdx_texts()[name] for name in ("GPL-1.0-only", "Artistic-1.0-Perl")
    )
    choice = "Artistic-1.0-Perl OR GPL-1.0-or-later"
    assert verdicts({"a.pm": "", "LICENSE": perl})["a.pm"].licence == choice
    assert verdicts({"a.pm": "", "LICENSE": perl, "COPYING": spdx_texts()["GPL-2.0-only"]})["a.pm"].dropped is not None


def test_a_manifest_that_offers_a_choice_explains_the_texts_beside_it_and_no_others() -> None:
    files = {"package.json": '{"license": "(MIT OR GPL-3.0-or-later)"}', "LICENSE-MIT": MIT, "LICENSE-GPL": GPL, "a.js": ""}
    assert verdicts(files)["a.js"].licence == "MIT OR GPL-3.0-or-later"
    other = verdicts({**files, "COPYING.lesser": "GNU Lesser General Public License version 2.1", "b/a.js": "", "b/LICENSE": GPL})
    assert other["a.js"].licence_type == "non_permissive"
    assert other["b/a.js"].licence_type == "non_permissive"
    assert verdicts({**files, "c.js": GPL})["c.js"].licence_type == "non_permissive"


def test_a_readme_that_offers_a_choice_explains_texts_for_both_sides() -> None:
    readme = "Dual-licensed under the BSD license and the GNU General Public License, version 3 or any later version."
    bsd = "Redistribution and use under the 3-clause BSD license"
    files = {"README": readme, "LICENSE": bsd, "COPYING": GPL, "a.c": "", "b/a.c": "", "b/COPYING": GPL}
    found = verdicts(files)
    assert found["a.c"].licence == "LicenseRef-BSD OR GPL-3.0-or-later"
    assert found["b/a.c"].licence_type == "non_permissive"
    del files["LICENSE"]
    assert verdicts(files)["a.c"].licence_type == "non_permissive"
    assert verdicts({**files, "NOTICE": bsd})["a.c"].licence_type == "non_permissive"


def test_documentation_may_have_a_licence_of_its_own() -> None:
    licence = (
        "Under the 3-clause BSD license.\n\nThe documentation is supplied under the Creative Commons Attribution-ShareAlike 4.0"
    )
    found = verdicts({"LICENSE": licence, "a.c": "", "docs/a.rst": "", "b/doc/a.rst": ""})
    assert [found[path].licence_type for path in ("a.c", "docs/a.rst", "b/doc/a.rst")] == ["permissive", *2 * ["non_permissive"]]
    assert found["docs/a.rst"].evidence == "LICENSE: notice; LICENSE: documentation"
    assert verdicts({"LICENSE": licence, "a.c": ""})["a.c"].licence == "BSD-3-Clause"


def test_debian_copyright_tells_files_apart() -> None:
    copyright_file = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
License: Expat

Files: debian/* m4/?.m4
License: GPL-2+
 On Debian systems ...

License: GPL-2+
 text
"""
    paths = {"a.c": "", "debian/rules": "", "m4/a.m4": "", "m4/ab.m4": "", "debian/copyright": copyright_file}
    found = verdicts(paths)
    assert [found[path].licence for path in list(paths)[:4]] == ["MIT", "GPL-2.0-or-later", "GPL-2.0-or-later", "MIT"]
    assert found["a.c"].evidence == "debian/copyright: Files: *"


def test_a_licence_file_may_only_name_the_licence() -> None:
    assert verdicts({"LICENSE.txt": "Apache 2.0\n", "a.py": ""})["a.py"].licence == "Apache-2.0"


def test_the_names_for_a_text_are_no_licence() -> None:
    files = {
        "DESCRIPTION": "Package: x\nLicense: MIT + file LICENSE\n",
        "LICENSE": "YEAR: 2020\nCOPYRIGHT HOLDER: A\n",
        "R/a.R": "",
    }
    assert verdicts(files)["R/a.R"].licence == "MIT"


def test_an_unread_licence_file_is_unknown_and_not_permissive() -> None:
    assert judge(["a.py"], unread_evidence("LICENSE"), open_policy())[0].dropped == "licence not permissive"
    assert unread_evidence("a.py") == []


def test_bsd_without_a_number_gives_way_to_one_with_it() -> None:
    classifier = "Name: x\nClassifier: License :: OSI Approved :: BSD License\n"
    assert verdicts({"PKG-INFO": classifier, "LICENSE": BSD, "a.py": ""})["a.py"].licence == "BSD-2-Clause"
    assert verdicts({"PKG-INFO": classifier, "a.py": ""})["a.py"].licence == "LicenseRef-BSD"


def test_a_file_in_very_many_folders() -> None:
    deep = "a/" * 5000
    found = verdicts({"LICENSE": MIT, deep + "x.c": "", deep + "b/LICENSE": GPL, deep + "b/y.c": ""})
    assert found[deep + "x.c"].licence == "MIT"
    assert found[deep + "b/y.c"].licence == "MIT AND GPL-3.0-only"
