import pytest
from hypothesis import given
from hypothesis import strategies as st

from starloom.data.licences.evidence import Evidence, is_evidence, own_licence
from starloom.data.licences.expressions import conjunction, is_permissive, policy
from starloom.data.licences.manifests import normalised, read_manifest
from starloom.data.licences.texts import UNKNOWN, copyleft_in, licences_in

MIT = "Copyright (c) 2020 A\n\nPermission is hereby granted, free of charge, to any person\nobtaining a copy of this software"
BSD = """Redistribution and use in source and binary forms, with or without modification, are permitted.
Redistributions in binary form must reproduce the above copyright notice."""
ISC = "Permission to use, copy, modify, and/or distribute this software for any purpose\nwith or without fee is hereby granted"
GPL = "under the terms of the GNU General Public License as published by\nthe Free Software Foundation; either version 3"

_identifiers = st.sampled_from(["MIT", "Apache-2.0", "GPL-3.0-only", "Nonsense-1.0", "BSD-3-Clause"])
_trees = st.recursive(_identifiers, lambda inner: st.tuples(inner, st.sampled_from(["AND", "OR"]), inner), max_leaves=8)


def written(tree: object) -> str:
    return tree if isinstance(tree, str) else f"({written(tree[0])} {tree[1]} {written(tree[2])})"  # type: ignore[index]


def truth(tree: object) -> bool:
    if isinstance(tree, str):
        return tree in policy()[1].values()
    left, right = truth(tree[0]), truth(tree[2])  # type: ignore[index]
    return (left and right) if tree[1] == "AND" else (left or right)  # type: ignore[index]


@given(_trees)
def test_expressions_mean_what_their_tree_means(tree: object) -> None:
    assert is_permissive(written(tree)) is truth(tree)


@given(st.lists(st.sampled_from(["MIT", "GPL-2.0", "AND", "OR", "WITH", "(", ")"]), max_size=8).map(" ".join))
def test_no_expression_is_an_accident(text: str) -> None:
    assert is_permissive(text) in (True, False)


@pytest.mark.parametrize(
    ("expression", "permissive"),
    [
        (None, False),
        ("", False),
        ("MIT", True),
        ("mit", True),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("MIT AND (GPL-2.0-only OR Apache-2.0)", True),
        ("GPL-2.0-only OR MIT AND GPL-3.0-only", False),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-3.0-only WITH GCC-exception-3.1", False),
        ("(MIT", False),
        ("MIT MIT", False),
        ("MIT WITH", False),
        (UNKNOWN, False),
        ("(" * 100_000, False),
    ],
)
def test_whether_an_expression_is_permissive(expression: str | None, permissive: bool) -> None:
    assert is_permissive(expression) is permissive


def test_a_conjunction_keeps_alternatives_together() -> None:
    assert conjunction(["MIT", "MIT OR GPL-2.0", "MIT"]) == "MIT AND (MIT OR GPL-2.0)"


@pytest.mark.parametrize(
    ("text", "licences"),
    [
        (MIT, ["MIT"]),
        (BSD, ["BSD-2-Clause"]),
        (BSD + " Neither the name of", ["BSD-3-Clause"]),
        ("Apache License\n    Version 2.0, January 2004\n http://www.apache.org/licenses/", ["Apache-2.0"]),
        (ISC + ", provided that", ["ISC"]),
        (ISC + ". THE", ["0BSD"]),
        (GPL, ["GPL-3.0-or-later"]),
        ("GNU LESSER GENERAL PUBLIC LICENSE Version 2.1", ["LGPL-2.1-or-later"]),
        ("This is free and unencumbered software released into the public domain.", ["Unlicense"]),
        (MIT + GPL, ["MIT", "GPL-3.0-or-later"]),
        (MIT + "\nThe Software shall be used for Good, not Evil.", ["JSON"]),
        (BSD + "\n----\nThis binary distribution of NumPy also bundles the following software:\n" + GPL, ["BSD-2-Clause"]),
        ("see the web page", [UNKNOWN]),
        ("", [UNKNOWN]),
    ],
)
def test_licence_texts_are_recognised(text: str, licences: list[str]) -> None:
    assert licences_in(text) == licences


