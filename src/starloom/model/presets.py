"""The named configurations, by the name that this stage has for them; `contract.presets` has them."""

from starloom.contract.presets import PRESETS, preset

__all__ = ["PRESETS", "preset"]
