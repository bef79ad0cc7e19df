import pytest

from starloom.data.licences.expressions import UNKNOWN
from starloom.data.licences.manifests import is_manifest, read_manifest
from starloom.data.licences.names import normalised


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
        ("mit or apache-2.0", "MIT OR Apache-2.0"),
        ("gpl-2.0+", "GPL-2.0-or-later"),
        ("(LGPL-2.1 or mit)", "(LGPL-2.1-only OR MIT)"),
        ("SEE LICENSE IN LICENSE.md", "LicenseRef-scancode-unknown-license-reference"),
        ("UNLICENSED", "LicenseRef-scancode-proprietary-license"),
        ("Public Domain", "LicenseRef-scancode-public-domain"),
        ("Freely Distributable", UNKNOWN),
        ("Apache modified", UNKNOWN),
        ("BSD license (see license.txt for details), Copyright (c) 2000-2025, A Inc.", "LicenseRef-BSD"),
    ],
)
def test_licence_fields_become_spdx(field: str, identifier: str) -> None:
    assert normalised(field) == identifier


def test_core_metadata() -> None:
    both = read_manifest(
        "METADATA", "Name: x\nVersion: 1\nLicense: MIT\nClassifier: License :: OSI Approved :: BSD License\n\nLicense: GPL"
    )
    assert (both.name, both.version, both.licences) == ("x", "1", ("MIT", "LicenseRef-BSD"))
    newer = read_manifest(
        "PKG-INFO", "Name: x\nLicense-Expression: MIT OR GPL-2.0-only\nClassifier: License :: Freely Distributable\n"
    )
    assert newer.licences == ("MIT OR GPL-2.0-only",)
    assert read_manifest("METADATA", "\ufffd\x00").licences == ()


@pytest.mark.parametrize(
    ("name", "data", "licences"),
    [
        ("package.json", '{"license": "MIT"}', ("MIT",)),
        ("package.json", '{"licenses": [{"type": "MIT"}, {"type": "GPL-2.0-only"}]}', ("MIT OR GPL-2.0-only",)),
        ("package.json", "[1]", ()),
        ("package.json", "{", ()),
        ("pyproject.toml", '[project]\nname = "x"\nlicense = {text = "BSD 3-Clause"}', ("BSD-3-Clause",)),
        ("pyproject.toml", '[tool.poetry]\nlicense = "MIT"', ("MIT",)),
        ("pyproject.toml", "tool = 3", ()),
        ("Cargo.toml", '[package]\nlicense = "MIT OR Apache-2.0"', ("MIT OR Apache-2.0",)),
        ("Cargo.toml", '[package]\nlicense = "MIT/Apache-2.0"', ("MIT OR Apache-2.0",)),
        ("composer.json", '{"license": ["LGPL-2.1-only", "GPL-3.0-or-later"]}', ("LGPL-2.1-only OR GPL-3.0-or-later",)),
        ("DESCRIPTION", "Package: x\nVersion: 1\nLicense: MIT + file LICENSE\n", ("MIT",)),
        ("DESCRIPTION", "Package: x\nLicense: GPL-2 | GPL-3\n", ("GPL-2.0-or-later OR GPL-3.0-or-later",)),
        ("DESCRIPTION", "a text about the project\n", ()),
        ("x.gemspec", "Gem::Specification.new do |s|\n  s.license = 'MIT'\nend", ("MIT",)),
        ("x.gemspec", "  s.licenses = ['MIT', 'GPL-2.0-only']", ("MIT", "GPL-2.0-only")),
        ("x.gemspec", "  s.name = 'MIT'", ()),
    ],
)
def test_other_manifests(name: str, data: str, licences: tuple[str, ...]) -> None:
    assert read_manifest(name, data).licences == licences


def test_which_names_are_manifests() -> None:
    assert is_manifest("package.json")
    assert is_manifest("mine.gemspec")
    assert not is_manifest("package-lock.json")
