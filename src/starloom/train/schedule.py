"""The learning rate of each step, as a share of its peak. A pure function of the step, so that a resumed run repeats it."""

from __future__ import annotations

import math

from starloom.train.config import ScheduleConfig


def rate_share(schedule: ScheduleConfig, step: int, steps: int) -> float:
    """The share (0 to 1) of the peak learning rate for 0-based `step` of `steps`."""
    if step < schedule.warmup_steps:
        return (step + 1) / schedule.warmup_steps
    if schedule.kind == "cosine":
        progress = (step - schedule.warmup_steps) / max(1, steps - schedule.warmup_steps)
        height = 0.5 * (1 + math.cos(math.pi * progress))
    else:
        height = min(1.0, (steps - step) / max(1, round(steps * schedule.decay_share)))
    return schedule.final_share + (1 - schedule.final_share) * height
