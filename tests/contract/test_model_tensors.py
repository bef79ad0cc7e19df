from __future__ import annotations

import dataclasses

import pytest
import torch

from starloom.contract.model_tensors import published_shapes
from starloom.contract.presets import PRESETS
from starloom.model import StarCoder2


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("name", PRESETS)
def test_names_and_shapes_are_those_of_the_model(name: str, use_bias: bool) -> None:
    config = dataclasses.replace(PRESETS[name], use_bias=use_bias)
    with torch.device("meta"):
        assert published_shapes(config) == StarCoder2(config).shapes()
