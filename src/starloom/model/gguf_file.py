"""Models in PyTorch as one GGUF file of the architecture `starcoder2`, which llama.cpp opens unchanged.

Names, metadata and checks are `contract.gguf_model`'s; here tensors are written and read. Norms and biases stay float32 in
every quantization.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType
from torch import Tensor

from starloom.contract import Contract
from starloom.contract.gguf_model import ARCHITECTURE, GgufFile, GgufTensor, add_metadata, gguf_name
from starloom.contract.model_config import StarCoder2Config
from starloom.core.errors import FormatError, SettingsError
from starloom.core.files import new_file

QUANTIZATIONS = {
    "f32": (GGMLQuantizationType.F32, LlamaFileType.ALL_F32),
    "f16": (GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
    "bf16": (GGMLQuantizationType.BF16, LlamaFileType.MOSTLY_BF16),
    "q8_0": (GGMLQuantizationType.Q8_0, LlamaFileType.MOSTLY_Q8_0),
}
"""How matrices can be stored: the kind of each, and the mark of the whole file."""


def write_gguf(
    config: StarCoder2Config, tensors: Mapping[str, Tensor], contract: Contract, path: Path, quantization: str
) -> None:
    """Write model and contract into the file `path` in one step; on any error what was there stays.

    Matrices whose rows are no multiple of 32 stay float16 in "q8_0". Raises `SettingsError` for an unknown
    quantization, `MismatchError` when the contract's vocabulary is not the model's.
    """
    if quantization not in QUANTIZATIONS:
        raise SettingsError(f"there is no quantization '{quantization}'; known are {', '.join(QUANTIZATIONS)}")
    kind, file_type = QUANTIZATIONS[quantization]
    with new_file(path) as partial:
        writer = gguf.GGUFWriter(None, ARCHITECTURE)
        try:
            add_metadata(writer, config, contract, file_type)
            _write(writer, partial, tensors, kind)
        finally:
            writer.close()


def _kind_of(tensor: Tensor, kind: GGMLQuantizationType) -> GGMLQuantizationType:
    if tensor.dim() < 2:
        return GGMLQuantizationType.F32
    return kind if tensor.shape[-1] % GGML_QUANT_SIZES[kind][0] == 0 else GGMLQuantizationType.F16


def _write(writer: gguf.GGUFWriter, path: Path, tensors: Mapping[str, Tensor], kind: GGMLQuantizationType) -> None:
    """Write the header, then one tensor after the other, so that only one is held in its new form."""
    for name, tensor in tensors.items():
        block, block_bytes = GGML_QUANT_SIZES[_kind_of(tensor, kind)]
        size = tensor.numel() // block * block_bytes
        writer.add_tensor_info(gguf_name(name), tuple(tensor.shape), np.dtype(np.float32), size, raw_dtype=_kind_of(tensor, kind))
    writer.write_header_to_file(path)
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in tensors.values():
        numbers = tensor.detach().to("cpu", torch.float32).contiguous().numpy()
        writer.write_tensor_data(gguf.quantize(numbers, _kind_of(tensor, kind)))


class GgufModel:
    """A GGUF file opened for reading; `config` is checked at once, weights are read by `tensors`.

    Raises `InputError` when there is none, `FormatError` when it is damaged or of another architecture.
    """

    def __init__(self, path: Path) -> None:
        self._file = GgufFile(path)
        self.path, self.config = path, self._file.config

    def tensors(self, shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype | None) -> dict[str, Tensor]:
        """All weights of the given published names and shapes, dequantised to `dtype` (None: float32).

        Raises `FormatError` that names the tensor that is missing, extra, mis-shaped, truncated or stored in an unknown way.
        """
        wanted = dtype or torch.float32
        return {name: self._numbers(name, tensor).to(wanted) for name, tensor in self._file.tensors(shapes).items()}

    def _numbers(self, name: str, tensor: GgufTensor) -> Tensor:
        """A copy of one tensor in float32."""
        try:
            with np.errstate(all="ignore"):  # damaged scales may be anything
                return torch.from_numpy(np.array(gguf.dequantize(tensor.data, tensor.kind), dtype=np.float32))
        except (ValueError, NotImplementedError) as error:
            where = f"tensor '{gguf_name(name)}' is truncated or stored in an unknown way"
            raise FormatError(f"'{self.path}': {where} ({error})") from None
