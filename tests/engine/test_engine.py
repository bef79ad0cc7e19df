"""What users of the engine see: completions, streams, event loops, scores, limits and mistakes, over the fake core."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fake_core import FakeCore
from serving import WIDE, contract, make_engine, prompt, written

from starloom.contract import Contract, Prompt
from starloom.core.errors import BusyError, EngineError, InputError, MismatchError, SettingsError
from starloom.engine import Completion, Engine, Limits
from starloom.engine.core import Part


class SlowCore(FakeCore):
    """Steps when it is let; `entered` is set while a step waits."""

    def __init__(self, **options: Any) -> None:
        super().__init__(vocab_size=WIDE, **options)
        self.entered, self.let = threading.Event(), threading.Event()

    def step(self, parts: list[Part]) -> Any:
        self.entered.set()
        assert self.let.wait(20)
        return super().step(parts)


def core_of(**options: Any) -> FakeCore:
    return FakeCore(vocab_size=WIDE, **options)


def test_generate_stream_and_their_twins_say_the_same() -> None:
    core = core_of()
    with make_engine(core) as engine:
        whole = engine.generate(prompt(), max_tokens=12, stops=[])
        assert whole.ids == written(core, prompt(), 12)
        assert whole.text == contract().tokenizer.decode(whole.ids).rstrip("\ufffd")[: len(whole.text)]
        pieces = list(engine.stream(prompt(), max_tokens=12, stops=[]))
        assert [piece.completion is None for piece in pieces] == [True] * (len(pieces) - 1) + [False]
        assert "".join(piece.text for piece in pieces) == whole.text
        assert asyncio.run(engine.agenerate(prompt(), max_tokens=12, stops=[])).text == whole.text

        async def streamed() -> str:
            return "".join([piece.text async for piece in engine.astream(prompt(), max_tokens=12, stops=[])])

        assert asyncio.run(streamed()) == whole.text
        assert engine.stats().requests == 4


def test_the_batch_changes_nothing() -> None:
    core = core_of()
    asked = [(prompt("x" * place), {"temperature": 1.0, "seed": place % 3, "max_tokens": 10 + place}) for place in range(20)]
    with make_engine(core, limits=Limits(step_rows=32, shared_rows=8)) as engine, ThreadPoolExecutor(20) as pool:
        found = [*pool.map(lambda one: engine.generate(one[0], **one[1], stops=[]), asked)]
    for (one, options), completion in zip(asked, found, strict=True):
        assert completion.ids == written(core, one, options.pop("max_tokens"), **options)


def test_many_in_one_event_loop() -> None:
    core = core_of()

    async def all_at_once(engine: Engine) -> list[Completion]:
        return await asyncio.gather(*(engine.agenerate(prompt("y" * place), max_tokens=8, stops=[]) for place in range(12)))

    with make_engine(core) as engine:
        for place, completion in enumerate(asyncio.run(all_at_once(engine))):
            assert completion.ids == written(core, prompt("y" * place), 8)


def test_who_stops_listening_cancels() -> None:
    core = core_of()
    with make_engine(core) as engine:
        stream = engine.stream(prompt(), max_tokens=900, stops=[])
        next(stream)
        stream.close()

        async def left() -> None:
            async with asyncio.timeout(20):
                async for _ in engine.astream(prompt("b"), max_tokens=900, stops=[]):
                    break
            task = asyncio.create_task(engine.agenerate(prompt("c"), max_tokens=900, stops=[]))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(left())
        engine.generate(prompt("d"), max_tokens=1, priority=-1)
        assert engine.stats().drawn < 900


def test_stops() -> None:
    core = core_of()
    ids = written(core, prompt(), 12)
    texts = [contract().tokenizer.decode_bytes([token]) for token in ids]
    with make_engine(core) as engine:
        stopped = engine.generate(prompt(), max_tokens=12, stops=[ids[5]])
        assert (stopped.ids, stopped.finish_reason) == (ids[: ids.index(ids[5])], "stop")
        whole = engine.generate(prompt(), max_tokens=12, stops=[]).text
        for size in (1, 2, 4):
            stop = whole[3 : 3 + size]
            found = engine.generate(prompt(), max_tokens=12, stops=[], stop_texts=["never there", stop])
            assert (found.text, found.finish_reason) == (whole[: whole.index(stop)], "stop")
            shown = "".join(piece.text for piece in engine.stream(prompt(), max_tokens=12, stops=[], stop_texts=[stop]))
            assert shown == found.text
        assert engine.generate(prompt(), max_tokens=3, stops=[]).finish_reason == "length"
        assert b"".join(texts).decode(errors="replace").startswith(whole[:-1])


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("end", ["", " ", "\n    ", "\n\n\t "])
def test_held_back_bytes_come_first_and_are_not_shown(end: str, temperature: float) -> None:
    asked = contract().continue_prompt("def area(width)" + end)
    core = core_of()
    with make_engine(core) as engine:
        done = engine.generate(asked, max_tokens=9, stops=[], temperature=temperature)
    assert asked.held_back == end.encode()
    assert done.ids == written(core, asked, len(done.ids), temperature=temperature)
    data = contract().tokenizer.decode_bytes(done.ids)
    assert data.startswith(asked.held_back)
    assert data[len(end) :].decode(errors="replace").rstrip("\ufffd") == done.text.rstrip("\ufffd")
    assert 9 <= len(done.ids) <= 9 + len(end)


def test_the_best_of_many() -> None:
    core = core_of()
    options: dict[str, Any] = {"max_tokens": 8, "stops": [], "temperature": 1.0}
    with make_engine(core) as engine:
        all_of_them = engine.generate_many(prompt(), n=6, log_probabilities=0, **options)
        best = engine.generate_many(prompt(), n=2, best_of=6, **options)
        one = engine.generate(prompt(), best_of=6, log_probabilities=2, **options)
    assert [completion.index for completion in all_of_them] == [*range(6)]
    ranked = sorted(all_of_them, key=lambda completion: -sum(completion.log_probabilities or []))
    assert [completion.ids for completion in best] == [completion.ids for completion in ranked[:2]]
    assert [completion.log_probabilities for completion in best] == [None, None]
    assert (one.ids, one.log_probabilities, one.index) == (ranked[0].ids, ranked[0].log_probabilities, 0)
    assert all(len(places) == 2 for places in one.alternatives or [])


def test_log_probabilities_are_those_of_the_scored_text() -> None:
    with make_engine() as engine:
        done = engine.generate(prompt(), max_tokens=8, stops=[], temperature=1.0, log_probabilities=3)
        scores = engine.score(done.ids, prompt().ids, alternatives=3)
        assert scores.ids == done.ids
        assert scores.log_probabilities == pytest.approx(done.log_probabilities)
        assert [[token for token, _ in places] for places in scores.alternatives] == [
            [token for token, _ in places] for places in done.alternatives or []
        ]
        whole = engine.score([*prompt().ids, *done.ids])
        assert whole.log_probabilities[0] is None
        assert whole.log_probabilities[-8:] == pytest.approx(done.log_probabilities)
        assert whole.ids == [*prompt().ids, *done.ids]
        assert asyncio.run(engine.ascore(done.ids, prompt().ids, alternatives=3)) == scores
        assert engine.score("x").log_probabilities == [None]
        assert engine.score([], [5]).ids == []


def test_complete_shows_what_is_nearest_to_the_cursor() -> None:
    core = core_of(max_positions=200)
    with make_engine(core) as engine:
        done = engine.complete("print(1)\n" * 400, "\nprint(2)\n" * 400, max_tokens=20)
        assert 100 < done.prompt_tokens <= 180
        assert asyncio.run(engine.acomplete("print(1)\n" * 400, "\nprint(2)\n" * 400, max_tokens=20)).text == done.text
        assert engine.complete("x = ", max_tokens=3).prompt_tokens < 10


LETTERS = [token for token, data in enumerate(contract().tokenizer.token_bytes) if data.isalpha() and data.isascii()]


@pytest.mark.parametrize("order", ["spm", "psm"])
def test_who_types_what_was_proposed_is_answered_from_it(order: Any) -> None:
    before, behind = "def area(width):\n    return wid", "\n\nprint(area(3))\n"
    with make_engine() as engine:
        answer = engine.generate(
            contract().fill_in_prompt(before, behind, order=order), max_tokens=12, stops=[], logit_bias=dict.fromkeys(LETTERS, 9)
        )
        rest = engine._answers.rest(contract().fill_in_prompt(before + answer.text[:5], behind, order=order))
        assert contract().tokenizer.decode(rest) == answer.text[5:]
        assert engine._answers.rest(contract().fill_in_prompt(before + "!" + answer.text[:5], behind, order=order)) == []
        assert engine._answers.rest(contract().fill_in_prompt(before[:-1], behind, order=order)) == []


def test_a_repeated_request_is_one_guess() -> None:
    core = core_of()
    with make_engine(core) as engine:
        first = engine.generate(prompt(), max_tokens=12, stops=[])
        steps = engine.stats().steps
        again = engine.generate(prompt(), max_tokens=12, stops=[])
        assert again.ids == first.ids
        assert engine.stats().steps - steps == 1
        plain = engine.generate(prompt(), max_tokens=12, stops=[], speculate=False)
        assert plain.ids == first.ids
        other = engine.generate(prompt(), max_tokens=12, stops=[], temperature=1.0)
        assert other.ids == written(core, prompt(), 12, temperature=1.0)


def test_busy_is_said_and_passes() -> None:
    core = SlowCore()
    with make_engine(core, most_waiting=2, limits=Limits(running=1)) as engine:
        streams = [engine.stream(prompt(), max_tokens=2)]
        assert core.entered.wait(20)
        streams += [engine.stream(prompt(text), max_tokens=2) for text in "ab"]
        with pytest.raises(BusyError, match="2 requests are waiting already"):
            engine.stream(prompt("c"), max_tokens=2)
        core.let.set()
        for stream in streams:
            assert list(stream)[-1].completion
        assert engine.generate(prompt("c"), max_tokens=2).ids


def test_a_deadline_ends_a_request() -> None:
    core = SlowCore()
    with make_engine(core) as engine:
        stream = engine.stream(prompt(), max_tokens=900, deadline=0.05)
        assert core.entered.wait(20)
        time.sleep(0.1)
        core.let.set()
        assert list(stream)[-1].completion.finish_reason == "deadline"  # type: ignore[union-attr]


def test_failures_are_told_and_pass() -> None:
    core = core_of()
    core.fail_at = {300}
    with make_engine(core) as engine:
        with pytest.raises(EngineError, match="the fake core does not like this token"):
            engine.generate(Prompt([60, 300]), max_tokens=2)
        with pytest.raises(EngineError):
            asyncio.run(engine.agenerate(Prompt([60, 300]), max_tokens=2))
        with pytest.raises(EngineError):
            engine.score([60, 300, 60])
        assert engine.generate(Prompt([60, 301]), max_tokens=2, stops=[], logit_bias={300: -99}).ids


def test_a_mistake_of_the_scheduler_fails_what_runs_and_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    with make_engine() as engine:
        plan = engine._scheduler._plan
        monkeypatch.setattr(engine._scheduler, "_plan", lambda: 1 / 0)
        with pytest.raises(EngineError, match="ZeroDivisionError"):
            engine.generate(prompt(), max_tokens=2)
        monkeypatch.setattr(engine._scheduler, "_plan", plan)
        assert engine.generate(prompt(), max_tokens=2).finish_reason


def test_closing() -> None:
    core = SlowCore()
    engine = make_engine(core)
    stream = engine.stream(prompt(), max_tokens=900)
    assert core.entered.wait(20)
    threading.Timer(0.05, core.let.set).start()
    engine.close()
    with pytest.raises(EngineError, match="closed before this request was finished"):
        list(stream)
    with pytest.raises(EngineError, match="the engine is closed"):
        engine.generate(prompt(), max_tokens=2)
    engine.close()


def test_an_engine_that_nobody_holds_ends_its_thread() -> None:
    def threads() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "starloom-engine"]

    engine = make_engine()
    engine.generate(prompt(), max_tokens=2)
    (thread,) = threads()
    del engine
    gc.collect()
    assert not thread.is_alive()
    assert threads() == []


def test_idle_runs_nothing() -> None:
    with make_engine() as engine:
        engine.generate(prompt(), max_tokens=2)
        counted, step = [], engine._scheduler.step
        time.sleep(0.05)
        engine._scheduler.step = lambda: counted.append(step())  # type: ignore[method-assign, func-returns-value]
        time.sleep(0.1)
        assert counted == []
        engine.generate(prompt(), max_tokens=2)
        assert len(counted) > 0


def test_what_does_not_fit_is_refused_at_once() -> None:
    cases: list[tuple[Callable[[Engine], object], type[Exception], str]] = [
        (lambda engine: engine.generate(Prompt([]), max_tokens=1), InputError, "the prompt is empty"),
        (lambda engine: engine.stream(Prompt([345]), max_tokens=1), MismatchError, "holds the id 345; the model knows 0 to 344"),
        (lambda engine: engine.generate(Prompt([60] * 190), max_tokens=11), InputError, "do not fit into 200 positions"),
        (lambda engine: engine.score([60] * 201), InputError, "does not fit into 200 positions"),
        (lambda engine: engine.generate(Prompt([60] * 120), max_tokens=50), InputError, "6 pages are needed, there are 5"),
        (lambda engine: engine.complete("x", max_tokens=199), InputError, "room"),
        (lambda engine: engine.generate(prompt(), max_token=1), SettingsError, "unknown setting 'max_token'; did you mean"),
        (lambda engine: engine.generate(prompt(), n=2), SettingsError, "n is 2; for more than one completion use generate_many"),
        (lambda engine: engine.generate(prompt(), stops=[999]), SettingsError, "stops holds the id 999"),
        (lambda engine: engine.generate(prompt(), logit_bias={999: 1}), SettingsError, "logit_bias names the id 999"),
        (lambda engine: engine.score("x", alternatives=-1), SettingsError, "alternatives is -1"),
        (lambda engine: engine.stream(prompt(), temperature=-1), SettingsError, "temperature is -1"),
    ]
    with make_engine(core_of(num_pages=5, max_positions=200)) as engine:
        for action, error, message in cases:
            with pytest.raises(error) as caught:
                action(engine)
            assert message in str(caught.value)
    with pytest.raises(MismatchError, match="the tokenizer has 340 tokens, the model only 300"):
        Engine(FakeCore(vocab_size=300), contract())


def test_stats_tell_what_was_done() -> None:
    with make_engine() as engine:
        asked = Prompt([60 + place % 9 for place in range(100)])
        for _ in range(2):
            engine.generate(asked, max_tokens=5, stops=[], speculate=False)
        stats = engine.stats()
    assert (stats.requests, stats.drawn, stats.reused, stats.evaluated) == (2, 10, 99, 100 + 1 + 2 * 4)
    assert (stats.pages, stats.pages_free, stats.pages_kept) == (64, 60, 4)
    assert (stats.running, stats.waiting, stats.guessed, stats.accepted) == (0, 0, 0, 0)
    assert 0 < stats.step_seconds <= stats.busy_seconds
    assert isinstance(engine.contract, Contract)
