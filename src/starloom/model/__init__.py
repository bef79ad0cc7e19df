"""The architecture in PyTorch, its presets, and its weights in and out of Hugging Face directories and GGUF files."""

from starloom.model.cache import KVCache
from starloom.model.config import StarCoder2Config
from starloom.model.generation import Completion, Piece, completion_of, generate
from starloom.model.presets import PRESETS
from starloom.model.starcoder2 import StarCoder2

__all__ = ["PRESETS", "Completion", "KVCache", "Piece", "StarCoder2", "StarCoder2Config", "completion_of", "generate"]
