from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
import transformers
from small_models import random_model

from starloom.contract import Contract, Prompt
from starloom.core.errors import FormatError, InputError, MismatchError, SettingsError
from starloom.model import StarCoder2
from starloom.model.generation import Completion, Sampling, completion_of, generate

TEXT = "def area(width, height):\n    return width"


def run(model: StarCoder2, contract: Contract, prompt: Prompt, **rest: Any) -> Completion:
    return completion_of(generate(model, contract, prompt, **({"max_tokens": 20} | rest)))


def biased(model: StarCoder2, likes: Sequence[int]) -> StarCoder2:
    """An untied copy that always gives `likes` the largest logits, the first the most."""
    copy = StarCoder2.from_preset("debug", vocab_size=model.config.vocab_size, tie_word_embeddings=False)
    assert copy.lm_head is not None
    with torch.no_grad():
        copy.model.norm.weight.zero_()
        copy.model.norm.bias.fill_(1.0)
        copy.lm_head.weight.zero_()
        for place, token in enumerate(likes):
            copy.lm_head.weight[token] = 1.0 - place / 10
    return copy


def test_greedy_equals_transformers(told: StarCoder2, contract: Contract) -> None:
    prompt = contract.fill_in_prompt(TEXT, "\n\nprint(area(2, 3))\n")
    ours = run(told, contract, prompt, max_tokens=40)
    peer = transformers.Starcoder2ForCausalLM(transformers.Starcoder2Config.from_dict(told.config.to_json_dict())).eval()
    peer.load_state_dict(told.state_dict(), strict=False)
    ids = torch.tensor([prompt.ids])
    theirs = peer.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=40,
        do_sample=False,
        pad_token_id=4,
        eos_token_id=list(contract.stops),
        suppress_tokens=[place for place in range(38) if place not in contract.stops],
    )
    new = theirs[0, len(prompt.ids) :].tolist()
    stopped = new[-1] in contract.stops
    assert ours.ids == (new[:-1] if stopped else new)
    assert ours.finish_reason == ("stop" if stopped else "length")
    assert len(ours.ids) > 3


def test_log_probabilities_are_those_of_the_whole_text(told: StarCoder2, contract: Contract) -> None:
    prompt = contract.fill_in_prompt(TEXT, "")
    done = run(told, contract, prompt, temperature=1.0, seed=3)
    logits = told(torch.tensor([[*prompt.ids, *done.ids]]))[0].log_softmax(-1).detach()
    expected = [float(logits[len(prompt.ids) - 1 + place, token]) for place, token in enumerate(done.ids)]
    assert done.log_probabilities == pytest.approx(expected, abs=1e-4)


def test_pieces_make_the_text(told: StarCoder2, contract: Contract) -> None:
    pieces = list(generate(told, contract, contract.fill_in_prompt(TEXT, ""), max_tokens=20, temperature=0.8))
    assert [piece.completion is None for piece in pieces] == [True] * (len(pieces) - 1) + [False]
    assert pieces[-1].completion is not None
    assert "".join(piece.text for piece in pieces) == pieces[-1].completion.text


def test_the_seed_decides(told: StarCoder2, contract: Contract) -> None:
    prompt = contract.fill_in_prompt(TEXT, "")
    first, same, other = (run(told, contract, prompt, temperature=1.5, seed=seed) for seed in (1, 1, 2))
    assert first == same
    assert first.ids != other.ids


def test_special_tokens_are_never_drawn_and_stops_end(told: StarCoder2, contract: Contract) -> None:
    letter = contract.tokenizer.encode("x")[0]
    prompt = contract.fill_in_prompt("a", "b")
    done = run(biased(told, [2, 34, letter]), contract, prompt, max_tokens=3)
    assert (done.text, done.finish_reason) == ("xxx", "length")
    for stop in contract.stops:
        done = run(biased(told, [stop, letter]), contract, prompt, max_tokens=3)
        assert done == Completion("", [], [], "stop")
    done = run(biased(told, [6, letter]), contract, prompt, max_tokens=2, stops=[0])
    assert (done.text, done.finish_reason) == ("xx", "length")
    hot = run(told, contract, prompt, max_tokens=200, temperature=5.0, stops=[])
    assert not any(contract.is_special(token) for token in hot.ids)


