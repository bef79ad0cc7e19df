import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starloom.core.errors import SettingsError
from starloom.data.orders import FileOrder, draw, order_files

PATHS = ["a/x.py", "a/y.py", "a/b/z.py", "c/x.py", "c/d/e/f.py", "g.py", "h.py"]
ORDERS: list[FileOrder] = ["random", "path", "imports"]
repositories = st.lists(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join), min_size=1, max_size=20, unique=True
)


def distance(left: str, right: str) -> int:
    one, other = left.split("/")[:-1], right.split("/")[:-1]
    common = next(
        (depth for depth, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), min(len(one), len(other))
    )
    return len(one) + len(other) - 2 * common


@given(repositories, st.sampled_from(ORDERS), st.integers(0, 3), st.randoms(use_true_random=False))
def test_an_order_is_of_all_files_whatever_order_they_come_in(
    paths: list[str], order: FileOrder, seed: int, shuffle: random.Random
) -> None:
    imports = {path: shuffle.sample(paths, min(3, len(paths))) for path in paths}
    there = [paths[place] for place in order_files("r", paths, order, seed, imports)]
    assert sorted(there) == sorted(paths)
    shuffle.shuffle(paths)
    assert [paths[place] for place in order_files("r", paths, order, seed, imports)] == there


def test_seed_and_repository_change_the_order_and_other_files_do_not() -> None:
    one = order_files("r", PATHS, "random", 0)
    assert one != order_files("r", PATHS, "random", 1) or one != order_files("r", PATHS, "random", 2)
    assert any(order_files(name, PATHS, "random", 0) != one for name in "stu")
    without = PATHS[:2] + PATHS[3:]
    assert [without[place] for place in order_files("r", without, "random", 0)] == [PATHS[place] for place in one if place != 2]


@given(repositories, st.integers(0, 3))
def test_by_path_each_folder_is_read_before_it_is_left(paths: list[str], seed: int) -> None:
    there = [paths[place] for place in order_files("r", paths, "path", seed)]
    for depth in range(1, 4):
        tops = ["/".join(path.split("/")[:depth]) for path in there]
        runs = [top for number, top in enumerate(tops) if number == 0 or tops[number - 1] != top]
        assert len(runs) == len(set(runs))


def test_by_path_neighbours_are_nearer_than_at_random() -> None:
    paths = [f"{a}/{b}/{c}.py" for a in "abcd" for b in "efgh" for c in "ijkl"]

    def total(order: FileOrder) -> int:
        there = [paths[place] for place in order_files("r", paths, order, 0)]
        return sum(distance(left, right) for left, right in itertools.pairwise(there))

    assert total("path") == 12 * 2 + 3 * 4  # within a folder 0, to a sister folder 2, to another's 4
    assert total("random") > 3 * total("path")


@given(st.integers(1, 20), st.integers(0, 3), st.randoms(use_true_random=False))
def test_imports_stand_before_what_imports_them(count: int, seed: int, shuffle: random.Random) -> None:
    paths = [f"{number}.py" for number in range(count)]
    imports = {paths[number]: [path for path in paths[:number] if shuffle.random() < 0.3] for number in range(count)}
    there = [paths[place] for place in order_files("r", paths, "imports", seed, imports)]
    for path, targets in imports.items():
        assert all(there.index(target) < there.index(path) for target in targets)


def test_a_circle_of_imports_is_cut_in_the_same_place() -> None:
    paths = ["a.py", "b.py", "c.py", "d.py"]
    imports = {"a.py": ["b.py"], "b.py": ["c.py"], "c.py": ["a.py", "d.py", "c.py", "gone.py"]}
    there = [paths[place] for place in order_files("r", paths, "imports", 5, imports)]
    assert there == [paths[::-1][place] for place in order_files("r", paths[::-1], "imports", 5, imports)]
    assert there.index("d.py") < there.index("c.py")
    assert (
        sum(there.index(target) < there.index(path) for path, target in (("a.py", "b.py"), ("b.py", "c.py"), ("c.py", "a.py")))
        == 2
    )


def test_a_long_chain_of_imports_is_no_depth_of_calls() -> None:
    paths = [f"{number}.py" for number in range(20_000)]
    imports = {paths[number]: [paths[number + 1]] for number in range(len(paths) - 1)}
    assert order_files("r", paths, "imports", 0, imports) == list(range(len(paths)))[::-1]


def test_a_deep_path_is_no_hindrance() -> None:
    paths = [f"{'a/' * 30_000}{number}.py" for number in range(20)]
    assert sorted(order_files("r", paths, "path", 0)) == list(range(20))


def test_an_unknown_order_is_named_back() -> None:
    with pytest.raises(SettingsError, match="'alphabetic'; it must be one of 'random', 'path', 'imports'"):
        order_files("r", PATHS, "alphabetic", 0)  # type: ignore[arg-type]


def test_draws_are_spread_and_stay_what_they_are() -> None:
    assert draw(0, "a") == 1574244910681746387
    shares = [draw(0, number) / 2**64 for number in range(2000)]
    assert 0.47 < sum(shares) / len(shares) < 0.53
