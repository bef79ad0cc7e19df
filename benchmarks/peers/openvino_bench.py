"""Speed of a model in OpenVINO's format, as one JSON line. Runs in the environment of `build_openvino.py`, without Starloom.

    FOLDER/bin/python benchmarks/peers/openvino_bench.py MODEL --threads 2 --prompts 512 2048 --depths 0 2048 --decode 32

Default settings, two of which matter: the hint LATENCY, and the number of threads. Prefill is taken from the time to the first
token, decoding from the time for each token after it; both as the library itself measures them.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
import openvino
import openvino_genai


def generate(pipeline: Any, length: int, new: int) -> Any:
    """Greedy text of exactly `new` tokens behind `length` random ids; the library's own times."""
    ids = np.random.default_rng(length).integers(100, 4000, (1, max(length, 1)))
    inputs = openvino_genai.TokenizedInputs(openvino.Tensor(ids), openvino.Tensor(np.ones_like(ids)))
    return pipeline.generate(inputs, max_new_tokens=new, ignore_eos=True, do_sample=False).perf_metrics


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompts", type=int, nargs="*", default=[512, 2048])
    parser.add_argument("--depths", type=int, nargs="*", default=[0, 2048])
    parser.add_argument("--decode", type=int, default=32)
    arguments = parser.parse_args()
    settings = {"INFERENCE_NUM_THREADS": arguments.threads, "PERFORMANCE_HINT": "LATENCY"}
    pipeline = openvino_genai.LLMPipeline(arguments.model, "CPU", **settings)
    generate(pipeline, 64, 4)
    found = {}
    for length in arguments.prompts:
        found[f"prefill_{length}"] = 1e3 * length / generate(pipeline, length, 1).get_ttft().mean
    for depth in arguments.depths:
        found[f"decode_{depth}"] = 1e3 / generate(pipeline, depth, arguments.decode + 1).get_tpot().mean
    print(json.dumps(found))


if __name__ == "__main__":
    main()
