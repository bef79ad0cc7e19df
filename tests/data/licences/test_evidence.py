import pytest
from hypothesis import given
from hypothesis import strategies as st

from starloom.data.licences.evidence import file_evidence, is_licence_file, is_mention_file
from starloom.data.licences.expressions import UNKNOWN

GPL = """ * This program is free software; you can redistribute it and/or modify
 * it under the terms of the GNU General Public License as published by
 * the Free Software Foundation; either version 2 of the License, or
 * (at your option) any later version.
"""


def said(text: str, path: str = "a.c") -> list[str]:
    return [item.expression for item in file_evidence(path, text) if item.scope == "file"]


@pytest.mark.parametrize(
    ("text", "licences"),
    [
        ("# SPDX-License-Identifier: MIT\n", ["MIT"]),
        ("# spdx-license-identifier: mit\n", ["MIT"]),
        ("/* SPDX-License-Identifier: GPL-2.0-only OR MIT */", ["GPL-2.0-only OR MIT"]),
        ("<!-- SPDX-License-Identifier: (MIT OR X11) -->", ["(MIT OR X11)"]),
        ("# SPDX-License-Identifier:\n", [UNKNOWN]),
        ("# SPDX-License-Identifier: LicenseRef-Mine\n", ["LicenseRef-Mine"]),
        ("#" * 5000 + "\n# SPDX-License-Identifier: MIT", ["MIT"]),
        ("setup(name='x', license='GPL-2.0+')", ["GPL-2.0-or-later"]),
        ("copyright: this is under the GPL", ["GPL-1.0-or-later"]),
        ("/* Copyright A */\n\n/* This may not be copied\n * in any form. */\n", ["LicenseRef-scancode-proprietary-license"]),
        ("/* Copyright A. May not be copied, modified or distributed. */", ["LicenseRef-scancode-proprietary-license"]),
        ("/* Copyright A. The name may not be used to sell copies. */", []),
        ("permitted only as authorized by the OpenLDAP Public License.", ["OLDAP-2.8"]),
        ("The OpenLDAP Public License, Version 2.7", ["OLDAP-2.7"]),
        ("built with GNAT GPL; copyright law is GPL compatible", []),
        ("This licence is compatible with the GNU General Public License, version 3.", []),
        ("The license is GPL compatible, you may compile Vim with GPL libraries and distribute it.", []),
        ("Licence: MIT or GPL Version 2 licenses (dual licensed)", ["MIT OR GPL-2.0-only"]),
        (
            "under the terms of either the MIT License or the GNU General Public License (GPL) Version 2.",
            ["MIT OR GPL-2.0-only"],
        ),
        ("under either the GPL version 2 or later. Tests have the MIT license.", ["MIT", "GPL-2.0-or-later"]),
        ("under either the GPL or a commercial license. The tests have the MIT license.", ["MIT", "GPL-1.0-or-later"]),
        (
            f"Dual licensed under the MIT license and the GPL 2. {'word ' * 30}Dual licensed under MPL 2, LGPL 2.1 and AGPL 3.",
            ["MIT OR GPL-2.0-only", "AGPL-3.0-only", "LGPL-2.1-only", "MPL-2.0"],
        ),
        (
            "You must choose one of the two licenses described below: the FreeType License; "
            "or the GPL, version 2, or any later version.",
            ["FTL OR GPL-2.0-or-later"],
        ),
        (
            "You must choose one of the licenses below: the MIT License, the zlib license, or the GPL, version 2.",
            ["MIT", "Zlib", "GPL-2.0-only"],
        ),
        ("under the terms of the FreeType project license, LICENSE.TXT. You have read the license", ["FTL"]),
        (
            "Under the 3-clause BSD license. Alternatively, under the terms of the GNU General Public License version 2; "
            "you may use it under either the BSD license or the GPL.",
            ["BSD-3-Clause OR GPL-2.0-only"],
        ),
        ("For conditions of distribution and use, see the disclaimer and license in png.h", ["Libpng"]),
        ("All under the ISC license. OpenSSH contains no GPL code.", ["ISC"]),
        ("Licensed under the GPL. It is compatible with the GPLv3.", ["GPL-1.0-or-later"]),
        ("<license>BSD 3-Clause</license>", ["BSD-3-Clause"]),
        ("license = the_licence(of, it)", []),
        ("/*\n" + GPL + " */", ["GPL-2.0-or-later"]),
        ("x = 1\n" * 3000 + "/*\n" + GPL + " */", ["GPL-2.0-or-later"]),
        ("# under the terms of the GNU General\n# Public License, version 2\n", ["GPL-2.0-only"]),
        ("// under version 3 of the GNU Lesser General Public License", ["LGPL-3.0-only"]),
        ("; licensed under the AGPLv3 or later", ["AGPL-3.0-or-later"]),
        ("This Source Code Form is subject to the terms of the Mozilla Public License, v. 2.0.", ["MPL-2.0"]),
        ("licensed under the Eclipse Public License v1.0", ["EPL-1.0"]),
        ("https://creativecommons.org/licenses/by-nc-sa/3.0/", ["CC-BY-NC-SA-3.0"]),
        ("Creative Commons Attribution-ShareAlike 4.0 International", ["CC-BY-SA-4.0"]),
        ("Creative Commons Attribution 4.0 International License", ["CC-BY-4.0"]),
        ("Licensed under the Apache License, Version 2.0 (the 'License')", ["Apache-2.0"]),
        ("under the Apache License v2.0 with LLVM Exceptions.", ["Apache-2.0 WITH LLVM-exception", "Apache-2.0"]),
        ("governed by a BSD-style license that can be found in the LICENSE file", ["LicenseRef-BSD"]),
        ("Use is subject to the MIT license.", ["MIT"]),
        ("This file is in the public domain.", ["LicenseRef-scancode-public-domain"]),
        ("the same terms as Perl itself", ["Artistic-1.0-Perl OR GPL-1.0-or-later"]),
        ("The Software shall be used for Good, not Evil. licence", ["JSON"]),
        ("Proprietary and confidential.", ["LicenseRef-scancode-proprietary-license"]),
        ("Licensed for non-commercial use only", ["LicenseRef-scancode-proprietary-license"]),
        (
            "Unauthorized copying of this file by any means is strictly prohibited",
            ["LicenseRef-scancode-proprietary-license"],
        ),
        ("See Copyright for the status of this software.", ["LicenseRef-scancode-unknown-license-reference"]),
        (
            "BSD-style license. An additional grant of patent rights can be found in the PATENTS file.",
            ["LicenseRef-BSD", "LicenseRef-scancode-facebook-patent-rights-2"],
        ),
        ("Copyright 2020 A. All rights reserved.", ["LicenseRef-All-Rights-Reserved"]),
        (
            "NLTK documentation is distributed under the Creative Commons Attribution-Noncommercial 3.0 licence. GPL 2",
            ["GPL-2.0-only"],
        ),
        (
            "Under the BSD license. It does not mean that we're distributing it under the GPL; the BSD license, unlike the GPL, "
            "let you distribute a modified version",
            ["LicenseRef-BSD"],
        ),
        ("GNU make is needed to build this", []),
        ("import gnu\nlicense = None\n", []),
        ("the copyright of words, with permission and without warranty", []),
        ("", []),
    ],
)
def test_what_a_file_says_of_itself(text: str, licences: list[str]) -> None:
    assert said(text) == licences