@pytest.mark.parametrize(
    ("field", "identifier"),
    [
        ("MIT", "MIT"),
        ("The MIT License (MIT)", "MIT"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("Apache 2.0", "Apache-2.0"),
        ("Apache Software License", "Apache-2.0"),
        ("3-Clause BSD License", "BSD-3-Clause"),
        ("BSD", "LicenseRef-BSD"),
        ("ISC License (ISCL)", "ISC"),
        ("Python Software Foundation License", "PSF-2.0"),
        ("GNU General Public License v3 (GPLv3)", "GPL-3.0-or-later"),
        ("GNU Lesser General Public License v2 or later (LGPLv2+)", "LGPL-2.1-or-later"),
        ("GNU Affero General Public License v3", "AGPL-3.0-or-later"),
        ("MIT OR Apache-2.0", "MIT OR Apache-2.0"),
        ("GPL-2.0-only", "GPL-2.0-only"),
        ("LicenseRef-Mine", UNKNOWN),
        ("Freely Distributable", UNKNOWN),
        ("Apache modified", UNKNOWN),
    ],
)
def test_licence_fields_become_spdx(field: str, identifier: str) -> None:
    assert normalised(field) == identifier


def test_core_metadata() -> None:
    both = read_manifest(
        "METADATA", b"Name: x\nVersion: 1\nLicense: MIT\nClassifier: License :: OSI Approved :: BSD License\n\nLicense: GPL"
    )
    assert (both.name, both.version, both.licences) == ("x", "1", ("MIT", "LicenseRef-BSD"))
    newer = read_manifest(
        "PKG-INFO", b"Name: x\nLicense-Expression: MIT OR GPL-2.0-only\nClassifier: License :: Freely Distributable\n"
    )
    assert newer.licences == ("MIT OR GPL-2.0-only",)
    assert read_manifest("METADATA", b"\xff\xfe\x00").licences == ()


@pytest.mark.parametrize(
    ("name", "data", "licences"),
    [
        ("package.json", b'{"license": "MIT"}', ("MIT",)),
        ("package.json", b'{"licenses": [{"type": "MIT"}, {"type": "GPL-2.0-only"}]}', ("MIT OR GPL-2.0-only",)),
        ("package.json", b"[1]", ()),
        ("package.json", b"{", ()),
        ("pyproject.toml", b'[project]\nname = "x"\nlicense = {text = "BSD 3-Clause"}', ("BSD-3-Clause",)),
        ("pyproject.toml", b'[tool.poetry]\nlicense = "MIT"', ("MIT",)),
        ("pyproject.toml", b"tool = 3", ()),
        ("Cargo.toml", b'[package]\nlicense = "MIT OR Apache-2.0"', ("MIT OR Apache-2.0",)),
    ],
)
def test_other_manifests(name: str, data: bytes, licences: tuple[str, ...]) -> None:
    assert read_manifest(name, data).licences == licences


@pytest.mark.parametrize(
    ("path", "evidence"),
    [
        ("LICENSE", True),
        ("a/b/LICENCE.txt", True),
        ("COPYING.LESSER", True),
        ("UNLICENSE", True),
        ("LICENSE-MIT", True),
        ("NUMPY_LICENSE.rst", True),
        ("gpl-3.0.txt", True),
        ("x.dist-info/METADATA", True),
        ("license.py", False),
        ("main.js.LICENSE.txt", False),
        ("apache-logo.png", False),
        ("README.md", False),
    ],
)
def test_which_files_are_evidence(path: str, evidence: bool) -> None:
    assert is_evidence(path) is evidence


def evidence_of(files: dict[str, bytes]) -> Evidence:
    evidence = Evidence()
    for path, data in files.items():
        evidence.see(path)
        if is_evidence(path):
            evidence.add(path, data)
    evidence.close()
    return evidence


def test_everything_above_a_file_applies_to_it() -> None:
    evidence = evidence_of(
        {
            "x-1.dist-info/METADATA": b"Name: x\nVersion: 1\nLicense-Expression: MIT\n",
            "x/a.py": b"",
            "x/_vendor/y/LICENSE": GPL.encode(),
            "x/_vendor/y/b.py": b"",
        }
    )
    assert (evidence.name, evidence.version) == ("x", "1")
    assert evidence.of("x/a.py") == ("MIT", "x-1.dist-info/METADATA: License-Expression")
    assert evidence.of("x/_vendor/y/b.py")[0] == "MIT AND GPL-3.0-or-later"
    assert evidence.of("x/_vendor/c.py")[0] == "MIT"
    assert evidence.of("x/a.py", "GPL-2.0-only")[0] == "MIT AND GPL-2.0-only"


def test_licences_that_a_wheel_stores_apart_cover_the_folder_they_came_from() -> None:
    evidence = evidence_of(
        {
            "x/a.py": b"",
            "x/_vendor/y/b.py": b"",
            "x-1.dist-info/licenses/LICENSE": MIT.encode(),
            "x-1.dist-info/licenses/src/x/_vendor/y/LICENSE": GPL.encode(),
            "x-1.dist-info/licenses/x/gone/LICENSE": BSD.encode(),
        }
    )
    assert evidence.of("x/a.py")[0] == "MIT AND BSD-2-Clause"
    assert evidence.of("x/_vendor/y/b.py")[0] == "MIT AND BSD-2-Clause AND GPL-3.0-or-later"


def test_a_licence_file_may_only_name_the_licence() -> None:
    assert evidence_of({"LICENSE.txt": b"Apache 2.0\n"}).of("a.py")[0] == "Apache-2.0"


def test_no_evidence_is_no_licence_and_an_unread_one_is_unknown() -> None:
    assert evidence_of({"a.py": b""}).of("a.py") == (None, "")
    evidence = Evidence()
    evidence.add_unread("LICENSE")
    evidence.close()
    assert not is_permissive(evidence.of("a.py")[0])


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("# SPDX-License-Identifier: MIT\n", "MIT"),
        ("/* SPDX-License-Identifier: GPL-2.0-only OR MIT */", "GPL-2.0-only OR MIT"),
        ("<!-- SPDX-License-Identifier: (MIT OR X11) -->", "(MIT OR X11)"),
        ("# SPDX-License-Identifier:\n", UNKNOWN),
        ("# under the terms of the GNU General\n# Public License, version 2\n", "GPL-2.0-or-later"),
        ("import gnu\n", None),
        ("#" * 5000 + "SPDX-License-Identifier: MIT", None),
    ],
)
def test_a_file_may_state_its_own_licence(text: str, licence: str | None) -> None:
    assert own_licence(text) == licence


def test_copyleft_notices_are_not_seen_where_there_are_none() -> None:
    assert copyleft_in("GNU make is needed to build this") == []
