"""What llama.cpp makes of GGUF files, for `benchmarks/quantization.py`; runs in an environment with llama-cpp-python.

    python ask_llama.py < QUESTIONS > ANSWERS

Reads one JSON object: `files` (places by name), `prompts` (ids), `num_tokens`, `texts`. Writes one, by the files' names: the six
fill-in ids (`fill_in`), the likeliest ids behind each prompt (`greedy`), and the ids of each text (`tokenised`).
`CMAKE_ARGS=-DGGML_NATIVE=ON pip install llama-cpp-python==0.3.36` builds it from source.
"""

import json
import sys
from itertools import islice

import llama_cpp

FILL_IN = ("pre", "suf", "mid", "pad", "rep", "sep")


def answer(place: str, asked: dict) -> dict[str, object]:
    model = llama_cpp.Llama(place, n_ctx=0, n_threads=1, n_threads_batch=1, verbose=False)
    vocabulary = llama_cpp.llama_model_get_vocab(model.model)
    return {
        "fill_in": {key: getattr(llama_cpp, f"llama_vocab_fim_{key}")(vocabulary) for key in FILL_IN},
        "greedy": [list(islice(model.generate(ids, temp=0.0), asked["num_tokens"])) for ids in asked["prompts"]],
        "tokenised": [model.tokenize(text.encode(), add_bos=False, special=False) for text in asked["texts"]],
    }


if __name__ == "__main__":
    questions = json.load(sys.stdin)
    json.dump({name: answer(place, questions) for name, place in questions["files"].items()}, sys.stdout)
