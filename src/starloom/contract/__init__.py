"""The hinge of the house: tokenizer, special tokens, prompt layouts, token shards, the model's `contract.json` and its files.

The format that a model is trained on and the format that it is prompted with are one piece of code and one file; so are the
configuration and the tensors' places in model files. Knows nothing of where text comes from or how a model computes.
"""

from starloom.contract.contract import Contract, Prompt, SourceFile
from starloom.contract.embedded import embedded_model
from starloom.contract.healing import HeldBack
from starloom.contract.shard_writer import ShardWriter
from starloom.contract.shards import Shards
from starloom.contract.tokenizer import Tokenizer

__all__ = ["Contract", "HeldBack", "Prompt", "ShardWriter", "Shards", "SourceFile", "Tokenizer", "embedded_model"]