def test_stop_texts_cut_across_tokens(told: StarCoder2, contract: Contract) -> None:
    letter = contract.tokenizer.encode("x")[0]
    done = run(biased(told, [letter]), contract, contract.fill_in_prompt("a", "b"), max_tokens=10, stop_texts=("xxx", "never"))
    assert (done.text, done.finish_reason, len(done.ids)) == ("", "stop", 3)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("end", ["", " ", "\n", "\n    ", "\n\n\t ", "   \r\n"])
def test_held_back_bytes_come_first_and_are_not_shown(told: StarCoder2, contract: Contract, end: str, temperature: float) -> None:
    prompt = contract.continue_prompt(TEXT + end)
    done = run(told, contract, prompt, temperature=temperature, stops=[])
    written = contract.tokenizer.decode_bytes(done.ids)
    assert prompt.held_back == end.encode()
    assert written.startswith(prompt.held_back)
    assert written[len(prompt.held_back) :].decode(errors="replace").rstrip("\ufffd") == done.text.rstrip("\ufffd")
    assert 20 <= len(done.ids) <= 20 + len(prompt.held_back)


def test_characters_of_several_tokens_come_whole(told: StarCoder2, contract: Contract) -> None:
    first = contract.tokenizer.encode("é".encode()[:1])[0]
    done = run(biased(told, [first]), contract, contract.fill_in_prompt("a", "b"), max_tokens=1)
    assert (done.text, done.ids) == ("", [first])


def test_rows_beyond_the_tokenizer_are_never_drawn(contract: Contract) -> None:
    wide = random_model(StarCoder2.from_preset("debug", vocab_size=400).config)
    done = run(wide, contract, contract.fill_in_prompt("a", "b"), max_tokens=100, temperature=5.0)
    assert max(done.ids) < 340


def test_top_p_keeps_the_smallest_set() -> None:
    logits = torch.tensor([0.1, 0.5, 0.15, 0.25]).log()
    generator = torch.Generator().manual_seed(0)
    drawn = {Sampling(1.0, 0.7).draw(logits, generator) for _ in range(100)}
    assert drawn == {1, 3}
    assert {Sampling(1.0, 1e-9).draw(logits, generator) for _ in range(20)} == {1}
    assert {Sampling(1e-30, 1.0).draw(logits, generator) for _ in range(20)} == {1}
    assert Sampling().draw(logits, generator) == 1


def test_half_precision_completes(told: StarCoder2, contract: Contract) -> None:
    model = StarCoder2(told.config)
    model.load_state_dict(told.state_dict())
    assert run(model.to(torch.bfloat16), contract, contract.fill_in_prompt(TEXT, ""), stops=[]).ids


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"max_tokens": 0}, SettingsError, "max_tokens is 0"),
        ({"temperature": -1}, SettingsError, "temperature is -1"),
        ({"temperature": float("nan")}, SettingsError, "temperature is nan"),
        ({"top_p": 0}, SettingsError, "top_p is 0"),
        ({"stop_texts": ("",)}, SettingsError, "a stop text is empty"),
        ({"max_tokens": 252}, InputError, "a prompt of 5 tokens and 252 new ones do not fit into 256 positions"),
    ],
)
def test_wrong_settings_are_refused_at_once(
    told: StarCoder2, contract: Contract, wrong: dict[str, Any], error: type[Exception], message: str
) -> None:
    prompt = contract.fill_in_prompt("a", "b")
    with pytest.raises(error) as caught:
        generate(told, contract, prompt, **({"max_tokens": 3} | wrong))
    assert message in str(caught.value)


def test_what_does_not_belong_together_is_refused(told: StarCoder2, contract: Contract) -> None:
    with pytest.raises(MismatchError, match="the tokenizer has 340 tokens, the model only 300"):
        run(StarCoder2.from_preset("debug", vocab_size=300), contract, Prompt([1]))
    with pytest.raises(MismatchError, match="the prompt holds the id 340; the model knows 0 to 339"):
        run(told, contract, Prompt([1, 340]))
    with pytest.raises(InputError, match="the prompt is empty"):
        run(told, contract, Prompt([]))
    broken = biased(told, [50])
    with torch.no_grad():
        broken.model.norm.bias.fill_(float("nan"))
    with pytest.raises(FormatError, match="not finite"):
        run(broken, contract, Prompt([1]))
