from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from weight_files import config, contract, write_gguf

from starloom.contract.model_tensors import HEAD
from starloom.core.errors import InputError
from starloom.engine.calibration import Moments, moments_by_layer
from starloom.engine.calibration_texts import calibration_texts
from starloom.engine.sources import open_source
from starloom.model import StarCoder2


def test_moments_are_those_of_the_inputs_in_pytorch(tmp_path: Path) -> None:
    """Every matrix of every layer, texts longer than the sliding window among them."""
    write_gguf(tmp_path / "model.gguf", config(), lambda name: "F32")
    rng = np.random.default_rng(1)
    texts = [rng.integers(0, 320, length).tolist() for length in (100, 7)]
    model, seen = StarCoder2.open(tmp_path / "model.gguf"), dict[str, list[torch.Tensor]]()

    def watch(name: str) -> None:
        module = model.get_submodule(name)
        module.register_forward_pre_hook(lambda _, inputs: seen.setdefault(name, []).append(inputs[0][0]))

    ours = list(moments_by_layer(open_source(tmp_path / "model.gguf"), texts))
    assert [start for start, _ in ours] == ["model.layers.0.", "model.layers.1.", ""]
    for start, moments in ours[:-1]:
        for part in moments:
            watch(start + part)
    hidden = []
    with torch.no_grad():
        for text in texts:
            hidden.append(model.hidden(torch.tensor([text]))[0])
    seen[HEAD] = hidden
    for start, moments in ours:
        for part, found in moments.items():
            inputs = torch.cat(seen[start + part])
            wanted = (inputs.T @ inputs).numpy()
            np.testing.assert_allclose(found.products[0], wanted, rtol=1e-3, atol=1e-3 * np.abs(wanted).max(), err_msg=part)
    assert len(ours[0][1]) == 4


def test_wide_inputs_are_kept_in_spans() -> None:
    moments = Moments(5000)
    inputs = np.random.default_rng(2).standard_normal((9, 5000)).astype(np.float32)
    moments.add(inputs[:4])
    moments.add(inputs[4:])
    assert [len(products) for products in moments.products] == [2048, 2048, 904]
    last = inputs[:, 4096:]
    np.testing.assert_allclose(moments.products[2], last.T @ last, rtol=1e-4, atol=1e-4)


def test_texts_are_drawn_by_the_seed(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number}.py").write_text(f"def f{number}():\n" + "".join(f"    x{n} = {n}\n" for n in range(50)))
    (tmp_path / "image.png").write_bytes(b"\x89PNG\0\0" * 400)
    (tmp_path / "latin.txt").write_bytes("größe = 1\n".encode("latin-1") * 20)
    (tmp_path / ".hidden").write_text("x = 1\n" * 100)
    texts = calibration_texts(tmp_path, contract(), num_tokens=2000, length=128, seed=3)
    assert texts == calibration_texts(tmp_path, contract(), num_tokens=2000, length=128, seed=3)
    assert texts != calibration_texts(tmp_path, contract(), num_tokens=2000, length=128, seed=4)
    assert 2000 <= sum(map(len, texts)) < 2128
    assert all(8 < len(text) <= 128 for text in texts)
    marks = contract().marks
    assert {text[0] for text in texts} == {marks.file_sep, marks.fim_prefix}


def test_folders_without_texts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        calibration_texts(tmp_path / "none", contract())
    (tmp_path / "short.txt").write_text("x")
    with pytest.raises(InputError, match="holds no text files of 16 tokens or more"):
        calibration_texts(tmp_path, contract())
