"""Phi-2's shape with random weights on a GPU: does the plain path run, and how fast?

``python -m benchmarks.phi2_shape`` builds the checkpoint in a temporary folder (5.6 GB), loads it as any model is
loaded, and prints new tokens and likelihoods a second, with the memory it took. The texts mean nothing.
"""

from __future__ import annotations

import json
import tempfile
import time

import torch
from transformers import PhiConfig, PhiForCausalLM

from audit.models import load_model
from probes import registry
from probes.suite import Decoding


def main() -> None:
    """Build, run, print."""
    from tests.models.conftest import tokenizer

    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        with torch.device("cuda"):
            torch.set_default_dtype(torch.bfloat16)
            module = PhiForCausalLM(
                PhiConfig(
                    vocab_size=51200, hidden_size=2560, intermediate_size=10240, num_hidden_layers=32,
                    num_attention_heads=32, partial_rotary_factor=0.4, max_position_embeddings=2048,
                )
            )  # fmt: skip
            torch.set_default_dtype(torch.float32)
        module.save_pretrained(folder)
        tokenizer(1000).save_pretrained(folder)
        del module
        torch.cuda.empty_cache()
        model = load_model(folder)
        result: dict[str, object] = {"device": torch.cuda.get_device_name(), "dtype": model.weights.dtype}
        suite = registry.get("identity-prompts")
        items = {item.id: item for item in suite.items}
        decoding = Decoding(max_new_tokens=24, top_p=0.9)
        batches = model.plan_generation(suite.items, 4, decoding)
        start = time.perf_counter()
        made = [one for batch in model.generate(items, batches, decoding, 0) for one in batch]
        spent = time.perf_counter() - start
        result |= {
            "answers": len(made),
            "batches": len(batches),
            "new tokens/s": round(sum(o.tokens for o in made) / spent),
        }
        suite = registry.get("domain-qa")
        items = {item.id: item for item in suite.items}
        planned = model.plan_likelihood(suite.items)
        start = time.perf_counter()
        scored = [one for batch in model.loglikelihood(items, planned) for one in batch]
        spent = time.perf_counter() - start
        result |= {"likelihoods": len(scored), "likelihoods/s": round(len(scored) / spent)}
        result |= {"peak GiB": round(torch.cuda.max_memory_allocated() / 2**30, 1)}
        print(json.dumps(result))


if __name__ == "__main__":
    main()
