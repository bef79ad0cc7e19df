"""How well a model foretells held-out text with weights that were rounded in one way or another; PyTorch judges, in float32."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from starloom.contract import Contract
from starloom.core.progress import bar
from starloom.evaluate import windows
from starloom.model import StarCoder2

STRETCH = 2048  # bytes of a document read at once, at most


@dataclass(frozen=True)
class Window:
    """Ids to score, the first of them unscored, and how many bytes of text the others stand for."""

    ids: list[int]
    num_bytes: int


def held_out(documents: Iterable[tuple[str, str, str]], contract: Contract, length: int, num_tokens: int) -> list[Window]:
    """Stretches of at most `length` ids, until they have `num_tokens`."""
    found, count = [], 0
    for text in windows(documents, num_bytes=STRETCH):
        ids = contract.tokenizer.encode(text, unknown="replace")
        if len(ids) < length:
            found.append(Window([contract.marks.file_sep, *ids], len(contract.tokenizer.decode_bytes(ids))))
            count += len(ids)
        if count >= num_tokens:
            break
    return found


@torch.no_grad()
def log_probabilities(model: StarCoder2, window: Window) -> torch.Tensor:
    """[T - 1, V] of each next token."""
    return torch.log_softmax(model(torch.tensor([window.ids[:-1]]))[0].double(), dim=-1)


class Tally:
    """Sums over all scored tokens of one format."""

    def __init__(self) -> None:
        self.loss = self.divergence = 0.0
        self.same = self.count = 0
        self._each = list[tuple[float, float]]()

    def add(self, ours: torch.Tensor, theirs: torch.Tensor, window: Window) -> None:
        """Count one window: log-probabilities of the format and of the model as given."""
        divergence = (theirs.exp() * (theirs - ours)).sum(-1)
        truth = torch.tensor(window.ids[1:])[:, None]
        self.loss -= ours.gather(1, truth).sum().item()
        self.divergence += divergence.sum().item()
        self.same += int((ours.argmax(-1) == theirs.argmax(-1)).sum().item())
        self.count += len(ours)
        self._each.append((divergence.mean().item(), (theirs - ours).gather(1, truth).mean().item()))

    def results(self, num_bytes: int) -> dict[str, float]:
        """Means: perplexity, bits per byte, KL(as given || format) in nats, how often the likeliest token is the same.

        The loss added is in nats a token, above the model as given. Standard errors are over windows.
        """
        (_, added), errors = np.mean(self._each, axis=0), np.std(self._each, axis=0) / math.sqrt(len(self._each))
        return {
            "perplexity": math.exp(self.loss / self.count),
            "bits_per_byte": self.loss / math.log(2) / num_bytes,
            "mean_kl": self.divergence / self.count,
            "kl_standard_error": float(errors[0]),
            "loss_added": float(added),
            "loss_standard_error": float(errors[1]),
            "same_top_token": self.same / self.count,
        }


def compare(truth: StarCoder2, files: dict[str, Path], windows: list[Window]) -> dict[str, dict[str, float]]:
    """Score the model as given and every file; all of them are held at once."""
    models = {name: StarCoder2.open(path, torch.float32).eval() for name, path in files.items()}
    tallies = {name: Tally() for name in ("as given", *models)}
    with bar("scoring", len(windows)) as progress:
        for window in windows:
            theirs = log_probabilities(truth, window)
            tallies["as given"].add(theirs, theirs, window)
            for name, model in models.items():
                tallies[name].add(log_probabilities(model, window), theirs, window)
            progress.advance()
    num_bytes = sum(window.num_bytes for window in windows)
    return {name: tally.results(num_bytes) for name, tally in tallies.items()}