def test_a_permissive_text_with_a_copyleft_alternative_is_a_choice() -> None:
    choice = "Dual licensed under the MIT license or the GPL version 2"
    assert said(choice) == ["MIT OR GPL-2.0-only"]
    long = "Copyright. Under the ISC license. " + "word " * 300 + choice
    assert said(long) == ["ISC", "MIT OR GPL-2.0-only"]
    alternatively = "Released under the BSD license. Alternatively, under the terms of the GNU General Public License version 2"
    assert said(alternatively) == ["LicenseRef-BSD OR GPL-2.0-only"]
    assert said("Parts are under the MIT license, others under the GPL version 2") == ["MIT", "GPL-2.0-only"]


def test_what_certain_files_say_of_themselves_is_not_said_of_all() -> None:
    notice = "Permission is hereby granted, without written agreement and without licence or royalty fees, to use this software"
    others = "However, certain shell functions are licensed under versions of the GNU General Public Licence. "
    assert not any("GPL" in expression for expression in said(others + notice, "LICENCE"))
    assert said(others + "The rest is under the GNU General Public License, version 2", "LICENCE") == ["GPL-2.0-only"]


def test_evidence_says_how_it_was_found() -> None:
    tag = file_evidence("a/LICENSE", "SPDX-License-Identifier: MIT\n")
    assert {(item.scope, item.rule, item.expression) for item in tag} == {
        ("file", "spdx tag", "MIT"),
        ("folder", "spdx tag", "MIT"),
    }


