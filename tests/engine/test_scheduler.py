"""Many tasks in few pages: whatever is run together, put off or guessed, each text is what recomputation gives."""

from __future__ import annotations

from typing import Any

import pytest
from fake_core import FakeCore
from hypothesis import given, settings
from hypothesis import strategies as st
from serving import WIDE, Adversary, contract, forbidden, prompt, written

from starloom.contract import Prompt
from starloom.core.errors import EngineError, FormatError
from starloom.engine.core import PAGE
from starloom.engine.generation import Generation, Group
from starloom.engine.requests import Completion, Event, Options, Piece, Request, Scores
from starloom.engine.sampling import Vocabulary
from starloom.engine.scheduler import Limits, Scheduler
from starloom.engine.scoring import Scoring
from starloom.engine.speculation import Guesser

SMALL = Limits(step_rows=40, shared_rows=16, guess_rows=7, running=6)


class Asked:
    """A request to a scheduler, and what came back."""

    def __init__(
        self, scheduler: Scheduler, asked: Prompt, guesser: Guesser | None = None, stops: list[int] | None = None, **options: Any
    ) -> None:
        self.prompt, self.options, self.events = asked, options, list[Event]()
        chosen = Options(**options)
        self.request = Request(self.events.append, priority=chosen.priority, deadline=chosen.deadline)
        group = Group(self.request, chosen, lambda completion: None)
        self.tasks = [
            Generation(
                *(group, asked, Vocabulary(WIDE, forbidden(stops or [])), contract().tokenizer, frozenset(stops or [])),
                *(guesser, index),
            )
            for index in range(chosen.num_completions)
        ]
        self.tasks[0].others = [*self.tasks[1:]]
        scheduler.add(self.tasks[0])

    @property
    def completions(self) -> list[Completion]:
        return [event.completion for event in self.events if isinstance(event, Piece) and event.completion]

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Piece))


def run(scheduler: Scheduler, most: int = 10_000) -> None:
    for _ in range(most):
        if not scheduler.busy:
            return
        scheduler.step()
    raise AssertionError("the scheduler does not come to an end")


def check(core: FakeCore, asked: Asked) -> None:
    assert len(asked.completions) == Options(**asked.options).n
    for one in asked.completions:
        rest = {name: value for name, value in asked.options.items() if name not in ("max_tokens", "n")}
        assert one.ids == written(core, asked.prompt, asked.options["max_tokens"], one.index, **rest)


def check_pages(scheduler: Scheduler) -> None:
    """All pages are free or kept for reuse, and can be given back."""
    store = scheduler._store
    assert store.pages.num_free + store.tree.num_pages == store.pages.count
    store.tree.make_room(store.pages.count)
    assert store.pages.num_free == store.pages.count


prompts = st.builds(
    lambda start, more: Prompt([*contract().tokenizer.encode("print(area)" * 30)[:start], *more]),
    st.integers(0, 120),
    st.lists(st.integers(40, 339), min_size=1, max_size=40),
)
choices = st.fixed_dictionaries(
    {
        "max_tokens": st.integers(1, 30),
        "temperature": st.sampled_from([0.0, 1.0]),
        "seed": st.integers(0, 3),
        "priority": st.integers(0, 2),
        "n": st.sampled_from([1, 1, 1, 3]),
    }
)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(prompts, choices, st.integers(0, 5), st.booleans()), min_size=1, max_size=8),
    st.sampled_from([None, 20, 50]),
    st.integers(8, 24),
    st.sampled_from([0, 3]),
)
def test_any_load_on_few_pages_writes_what_recomputation_gives(
    load: list[tuple[Prompt, dict[str, Any], int, bool]], window: int | None, num_pages: int, flat: int
) -> None:
    core = FakeCore(vocab_size=WIDE, num_pages=num_pages, window=window, flat=flat)
    scheduler, all_asked = Scheduler(core, SMALL), []
    for asked, options, steps, guess in load:
        right = written(core, asked, options["max_tokens"], **{name: options[name] for name in ("temperature", "seed")})
        guesser = Adversary(right, len(asked.ids)) if guess and options["n"] == 1 else None
        all_asked.append(Asked(scheduler, asked, guesser, **options))
        for _ in range(steps):
            scheduler.step()
    run(scheduler)
    for one in all_asked:
        check(core, one)
    check_pages(scheduler)


