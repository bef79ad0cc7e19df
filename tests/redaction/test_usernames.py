from hypothesis import given
from hypothesis import strategies as st

from starloom.redaction import pseudonyms, replace_usernames


def test_participants_are_numbered_by_first_appearance() -> None:
    names = pseudonyms(["octocat", "hubot", "Octocat", "octocat", "jane"])
    assert names == {"octocat": "username_0", "hubot": "username_1", "Octocat": "username_0", "jane": "username_2"}


def test_mentions_of_participants_are_replaced_and_outsiders_left() -> None:
    names = pseudonyms(["octocat", "bob", "jean-luc", "Jon Skeet"])
    text = "@octocat, thanks! OctoCat's fix; octocat-2 and @linus; bob @bob, jean-luc: (Jon Skeet)"
    assert replace_usernames(text, names) == (
        "@username_0, thanks! username_0's fix; octocat-2 and @linus; bob @username_1, username_2: (username_3)"
    )


def test_no_participants() -> None:
    assert replace_usernames("@a b", {}) == "@a b"
    assert pseudonyms([]) == {}


@given(st.lists(st.text(max_size=6), max_size=5), st.text(max_size=40))
def test_any_names_and_texts(participants: list[str], text: str) -> None:
    names = pseudonyms(participants)
    assert set(names.values()) == {f"username_{i}" for i in range(len({name.lower() for name in participants}))}
    assert isinstance(replace_usernames(text, names), str)
