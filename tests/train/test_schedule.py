from __future__ import annotations

from itertools import pairwise

import pytest

from starloom.core.errors import SettingsError
from starloom.train.config import FillInConfig, ScheduleConfig
from starloom.train.schedule import rate_share


def test_wsd_rises_stays_and_falls() -> None:
    schedule = ScheduleConfig(kind="wsd", warmup_steps=10, decay_share=0.2, final_share=0.1)
    shares = [rate_share(schedule, step, 100) for step in range(100)]
    assert shares[0] == pytest.approx(0.1)
    assert shares[9:81] == [1.0] * 72
    assert all(later < earlier for earlier, later in pairwise(shares[80:]))
    assert shares[99] == pytest.approx(0.1 + 0.9 / 20)


def test_cosine_falls_to_its_floor() -> None:
    schedule = ScheduleConfig(kind="cosine", warmup_steps=10, final_share=0.1)
    shares = [rate_share(schedule, step, 110) for step in range(111)]
    assert max(shares) == shares[9] == 1.0
    assert shares[60] == pytest.approx(0.55)
    assert shares[110] == pytest.approx(0.1)


@pytest.mark.parametrize(
    "values", [{"file_rate": 1.5}, {"cuts": {}}, {"cuts": {"words": 1.0}}, {"cuts": {"line": -1.0}}, {"shortest_piece": 3}]
)
def test_impossible_settings_are_named(values: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=f"fill_in.{next(iter(values))}"):
        FillInConfig(**values)  # type: ignore[arg-type]
