"""Parity with `transformers`, whose eager Starcoder2ForCausalLM is the truth for our model."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import transformers
from hypothesis import given
from hypothesis import strategies as st
from small_models import LENGTH, WINDOW, random_model, scaled_down, some_ids

from starloom.core.errors import InputError
from starloom.model import KVCache, StarCoder2, starcoder2
from starloom.model.presets import preset
from starloom.model.starcoder2 import rope_tables


def peer_of(model: StarCoder2) -> transformers.Starcoder2ForCausalLM:
    config = transformers.Starcoder2Config.from_dict(model.config.to_json_dict())
    config._attn_implementation = "eager"
    peer = transformers.Starcoder2ForCausalLM(config)
    lacking = peer.load_state_dict(model.state_dict(), strict=False)
    assert not lacking.unexpected_keys
    assert lacking.missing_keys == (["lm_head.weight"] if model.config.tie_word_embeddings else [])
    return peer.eval()


@torch.no_grad()
def in_chunks(model: StarCoder2, ids: torch.Tensor, sizes: list[int]) -> torch.Tensor:
    cache = KVCache(model.config, batch=ids.shape[0], capacity=ids.shape[1])
    return torch.cat([model(part, cache) for part in ids.split(sizes, dim=1)], dim=1)


def test_logits_equal_beyond_the_window(sized: StarCoder2) -> None:
    ids = some_ids(sized.config)
    assert ids.shape[1] > 3 * WINDOW
    expected = peer_of(sized)(ids).logits
    assert expected.abs().max() > 1
    torch.testing.assert_close(sized(ids), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("window", [1, 7, LENGTH - 1, LENGTH, 64, None])
def test_logits_equal_at_every_kind_of_window(window: int | None) -> None:
    model = random_model(preset("debug", sliding_window=window))
    ids = some_ids(model.config)
    torch.testing.assert_close(model(ids), peer_of(model)(ids).logits, atol=1e-4, rtol=0)


def test_logits_equal_without_biases() -> None:
    model = random_model(preset("debug", use_bias=False))
    ids = some_ids(model.config)
    torch.testing.assert_close(model(ids), peer_of(model)(ids).logits, atol=1e-4, rtol=0)


def test_gradients_equal(sized: StarCoder2) -> None:
    peer, ids = peer_of(sized), some_ids(sized.config)
    sized.zero_grad()
    for logits in (sized(ids), peer(ids).logits):
        F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
    theirs = dict(peer.named_parameters())
    for name, tensor in sized.named_parameters():
        assert tensor.grad is not None
        torch.testing.assert_close(
            tensor.grad, theirs[name].grad, atol=1e-5, rtol=1e-3, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize("sizes", [[LENGTH], [1] * LENGTH, [3, 1, 20, 1, 1, 24], [40, 10]])
def test_cache_equals_transformers(sized: StarCoder2, sizes: list[int]) -> None:
    ids = some_ids(sized.config)
    torch.testing.assert_close(in_chunks(sized, ids, sizes), peer_of(sized)(ids).logits, atol=1e-4, rtol=0)


def test_cache_agrees_with_the_cache_of_transformers(sized: StarCoder2) -> None:
    ids, peer = some_ids(sized.config, length=30), peer_of(sized)
    cache, parts = None, []
    for part in ids.split([20, 1, 1, 8], dim=1):
        out = peer(part, cache=cache, use_cache=True)
        cache = out.cache
        parts.append(out.logits)
    torch.testing.assert_close(in_chunks(sized, ids, [20, 1, 1, 8]), torch.cat(parts, dim=1), atol=1e-4, rtol=0)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.sampled_from([1, 5, 16, None]))
def test_any_chunks_give_the_same_logits(sizes: list[int], window: int | None) -> None:
    model = random_model(preset("debug", sliding_window=window, num_hidden_layers=1))
    ids = some_ids(model.config, length=sum(sizes), batch=1)
    torch.testing.assert_close(in_chunks(model, ids, sizes), model(ids), atol=1e-5, rtol=0)


def test_published_tensor_names_and_shapes(size: str, sized: StarCoder2) -> None:
    shapes, config = sized.shapes(), sized.config
    groups = config.num_key_value_heads * config.head_dim
    assert shapes["model.embed_tokens.weight"] == (320, config.hidden_size)
    assert shapes["model.layers.1.self_attn.k_proj.weight"] == (groups, config.hidden_size)
    assert shapes["model.layers.0.self_attn.v_proj.bias"] == (groups,)
    assert shapes["model.layers.0.mlp.c_fc.weight"] == (config.intermediate_size, config.hidden_size)
    assert shapes["model.norm.bias"] == (config.hidden_size,)
    assert ("lm_head.weight" in shapes) == (size == "15b")
    assert len(shapes) == 2 * 16 + (4 if size == "15b" else 3)


def test_initial_weights_follow_the_seed_and_the_configuration() -> None:
    first, same, other = (StarCoder2.from_preset("5m", num_hidden_layers=1, seed=seed) for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), same.parameters(), strict=True))
    assert not torch.equal(first.head_weight, other.head_weight)
    assert first.head_weight.std().item() == pytest.approx(first.config.initializer_range, rel=0.02)
    assert first.model.norm.weight.eq(1).all()
    assert first.model.norm.bias.eq(0).all()


def test_half_precision_keeps_exact_positions() -> None:
    model = random_model(scaled_down("3b"))
    ids = some_ids(model.config)
    exact = model(ids)
    rough = model.to(torch.bfloat16)(ids)
    assert rough.dtype == torch.bfloat16
    assert (rough.float() - exact).norm() / exact.norm() < 0.03
    cosines, _ = rope_tables(16000, 2, model.config, torch.device("cpu"))
    assert cosines.dtype == torch.float32
    assert not torch.equal(cosines[0], cosines[1])


def test_hidden_times_head_is_logits(sized: StarCoder2) -> None:
    ids = some_ids(sized.config)
    assert torch.equal(F.linear(sized.hidden(ids), sized.head_weight), sized(ids))


def test_autocast_trains() -> None:
    model, ids = StarCoder2.from_preset("debug"), some_ids(preset("debug"))
    with torch.autocast("cpu", torch.bfloat16):
        loss = F.cross_entropy(model(ids)[:, :-1].flatten(0, 1).float(), ids[:, 1:].flatten())
    loss.backward()
    assert all(tensor.grad is not None and tensor.grad.isfinite().all() for tensor in model.parameters())


@pytest.mark.parametrize("window", [1, 7, 8, 20, LENGTH, None])
def test_the_way_of_compiled_training_is_equal_too(window: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(preset("debug", sliding_window=window))
    ids, peer = some_ids(model.config), peer_of(model)
    monkeypatch.setattr(starcoder2, "TILE", 8)
    with monkeypatch.context() as compiling:
        compiling.setattr(torch.compiler, "is_compiling", lambda: True)
        logits = model(ids)
    expected = peer(ids).logits
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)
    ours, theirs = (
        torch.autograd.grad(x.square().mean(), y) for x, y in ((logits, model.head_weight), (expected, peer.lm_head.weight))
    )
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-3)


def test_the_training_path_has_no_graph_breaks(debug: StarCoder2) -> None:
    explained = torch._dynamo.explain(debug)(some_ids(debug.config))
    assert explained.graph_break_count == 0
    torch._dynamo.reset()


def test_too_long_inputs_are_refused(debug: StarCoder2) -> None:
    with pytest.raises(InputError, match="257 tokens are too long: the model has 256"):
        debug(torch.zeros(1, 257, dtype=torch.long))
    cache = KVCache(debug.config, batch=1, capacity=4)
    debug(torch.zeros(1, 3, dtype=torch.long), cache)
    with pytest.raises(InputError, match="5 positions do not fit into a KV cache of 4"):
        debug(torch.zeros(1, 2, dtype=torch.long), cache)