def test_speculation_saves_steps_and_changes_nothing() -> None:
    core = FakeCore(vocab_size=WIDE)
    asked = prompt()
    right = written(core, asked, 40, temperature=1.0)
    scheduler, guesser = Scheduler(core, SMALL), Adversary(right, len(asked.ids))
    one = Asked(scheduler, asked, guesser, max_tokens=40, temperature=1.0)
    run(scheduler)
    assert one.completions[0].ids == right
    assert scheduler.stats.steps < 25
    assert scheduler.stats.guessed == sum(offered for offered, _ in guesser.told)
    assert scheduler.stats.accepted == sum(accepted for _, accepted in guesser.told) > 15
    assert scheduler.stats.drawn == 40
    assert scheduler.stats.evaluated == len(asked.ids) + 39 + scheduler.stats.guessed - scheduler.stats.accepted


def test_decodes_go_on_beside_a_long_prompt() -> None:
    core = FakeCore(vocab_size=WIDE)
    scheduler = Scheduler(core, SMALL)
    first = Asked(scheduler, prompt("a"), max_tokens=30)
    scheduler.step()
    second = Asked(scheduler, Prompt(prompt().ids[:2] + [60, 61] * 150), max_tokens=2)
    for _ in range(10):
        scheduler.step()
        assert [rows for _, rows, _ in core.steps[-1]] == [1, 16]
    run(scheduler)
    check(core, first)
    check(core, second)
    alone = Scheduler(core, SMALL)
    Asked(alone, Prompt([60, 61] * 100), max_tokens=1)
    alone.step()
    assert core.steps[-1] == [(0, 40, 0)]


def test_prompts_that_begin_alike_are_run_once() -> None:
    core = FakeCore(vocab_size=WIDE)
    scheduler = Scheduler(core, Limits(step_rows=64, shared_rows=64))
    shared = [60, 61, 62] * 64
    all_asked = [Asked(scheduler, Prompt([*shared, 70 + place, 71]), max_tokens=3) for place in range(10)]
    run(scheduler)
    for one in all_asked:
        check(core, one)
    assert scheduler.stats.reused == 9 * len(shared)
    assert scheduler.stats.evaluated == len(shared) + 10 * (2 + 2)


def test_completions_of_one_prompt_run_it_once() -> None:
    core = FakeCore(vocab_size=WIDE)
    scheduler = Scheduler(core, SMALL)
    one = Asked(scheduler, Prompt([60] * 70), max_tokens=4, n=5, temperature=1.0)
    run(scheduler)
    check(core, one)
    assert len({tuple(completion.ids) for completion in one.completions}) > 1
    assert scheduler.stats.evaluated == 70 + 5 * 3


def test_priority_goes_before_arrival() -> None:
    core = FakeCore(vocab_size=WIDE)
    scheduler = Scheduler(core, Limits(step_rows=64, shared_rows=64, running=1))
    order: list[str] = []
    for name, priority in [("low", 0), ("high", 2), ("middle", 1), ("late high", 2)]:
        asked = Asked(scheduler, prompt(name), max_tokens=2, priority=priority)
        asked.request._listen = lambda event, name=name: order.append(name)  # type: ignore[misc]
    run(scheduler)
    assert list(dict.fromkeys(order)) == ["high", "late high", "middle", "low"]


def test_who_comes_last_gives_pages_back_and_is_not_lost() -> None:
    core = FakeCore(vocab_size=WIDE, num_pages=6)
    scheduler = Scheduler(core, SMALL)
    first = Asked(scheduler, Prompt([60] * 60), max_tokens=60)
    second = Asked(scheduler, Prompt([61] * 60), max_tokens=60)
    run(scheduler)
    check(core, first)
    check(core, second)
    assert scheduler.stats.preempted >= 1
    assert first.completions[0].index == 0
    check_pages(scheduler)


def test_memory_does_not_grow_beyond_the_window() -> None:
    core = FakeCore(vocab_size=WIDE, num_pages=5, window=40)
    scheduler = Scheduler(core, SMALL)
    asked = Asked(scheduler, Prompt([60, 61, 62, 63, 64] * 120), max_tokens=200)
    run(scheduler)
    check(core, asked)


