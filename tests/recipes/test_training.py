from __future__ import annotations

import pytest

from starloom.core.errors import SettingsError
from starloom.model.presets import preset
from starloom.recipes import RECIPES, recipe


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_is_a_complete_run_of_a_model_that_exists(name: str) -> None:
    config = recipe(name)
    shape = preset(config.preset, **config.model)
    assert config.sequence <= shape.max_position_embeddings


def test_an_unknown_recipe_lists_those_there_are() -> None:
    with pytest.raises(SettingsError, match="no recipe 'giant'; known are debug, embedded"):
        recipe("giant")
