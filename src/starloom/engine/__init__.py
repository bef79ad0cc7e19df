"""Completions without PyTorch: weights, native kernels, a paged cache of keys and values, scheduling, sampling, speculation."""

from starloom.engine.engine import Engine
from starloom.engine.requests import Completion, Options, Piece, Scores
from starloom.engine.scheduler import Limits
from starloom.engine.statistics import Stats

__all__ = ["Completion", "Engine", "Limits", "Options", "Piece", "Scores", "Stats"]
