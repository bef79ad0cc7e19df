"""Complete runs as functions: each returns a full, typed configuration, made by copy and change. Flags do not grow here."""

from starloom.recipes.training import RECIPES, recipe

__all__ = ["RECIPES", "recipe"]
