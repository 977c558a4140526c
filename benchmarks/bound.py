"""The least time that a machine needs for a workload of generation, by counting.

seconds = operations / matrix rate + bytes / copy rate, the rates being those of :mod:`benchmarks.hardware`, where

* operations: 2 for every weight of the layers and every token that passes them (each prompt once, each answer's tokens
  but the last), 2 for every weight of the output layer and every token drawn, and attention: 4 x layers x width for
  every pair of a token and one that it sees;
* bytes: keys and values that a decoding step must read (each prompt's once a step, for all its answers, and each
  answer's own), and the weights once for the prompts and once a step, as if all answers were one batch.

It is a bound for an engine that does arithmetic and reading in turn, as separate kernels do; one that overlapped the
two perfectly could pass it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.generators import Workload
from benchmarks.hardware import Ceilings

FORMULA = "seconds = operations / matrix rate + (bytes of weights, keys and values read) / copy rate"


@dataclass(frozen=True, slots=True)
class Bound:
    """What a workload asks at least."""

    operations: float
    bytes: float
    seconds: float

    def record(self) -> dict[str, float]:
        """What the JSON keeps."""
        return {"operations": self.operations, "bytes": self.bytes, "seconds": round(self.seconds, 4)}


def bound(module: Any, work: Workload, rates: Ceilings) -> Bound:
    """Count one workload."""
    config = module.config.get_text_config()
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    depth = getattr(config, "head_dim", None) or config.hidden_size // heads
    shared = getattr(config, "num_key_value_heads", None) or heads
    head = module.get_output_embeddings().weight.numel()
    inner = layer_weights(module)
    size = module.dtype.itemsize
    lengths, steps = work.lengths(), work.new - 1

    read = sum(lengths) + work.rows * steps
    pairs = sum(length * (length + 1) / 2 for length in lengths)
    pairs += work.samples * sum(steps * length + steps * (steps + 1) / 2 for length in lengths)
    operations = 2.0 * inner * read + 2.0 * head * (work.prompts + work.rows * steps)
    operations += 4.0 * layers * heads * depth * pairs

    a_token = 2 * layers * shared * depth * size
    kept = a_token * (steps * sum(lengths) + work.rows * steps * (steps + 1) / 2)
    weights = (inner + head) * size * work.new
    moved = kept + weights
    return Bound(operations, moved, operations / rates.matrix + moved / rates.copy)


def layer_weights(module: Any) -> int:
    """Weights of the linear layers but the output layer."""
    out = module.get_output_embeddings()
    linear = [layer for layer in module.modules() if hasattr(layer, "in_features") and layer is not out]
    return sum(layer.weight.numel() for layer in linear)
