from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from starloom.train.loss import IGNORED, head_loss


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_loss_and_gradients_equal_the_plain_cross_entropy(chunk: int) -> None:
    torch.manual_seed(0)
    hidden, head = torch.randn(23, 16), torch.randn(50, 16)
    targets = torch.randint(0, 50, (23,))
    targets[[0, 5, 22]] = IGNORED
    results = []
    for plain in (True, False):
        h, w = hidden.clone().requires_grad_(), head.clone().requires_grad_()
        if plain:
            loss = functional.cross_entropy(h @ w.t(), targets, reduction="sum")
        else:
            loss = head_loss(h, w, targets, chunk=chunk, compiled=False)
        (loss * 0.5).backward()
        results.append((loss.detach(), h.grad, w.grad))
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)


def test_bf16_is_close() -> None:
    torch.manual_seed(0)
    hidden, head = torch.randn(64, 32), torch.randn(100, 32) * 0.1
    targets = torch.randint(0, 100, (64,))
    exact = head_loss(hidden, head, targets, chunk=16, compiled=False)
    low = head_loss(hidden.bfloat16(), head, targets, chunk=16, compiled=False)
    assert abs(float(low - exact)) < 0.01 * float(exact)
