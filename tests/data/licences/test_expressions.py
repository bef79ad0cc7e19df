import pytest
from hypothesis import given
from hypothesis import strategies as st

from starloom.core.errors import SettingsError
from starloom.data.licences.expressions import UNKNOWN, conjunction, identifiers, offers_choice, parse
from starloom.data.licences.policies import is_permissive, open_policy, policy_names

_identifiers = st.sampled_from(["MIT", "Apache-2.0", "GPL-3.0-only", "Nonsense-1.0", "BSD-3-Clause"])
_trees = st.recursive(_identifiers, lambda inner: st.tuples(inner, st.sampled_from(["AND", "OR"]), inner), max_leaves=8)


def written(tree: object) -> str:
    return tree if isinstance(tree, str) else f"({written(tree[0])} {tree[1]} {written(tree[2])})"  # type: ignore[index]


def truth(tree: object) -> bool:
    if isinstance(tree, str):
        return tree in ("MIT", "Apache-2.0", "BSD-3-Clause")
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


def test_identifiers_and_choices() -> None:
    assert identifiers("MIT AND (GPL-2.0-only WITH Classpath-exception-2.0 OR Zlib)") == {"MIT", "GPL-2.0-only", "Zlib"}
    assert identifiers("(MIT") == frozenset()
    assert offers_choice("MIT OR GPL-2.0-only")
    assert not offers_choice("MIT AND (ISC OR GPL-2.0-only)")
    assert parse("not one identifier") is None


def test_policies_are_named_and_versioned() -> None:
    assert policy_names() == ["blueoak-bronze", "permissive"]
    assert open_policy().name == "permissive-2"
    with pytest.raises(SettingsError, match="no licence policy 'mine'; there are blueoak-bronze, permissive"):
        open_policy("mine")


@pytest.mark.parametrize(
    ("expression", "union", "strict"),
    [
        ("MIT", "permissive", "permissive"),
        ("WTFPL", "permissive", "bad"),  # Blue Oak: Lead
        ("CC-BY-4.0", "permissive", "bad"),  # ScanCode: Permissive; not in Blue Oak's list
        ("LicenseRef-scancode-public-domain", "permissive", "bad"),
        ("GPL-2.0-only", "bad", "bad"),
        ("MPL-2.0", "bad", "bad"),
        ("CC-BY-SA-4.0", "bad", "bad"),
        ("BUSL-1.1", "bad", "bad"),
        ("LicenseRef-scancode-dco-1.1", "neutral", "neutral"),
        ("MIT AND LicenseRef-scancode-dco-1.1", "permissive", "permissive"),
        ("GPL-2.0-only AND LicenseRef-scancode-dco-1.1", "bad", "bad"),
        ("GPL-2.0-only OR LicenseRef-scancode-dco-1.1", "neutral", "neutral"),
        ("Apache-2.0 WITH Commons-Clause", "bad", "bad"),
    ],
)
def test_how_an_expression_stands(expression: str, union: str, strict: str) -> None:
    assert open_policy("permissive").standing(expression) == union
    assert open_policy("blueoak-bronze").standing(expression) == strict


def test_the_strict_policy_is_a_part_of_the_other() -> None:
    assert open_policy("blueoak-bronze").permissive < open_policy("permissive").permissive
