"""The configuration of a model, by the name that this stage has for it; `contract.model_config` has the code."""

from starloom.contract.model_config import StarCoder2Config

__all__ = ["StarCoder2Config"]
