"""The head and the cross entropy as one chunked operation.

With a small model the vocabulary is most of the memory traffic: 8,192 tokens x 16,384 entries are 512 MiB of fp32
logits, read and written several times. Here the logits of a few rows at a time are made, turned into their gradient and
dropped while they are still in the cache, so neither logits nor probabilities of the whole batch ever exist. The
gradient is taken in the forward pass, as the fused losses of Liger Kernel (arXiv 2410.10989) do on GPUs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

IGNORED = -100


def _chunk(hidden_ND: Tensor, head_VD: Tensor, targets_N: Tensor) -> tuple[Tensor, Tensor]:
    """The summed loss of a chunk and the gradient of its logits [N, V], in the type of `hidden_ND`."""
    logits_NV = (hidden_ND @ head_VD.t()).float()
    kept_N = targets_N != IGNORED
    index_N1 = targets_N.clamp(min=0).unsqueeze(1)
    peak_N1 = logits_NV.amax(1, keepdim=True)
    exp_NV = (logits_NV - peak_N1).exp()
    sum_N1 = exp_NV.sum(1, keepdim=True)
    loss_N = (sum_N1.log() + peak_N1 - logits_NV.gather(1, index_N1)).squeeze(1)
    entries_V = torch.arange(head_VD.shape[0], device=head_VD.device)
    grad_NV = (exp_NV / sum_N1 - (entries_V == index_N1).float()) * kept_N.unsqueeze(1)
    return (loss_N * kept_N).sum(), grad_NV.to(hidden_ND.dtype)


@cache
def _compiled_chunk() -> Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]:
    return torch.compile(_chunk, dynamic=False)


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden_ND: Tensor, head_VD: Tensor, targets_N: Tensor, chunk: int, compiled: bool) -> Tensor:
        step = _compiled_chunk() if compiled else _chunk
        head_low_VD = head_VD.to(hidden_ND.dtype)
        grad_hidden_ND = torch.empty_like(hidden_ND)
        grad_head_VD = torch.zeros_like(head_VD)
        total = torch.zeros((), dtype=torch.float32)
        for first in range(0, len(targets_N), chunk):
            rows = slice(first, first + chunk)
            loss, grad_NV = step(hidden_ND[rows], head_low_VD, targets_N[rows])
            total += loss
            torch.mm(grad_NV, head_low_VD, out=grad_hidden_ND[rows])
            grad_head_VD += grad_NV.t() @ hidden_ND[rows]
        ctx.save_for_backward(grad_hidden_ND, grad_head_VD)
        return total

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        grad_hidden_ND, grad_head_VD = ctx.saved_tensors
        (scale,) = grad_outputs
        return grad_hidden_ND * scale.to(grad_hidden_ND.dtype), grad_head_VD * scale, None, None, None


def head_loss(hidden_ND: Tensor, head_VD: Tensor, targets_N: Tensor, *, chunk: int, compiled: bool) -> Tensor:
    """The summed cross entropy (nats) of predicting `targets_N` from `hidden_ND @ head_VD.T`; `IGNORED` targets count nothing.

    The matrix products run in the type of `hidden_ND` (fp32 or bf16), the softmax in fp32.
    """
    with torch.autocast("cpu", enabled=False):
        return _HeadLoss.apply(hidden_ND, head_VD, targets_N, chunk, compiled)  # type: ignore[no-any-return, no-untyped-call]
