"""The text with findings replaced: by a placeholder token of the tokenizer, or by a private address.

Placeholders and addresses are those of StarCoder 2's data (bigcode-dataset, pii_redaction). One address keeps one replacement
within a text; they are dealt out in the order in which addresses appear, so that the same text always gives the same result.
"""

from __future__ import annotations

from starloom.redaction.finding import Finding, Kind

PRIVATE_V4 = ("172.16.31.10", "172.16.58.3", "172.16.17.32", "192.168.127.12", "192.168.3.11")
PRIVATE_V6 = (
    "fd00:c2b6:b24b:be67:2827:688d:e6a1:6a3b",
    "fd00:a516:7c1b:17cd:6d81:2137:bd2a:2c5b",
    "fc00:e968:6179::de52:7100",
    "fc00:db20:35b:7399::5",
    "fdf8:f53e:61e4::18",
)


def replaced(text: str, findings: list[Finding]) -> str:
    """The text with `findings` (in order, none overlapping another) replaced."""
    pieces: list[str] = []
    done = 0
    for finding, replacement in zip(findings, replacements(findings), strict=True):
        pieces += text[done : finding.start], replacement
        done = finding.end
    return "".join([*pieces, text[done:]])


def replacements(findings: list[Finding]) -> list[str]:
    """What stands for each finding."""
    addresses: dict[str, str] = {}
    return [_replacement(finding, addresses) for finding in findings]


def _replacement(finding: Finding, addresses: dict[str, str]) -> str:
    if finding.kind is not Kind.IP_ADDRESS:
        return f"<{finding.kind}>"
    if finding.value not in addresses:
        choices = PRIVATE_V6 if ":" in finding.value else PRIVATE_V4
        used = sum(value in choices for value in addresses.values())
        addresses[finding.value] = choices[used % len(choices)]
    return addresses[finding.value]