@pytest.mark.parametrize("when", [0, 1, 5])
def test_cancellation_comes_within_one_step(when: int) -> None:
    core = FakeCore(vocab_size=WIDE)
    scheduler = Scheduler(core, SMALL)
    one, other = Asked(scheduler, prompt(), max_tokens=50, n=2), Asked(scheduler, prompt("b"), max_tokens=20)
    for _ in range(when):
        scheduler.step()
    one.request.cancel()
    scheduler.step()
    assert [completion.finish_reason for completion in one.completions] == ["cancelled"] * 2
    run(scheduler)
    check(core, other)
    check_pages(scheduler)


def test_a_deadline_gives_what_there_is() -> None:
    core, now = FakeCore(vocab_size=WIDE), [0.0]
    scheduler = Scheduler(core, SMALL, clock=lambda: now[0])
    asked = Asked(scheduler, prompt(), max_tokens=100)
    asked.request._end = 7.5
    waits = Asked(scheduler, Prompt([60] * 900), max_tokens=5)
    waits.request._end = 2.5
    while scheduler.busy:
        scheduler.step()
        now[0] += 1
    late, waiting = asked.completions[0], waits.completions[0]
    assert (late.finish_reason, waiting.finish_reason) == ("deadline", "deadline")
    assert 1 < len(late.ids) <= 8
    assert late.ids == written(core, asked.prompt, len(late.ids))
    assert (late.text, waiting.text) == (asked.text, "")


def test_a_failure_of_the_core_fails_who_caused_it_alone() -> None:
    core = FakeCore(vocab_size=WIDE)
    core.fail_at = {next(token for token in range(40, 340) if token not in [*prompt().ids, *written(core, prompt(), 9)])}
    scheduler = Scheduler(core, SMALL)
    good, bad = Asked(scheduler, prompt(), max_tokens=9), Asked(scheduler, Prompt([60, *core.fail_at, 61]), max_tokens=9, n=2)
    run(scheduler)
    check(core, good)
    (error,) = bad.events
    assert isinstance(error, EngineError)
    assert "RuntimeError: the fake core does not like this token" in str(error)
    assert isinstance(error.__cause__, RuntimeError)
    check_pages(scheduler)


def test_damaged_logits_fail_a_request_with_the_reason() -> None:
    core = FakeCore(vocab_size=WIDE)
    step = core.step
    core.step = lambda parts: step(parts) * float("nan")  # type: ignore[method-assign]
    scheduler = Scheduler(core, SMALL)
    asked = Asked(scheduler, prompt(), max_tokens=9, n=2)
    run(scheduler)
    assert [type(event) for event in asked.events] == [FormatError]
    check_pages(scheduler)


def test_scores_go_on_after_a_task_was_put_off() -> None:
    core = FakeCore(vocab_size=WIDE, num_pages=8)
    events: list[Event] = []
    scheduler, ids = Scheduler(core, SMALL), [60 + place % 7 for place in range(250)]
    scheduler.add(Scoring(Request(events.append), ids, 100, 1))
    for _ in range(4):
        scheduler.step()
    first = Asked(scheduler, Prompt([61] * 150), max_tokens=9, priority=1)
    run(scheduler)
    check(core, first)
    (scores,) = events
    assert isinstance(scores, Scores)
    assert scheduler.stats.preempted == 1
    alone: list[Event] = []
    fresh = Scheduler(FakeCore(vocab_size=WIDE), Limits())
    fresh.add(Scoring(Request(alone.append), ids, 100, 1))
    run(fresh)
    assert alone == events
    assert len(scores.ids) == len(scores.log_probabilities) == 150


def test_needed_pages_are_enough() -> None:
    for window, capacity in [(None, 100), (40, 1000), (1, 64), (33, 65)]:
        core = FakeCore(vocab_size=WIDE, window=window)
        core.num_pages = Scheduler(core).needed_pages(capacity)
        assert core.num_pages <= -(-capacity // PAGE)
        scheduler = Scheduler(core, SMALL)
        asked = Asked(scheduler, Prompt([60, 61, 62] * (capacity // 3 - 5)), max_tokens=10)
        run(scheduler)
        check(core, asked)
