from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from starloom.contract.text_stream import TextStream


def run(parts: list[bytes], stops: tuple[str, ...] = ()) -> tuple[list[str], TextStream]:
    stream, shown = TextStream(stops), []
    for part in parts:
        shown.append(stream.feed(part))
        if stream.stopped:
            break
    shown.append(stream.end())
    assert "".join(shown) == stream.text
    return shown, stream


@given(st.text(), st.lists(st.integers(0, 60)), st.lists(st.text(min_size=1, max_size=4), max_size=3))
def test_any_cuts_give_the_text_up_to_the_first_stop(text: str, cuts: list[int], stops: list[str]) -> None:
    data = text.encode()
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    parts = [data[start:end] for start, end in pairwise(places)]
    shown, stream = run(parts, tuple(stops))
    found = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
    assert stream.stopped == bool(found)
    assert "\ufffd" in text or all("\ufffd" not in piece for piece in shown)
    assert stream.text == (text[: min(found)[1]] if found else text)


def test_text_streams_as_soon_as_it_is_clear() -> None:
    shown, _ = run([b"a", b"b\n", b"\nc", b"\n"], ("\n\n\n",))
    assert shown == ["a", "b", "\n\nc", "", "\n"]


def test_of_several_stops_the_first_complete_one_cuts() -> None:
    _, stream = run([b"one two", b" three"], ("three", "two"))
    assert stream.text == "one "


def test_an_unfinished_character_is_left_out_and_a_wrong_one_replaced() -> None:
    assert run([b"a\xe2\x82"])[1].text == "a"
    assert run([b"a\xe2\x82", b"\xac"])[1].text == "a€"
    assert run([b"a\xffb"])[1].text == "a\ufffdb"