@pytest.mark.parametrize(
    ("path", "licence", "mention"),
    [
        ("LICENSE", True, False),
        ("a/b/LICENCE.txt", True, False),
        ("COPYING.LESSER", True, False),
        ("UNLICENSE", True, False),
        ("LICENSE-MIT", True, False),
        ("LICENSE.GPL-2.0", True, False),
        ("NUMPY_LICENSE.rst", True, False),
        ("gpl-3.0.txt", True, False),
        ("Copyright", True, False),
        ("README.md", False, True),
        ("NOTICE", False, True),
        ("about.html", False, True),
        ("legal.txt", False, True),
        ("COPYING.LIB", True, False),
        ("COPYING.lib", True, False),
        ("LICENSE.Apache-2.0.txt", True, False),
        ("LICENSE_1_0.txt", True, False),
        ("THIRD-PARTY-LICENSES.md", True, False),
        ("with_license.jsonnet", False, False),
        ("license.terms", True, False),
        ("license.py", False, False),
        ("license_header.js", False, False),
        ("main.js.LICENSE.txt", False, False),
        ("apache-logo.png", False, False),
        ("about.vue", False, False),
        ("copy.txt", False, False),
    ],
)
def test_which_files_speak_for_others(path: str, licence: bool, mention: bool) -> None:
    assert (is_licence_file(path), is_mention_file(path)) == (licence, mention)


@given(st.text(alphabet=st.sampled_from("licens copyright gpl gnu permission <>'\n:=&;/*0"), max_size=300))
def test_no_text_is_an_accident(text: str) -> None:
    for path in ("a.c", "LICENSE", "README", "METADATA", "package.json", "x.gemspec", "debian/copyright", "DESCRIPTION"):
        assert file_evidence(path, text) == file_evidence(path, text)


HOSTILE = [
    "redistribution and use in source and binary forms ",
    "use copying reproduction may not be copied ",
    "gnu general public license version ",
    "creative commons attribution noncommercial share ",
    "license=",
    "license : [ ' ",
    "<" * 50,
    "copyright " + "a" * 200 + " ",
    "SPDX-License-Identifier: (",
    "alternatively dual licensed select gpl ",
    "public domain license copyright ",
    "permission is hereby granted free of charge to any person ",
    "documentation licensed under creative commons ",
    "\n\nFiles: *\nLicense: gpl\n",
    "\n",
    "x.license = ",
    "<",
]


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("path", ["a.c", "LICENSE", "x.gemspec", "METADATA", "debian/copyright"])
def test_a_notice_is_found_behind_hostile_text(path: str, piece: str) -> None:
    """A pattern that is not linear takes minutes here; the times themselves are in the benchmark."""
    text = "Format: copyright-format/1.0\n" + piece * (300_000 // len(piece)) + "\n\n" + GPL
    assert any("GPL-2.0-or-later" in expression for expression in said(text, path))


@pytest.mark.parametrize(
    "name", ["license-" * 31 + "!", "LICENSE" + ".GPL" * 60 + "!", "COPYING" + ".1" * 120 + "!", "a-" * 120, "a" * 300]
)
def test_hostile_names_are_nothing(name: str) -> None:
    assert not is_licence_file(name)
    assert not is_mention_file("README" + name)
