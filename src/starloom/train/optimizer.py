"""AdamW for everything, or Muon for the layers' matrices beside AdamW for the rest. Both are PyTorch's own."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from starloom.train.config import OptimizerConfig


class Optimizer:
    """One or two torch optimizers moved as one; the learning rate is given with each step as a share of its peak."""

    def __init__(self, model: nn.Module, config: OptimizerConfig) -> None:
        self.config = config
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        matrices = _layer_matrices(model) if config.kind == "muon" else []
        muon = {id(parameter) for parameter in matrices}
        rest = [parameter for parameter in self.parameters if id(parameter) not in muon]
        self._parts: list[torch.optim.Optimizer] = [_adamw(rest, config)]
        if matrices:
            self._parts.append(_muon(matrices, config))
        self._peaks = [[group["lr"] for group in part.param_groups] for part in self._parts]

    def step(self, share: float) -> float:
        """Clip the gradients, move the weights at `share` of the peak rate, clear the gradients; gives the norm before."""
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.config.clip)
        for part, peaks in zip(self._parts, self._peaks, strict=True):
            for group, peak in zip(part.param_groups, peaks, strict=True):
                group["lr"] = peak * share
            part.step()
            part.zero_grad(set_to_none=True)
        return float(norm)

    def state_tensors(self) -> dict[str, torch.Tensor]:
        """The optimizers' state as flat named tensors: `part.parameter.name`."""
        return {
            f"{place}.{parameter}.{name}": torch.as_tensor(value)
            for place, part in enumerate(self._parts)
            for parameter, state in part.state_dict()["state"].items()
            for name, value in state.items()
        }

    def load_state_tensors(self, tensors: dict[str, torch.Tensor]) -> None:
        """Take back what `state_tensors` gave."""
        for place, part in enumerate(self._parts):
            state: dict[int, dict[str, Any]] = {}
            for key, value in tensors.items():
                owner, parameter, name = key.split(".", 2)
                if int(owner) == place:
                    state.setdefault(int(parameter), {})[name] = value
            part.load_state_dict({"state": state, "param_groups": part.state_dict()["param_groups"]})


def _layer_matrices(model: nn.Module) -> list[nn.Parameter]:
    return [parameter for name, parameter in model.named_parameters() if parameter.ndim == 2 and ".layers." in name]


def _adamw(parameters: list[nn.Parameter], config: OptimizerConfig) -> torch.optim.AdamW:
    groups = [
        {"params": [parameter for parameter in parameters if parameter.ndim == 2], "weight_decay": config.weight_decay},
        {"params": [parameter for parameter in parameters if parameter.ndim != 2], "weight_decay": 0.0},
    ]
    first, second = config.betas
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(first, second), eps=config.epsilon, fused=True)


def _muon(parameters: list[nn.Parameter], config: OptimizerConfig) -> torch.optim.Muon:
    return torch.optim.Muon(
        parameters, lr=config.muon_learning_rate, weight_decay=config.weight_decay, adjust_lr_fn="match_rms_adamw"
    )
