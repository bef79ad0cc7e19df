"""Short licence fields of manifests, made SPDX: `Apache 2.0` -> `Apache-2.0`.

Expressions whose identifiers SPDX knows stay as they are. What cannot be told is `UNKNOWN`. Does not know where a field stood.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

from starloom.data.licences.expressions import UNKNOWN, identifiers
from starloom.data.licences.policies import open_policy
from starloom.data.licences.texts import spdx_names

SHORT_FIELD = 120  # characters; a longer field is the text of a licence

_NAMES = {
    r"(the )?(mit|expat)( licen[cs]e)?( \(?mit\)?)?": "MIT",
    r"apache([ -]software)?( licen[cs]e)?(,? ?(version|v\.?)? ?-?2(\.0)?)?( licen[cs]e)?|asl ?2(\.0)?|apl ?2(\.0)?": "Apache-2.0",
    r"(new |modified |revised |\(?3[- ]clause\)? |three[- ]clause )bsd( licen[cs]e)?": "BSD-3-Clause",
    r"bsd[- ]?\(?3[- ]?(clause)?\)?( licen[cs]e)?": "BSD-3-Clause",
    r"(simplified |2[- ]clause )bsd( licen[cs]e)?|bsd[- ]?2[- ]?(clause)?( licen[cs]e)?": "BSD-2-Clause",
    r"bsd([- ]style|[- ]like)?( licen[cs]e)?": "LicenseRef-BSD",
    r"isc( licen[cs]e)?( \(?iscl\)?)?": "ISC",
    r"psf([- ]?2(\.0)?)?( licen[cs]e)?|python software foundation( licen[cs]e)?": "PSF-2.0",
    r"zpl[- ]?(version )?2\.1|zope public licen[cs]e.*": "ZPL-2.1",
    r"(released (in)?to the |dedicated to the )?public[- ]domain": "LicenseRef-scancode-public-domain",
    r"(the )?unlicense( \(unlicense\))?": "Unlicense",
    r"zlib(/libpng)?( licen[cs]e)?": "Zlib",
    r"hpnd|historical permission notice and disclaimer \(hpnd\)": "HPND",
    r"mpl[- ]?2(\.0)?|mozilla public licen[cs]e,? (version )?2\.0( \(mpl 2\.0\))?": "MPL-2.0",
    r"(gnu )?(lgpl|lesser general|library or lesser|library general).*": "LGPL-2.1-or-later",
    r"(gnu )?(a|affero )(gpl|general).*": "AGPL-3.0-or-later",
    r"(gnu )?(gpl|general public).*3.*": "GPL-3.0-or-later",
    r"(gnu )?(gpl|general public).*": "GPL-2.0-or-later",
    r"cc0.*": "CC0-1.0",
    r"academic free licen[cs]e \(afl\)": "AFL-3.0",
    r"boost software licen[cs]e 1\.0 \(bsl-1\.0\)": "BSL-1.0",
    r"mit no attribution license \(mit-0\)": "MIT-0",
    r"university of illinois/ncsa open source license": "NCSA",
    r"universal permissive license \(upl\)": "UPL-1.0",
    r"unlicensed|(proprietary|commercial|all rights reserved) ?.*": "LicenseRef-scancode-proprietary-license",
    r"see licen[cs]e in .*": "LicenseRef-scancode-unknown-license-reference",
    r"see (the )?(file )?(licen[cs]e|copying)([.-]\w+)*( file)?": "LicenseRef-scancode-unknown-license-reference",
    r"perl(_5)?": "Artistic-1.0-Perl OR GPL-1.0-or-later",
}
_ASIDE = re.compile(r" \(see [^()]*\)|,? copyright \(c\).*", re.IGNORECASE)
_BARE_GNU = re.compile(r"[AL]?GPL-\d\.\d|GFDL-\d\.\d")  # deprecated by SPDX
_SYMBOL = re.compile(r"[^\s()]+")
_PATTERNS = [(re.compile(pattern, re.IGNORECASE), expression) for pattern, expression in _NAMES.items()]


@lru_cache(maxsize=10_000)
def normalised(field: str) -> str:
    """The SPDX form of a short licence field; `UNKNOWN` for what cannot be told."""
    field = " ".join(field[: SHORT_FIELD * 4].split()).strip(" .\"'")
    if expression := canonical(field):
        return expression
    field = _ASIDE.sub("", field)
    for pattern, expression in _PATTERNS:
        if pattern.fullmatch(field):
            return expression
    return UNKNOWN


def canonical(text: str) -> str | None:
    """An SPDX expression in SPDX's own spelling; None unless SPDX or the policies know all its identifiers."""
    named = identifiers(text)
    if not named or not all(name.removesuffix("+").casefold() in _spellings() for name in named):
        return None
    return _SYMBOL.sub(lambda symbol: _spelling(symbol[0]), text)


def _spelling(symbol: str) -> str:
    if symbol.upper() in ("AND", "OR", "WITH"):
        return symbol.upper()
    plus = "+" if symbol.endswith("+") else ""
    known = _spellings().get(symbol.removesuffix("+").casefold(), symbol.removesuffix("+"))
    if _BARE_GNU.fullmatch(known):
        return known + ("-or-later" if plus else "-only")
    return known + plus


@cache
def _spellings() -> dict[str, str]:
    """Every identifier that is known, by its lower-case form."""
    return {name.casefold(): name for name in sorted({*spdx_names(), *open_policy().identifiers})}
