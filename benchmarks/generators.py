"""Ways to continue prompts: this project's, and the peers' as their manuals show them.

Each is a callable that draws all answers of a workload once and returns how many tokens it drew, so that all of them
are timed over the same work. Nobody stops early: the models have no end token.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from audit.models import Model
from benchmarks.subjects import running_texts, spread
from probes.suite import Decoding, Item

SEED = 0


@dataclass(frozen=True, slots=True)
class Workload:
    """Prompts of evenly spread lengths, each continued several times."""

    name: str
    prompts: int
    shortest: int
    longest: int
    samples: int
    new: int
    top_p: float = 0.9

    @property
    def rows(self) -> int:
        """Answers."""
        return self.prompts * self.samples

    @property
    def tokens(self) -> int:
        """Tokens drawn in all."""
        return self.rows * self.new

    @property
    def decoding(self) -> Decoding:
        """As a suite would declare it."""
        return Decoding(max_new_tokens=self.new, temperature=1.0, top_p=self.top_p)

    def lengths(self) -> list[int]:
        """Tokens of each prompt."""
        return spread(self.shortest, self.longest, self.prompts)

    def items(self, tokenizer: Any) -> dict[str, Item]:
        """The prompts as items, by id."""
        found = enumerate(running_texts(tokenizer, self.lengths()))
        return {f"{at:05}": Item(id=f"{at:05}", text=text, template=f"{at:05}") for at, text in found}

    def options(self) -> dict[str, Any]:
        """The same decoding for transformers; ``top_k`` is 50 there unless it is set."""
        return {
            "do_sample": True, "temperature": 1.0, "top_p": self.top_p, "top_k": 0,
            "max_new_tokens": self.new, "num_return_sequences": self.samples, "pad_token_id": 0,
        }  # fmt: skip


def ours(model: Model, items: dict[str, Item], work: Workload) -> int:
    """Plan and generate, tokenisation and texts included, as a run does."""
    batches = model.plan_generation(list(items.values()), work.samples, work.decoding)
    made = [one for batch in model.generate(items, batches, work.decoding, SEED) for one in batch]
    if len(made) != work.rows or any(one.text is None for one in made):
        raise RuntimeError(f"{work.name}: {len(made)} answers of {work.rows}, or some are missing")
    return sum(one.tokens for one in made)


class Transformers:
    """transformers' own ways, over the weights as transformers loads them."""

    def __init__(self, module: Any, tokenizer: Any, items: dict[str, Item], work: Workload) -> None:
        self.module = module
        self.tokenizer = tokenizer
        self.work = work
        self.texts = [item.text for item in items.values()]
        logging.getLogger("ContinuousBatchingLogger").setLevel(logging.ERROR)

    def tutorial(self, prompts: int) -> Callable[[], int]:
        """The pipeline tutorial: one prompt a call, on ``prompts`` of the prompts."""
        from transformers import pipeline

        pipe = pipeline("text-generation", model=self.module, tokenizer=self.tokenizer)
        some = self.texts[:: max(1, len(self.texts) // prompts)][:prompts]

        def call() -> int:
            answers = [one for text in some for one in pipe(text, return_full_text=False, **self.work.options())]
            if len(answers) != len(some) * self.work.samples:
                raise RuntimeError(f"the pipeline gave {len(answers)} answers to {len(some)} prompts")
            return len(answers) * self.work.new

        return call

    def generate(self, rows: int, **options: Any) -> Callable[[], int]:
        """``generate`` over prompts sorted by length and padded on the left, about ``rows`` rows a call."""
        size = max(1, rows // self.work.samples)

        def call() -> int:
            order = sorted(self.texts, key=len)
            drawn = 0
            for start in range(0, len(order), size):
                drawn += self._generate(order[start : start + size], options)
            return drawn

        return call

    @torch.inference_mode()
    def _generate(self, some: Sequence[str], options: dict[str, Any]) -> int:
        self.tokenizer.pad_token_id, self.tokenizer.padding_side = 0, "left"
        read = self.tokenizer(list(some), return_tensors="pt", padding=True).to(self.module.device)
        read.pop("token_type_ids", None)
        found = self.module.generate(**read, **self.work.options(), **options)[:, read["input_ids"].shape[1] :]
        self.tokenizer.batch_decode(found)
        return int(found.numel())

    def continuous(self) -> int:
        """Continuous batching: the library makes up the batches."""
        from transformers import ContinuousBatchingConfig, GenerationConfig

        ids = self.tokenizer(self.texts)["input_ids"]
        config = GenerationConfig(**self.work.options(), eos_token_id=-1)
        # Left alone it takes most of the memory for its cache; a tenth of a CPU's is enough for these workloads.
        memory = ContinuousBatchingConfig(max_memory_percent=0.1) if self.module.device.type == "cpu" else None
        attention = self.module.config._attn_implementation
        try:
            made = self.module.generate_batch(ids, generation_config=config, continuous_batching_config=memory)
        finally:
            self.module.set_attn_implementation(attention)  # it puts its paged one in place
        drawn = [one.generated_tokens for one in made.values()]
        self.tokenizer.batch_decode(drawn)
        return sum(map(len, drawn))


def vllm(folder: str, items: dict[str, Item], work: Workload) -> tuple[Callable[[], int], Callable[[], None]]:
    """The call of vLLM over the same checkpoint, and what frees its memory again.

    Raises:
        ImportError: it is not installed.
    """
    from vllm import LLM, SamplingParams

    engine = LLM(folder, dtype="bfloat16", gpu_memory_utilization=0.5, seed=SEED)
    options = SamplingParams(
        n=work.samples, temperature=1.0, top_p=work.top_p, max_tokens=work.new, ignore_eos=True, seed=SEED
    )
    prompts = [item.text for item in items.values()]

    def call() -> int:
        made = engine.generate(prompts, options, use_tqdm=False)
        return sum(len(answer.token_ids) for one in made for answer in one.outputs)

    def close() -> None:
        nonlocal engine
        del engine
        torch.cuda.empty_cache()

    return call, close
