"""The noun *Model*: ``generate`` and ``loglikelihood`` over planned batches, streaming results as they finish."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch

from audit.errors import AdapterError, ContextLengthError, ModelError
from audit.models import memory
from audit.models.adapters import adapter_files
from audit.models.ahead import ahead
from audit.models.batching import Entry, Rows, Work
from audit.models.decoding import Vocabulary, generate_batch
from audit.models.fits import Fit
from audit.models.graphs import Graphs
from audit.models.halving import Halved, in_parts
from audit.models.head import Head
from audit.models.loading import pick_device, pick_dtype, resolve
from audit.models.planning import Planner
from audit.models.precision import float32_matmuls
from audit.models.records import Generated, Likelihood
from audit.models.sampling import sample_keys
from audit.models.scoring import Scored, score_batch
from audit.models.tokens import Ids, Tokens
from audit.models.unpadded import score_unpadded
from audit.models.weights import Weights, quantised
from probes.suite import Begin, Decoding, Item

__all__ = ["Generated", "Likelihood", "Model", "Weights", "load_model"]


class Model:
    """A base model, or a base model with one adapter.

    Args:
        weights: shared loaded weights.
        adapter: folder of a LoRA adapter, or None for the base itself.
        prompt_format: ``raw`` puts prompts as they are; ``chat`` wraps each in the tokenizer's chat template.

    Raises:
        AdapterError: the adapter cannot be used with these weights.
        UsageError: ``chat`` was asked of a tokenizer without a template.
    """

    def __init__(self, weights: Weights, adapter: Path | None = None, *, prompt_format: str = "raw") -> None:
        self.weights = weights
        self.adapter = adapter
        self.prompt_format = prompt_format
        self.tokenizer = _tokenizer_for(weights, adapter)
        self._adapter = weights.add(adapter) if adapter is not None else None
        self.tokens = Tokens(self.tokenizer, prompt_format, self.name)

    @property
    def name(self) -> str:
        """The base as it was asked for."""
        return self.weights.source.name

    @property
    def module(self) -> Any:
        """The transformers module; shared by all models over these weights."""
        return self.weights.module

    @property
    def fingerprint(self) -> str:
        """sha256 over the base's weight files."""
        return self.weights.fingerprint

    @property
    def fit(self) -> Fit:
        """Which fast paths this model takes, and why not the others."""
        return self.weights.fit(self._adapter)

    @property
    def context_length(self) -> int:
        """Tokens that fit: the position limit of the configuration."""
        config = self.module.config.get_text_config()
        for key in ("max_position_embeddings", "n_positions"):
            if isinstance(getattr(config, key, None), int):
                return int(getattr(config, key))
        return int(self.tokenizer.model_max_length)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """What decoding needs of the tokenizer."""
        ends: set[int] = set()
        for holder in (self.tokenizer, self.module.config, self.module.generation_config):
            value = getattr(holder, "eos_token_id", None)
            ends.update([value] if isinstance(value, int) else value or [])
        rows = self.module.get_output_embeddings().weight.shape[0]
        # Some tokenizers leave ids out: the largest may be more than their number.
        size = min(max(self.tokenizer.get_vocab().values()) + 1, rows)
        pad = self.tokenizer.eos_token_id
        return Vocabulary(self.tokenizer, size, frozenset(ends), int(pad) if pad is not None and pad < rows else 0)

    def describe(self) -> dict[str, Any]:
        """What ``run.json`` says about the model."""
        source, fit = self.weights.source, self.fit
        return {
            "name": source.name,
            "revision": source.revision,
            "files": source.files,
            "fingerprint": self.fingerprint,
            "architecture": type(self.module).__name__,
            "parameters": self.weights.parameters,
            "adapter": str(self.adapter) if self.adapter else None,
            "adapter_files": adapter_files(self.adapter) if self.adapter else {},
            "tokenizer": type(self.tokenizer).__name__,
            "tokenizer_size": len(self.tokenizer),
            "tokenizer_sha256": _sha(sorted(self.tokenizer.get_vocab().items(), key=lambda pair: pair[1])),
            "chat_template_sha256": _sha(self.tokenizer.chat_template),
            "dtype": self.weights.dtype,
            "device": str(self.weights.device),
            "threads": torch.get_num_threads(),
            "context_length": self.context_length,
            "generation": _path("shared prompts", fit.sharing, fit),
            "scoring": _path("token trees", fit.trees, fit),
            "linear_layers": "weights rearranged for oneDNN" if self.weights.packed else "as torch computes them",
            "notes": [*source.notes, *self.weights.notes, *quantised(self.module)],
        }

    # -- planning --

    def plan_generation(
        self, items: Sequence[Item], samples: int, decoding: Decoding, *, max_rows: int | None = None
    ) -> list[tuple[Entry, ...]]:
        """Batches for continuing ``items``, ``samples`` times each.

        Raises:
            ContextLengthError: a prompt and its answer do not fit the model's context; the item is named.
            ModelError: the tokenizer makes nothing of a prompt, or a token that the model has no embedding of.
        """
        works = []
        for item, ids in zip(items, self.tokens.prompts([item.text for item in items]), strict=True):
            self._check(item, ids, decoding.max_new_tokens)
            works.append(Work(item.id, len(ids), samples))
        return self._planner.generation(works, decoding, self._budget(), max_rows)

    def plan_likelihood(
        self, items: Sequence[Item], *, max_rows: int | None = None, begin: Begin = "tokenizer"
    ) -> list[tuple[Entry, ...]]:
        """Batches for scoring the choices of ``items``; ``begin`` as in :class:`probes.suite.Suite`.

        Raises:
            ContextLengthError: context and choice do not fit the model's context; the item is named.
            ModelError: as for :meth:`plan_generation`.
        """
        works = []
        encoded = iter(self.tokens.choices(_pairs(items), begin))
        for item in items:
            rows = [next(encoded)[0] for _ in item.choices]
            for ids in rows:
                self._check(item, ids)
            works.append(Rows(item.id, rows))
        return self._planner.scoring(works, self._budget(), max_rows)

    def predicted_peak(
        self,
        items: Mapping[str, Item],
        batches: Iterable[Sequence[Entry]],
        *,
        decoding: Decoding | None = None,
        begin: Begin = "tokenizer",
    ) -> int:
        """Bytes of this process at its peak when these batches have been worked on.

        Args:
            items: by id; may hold more than the batches name.
            batches: of :meth:`plan_generation` with ``decoding``, or of :meth:`plan_likelihood` without.
            decoding: how answers are drawn; None where choices are scored.
            begin: as in :class:`probes.suite.Suite`.

        Returns:
            On a CPU the resident set, on a GPU what torch has allocated.
        """
        if decoding is None:
            takes = (self._scoring_bytes(self._choices(items, batch, begin), batch) for batch in batches)
        else:
            takes = (self._generation_bytes(self._prompts(items, batch), decoding, batch) for batch in batches)
        return memory.peak_with(self.weights.device, max(takes, default=0))

    @cached_property
    def _embedded(self) -> int:
        """Token ids that the model has an embedding of: those below."""
        return int(self.module.get_input_embeddings().weight.shape[0])

    @cached_property
    def _planner(self) -> Planner:
        head = Head.of(self.module) is not None
        return Planner(
            self.weights.device.type, memory.Footprint.of(self.module), self.fit, head, self._graphs() is not None
        )

    def _budget(self) -> int:
        return memory.budget(self.weights.device, self.fingerprint, self.weights.dtype)

    def _generation_bytes(self, prompts: Mapping[str, Ids], decoding: Decoding, batch: Sequence[Entry]) -> int:
        lengths = [len(prompts[entry.item]) for entry in batch]
        return self._planner.generation_bytes(lengths, [entry.count for entry in batch], decoding)

    def _scoring_bytes(self, choices: Mapping[tuple[str, int], Scored], batch: Sequence[Entry]) -> int:
        return self._planner.scoring_bytes([choices[key].ids for key in _keys(batch)])

    def tokens_of(self, items: Sequence[Item], *, begin: Begin = "tokenizer") -> int:
        """Tokens that reading ``items`` takes: prompts, or contexts once and every choice.

        Of more than 200 items it is an estimate from 200 of them, evenly spaced.
        """
        if not items:
            return 0
        part = [items[len(items) * at // 200] for at in range(200)] if len(items) > 200 else items
        return round(sum(self._tokens_of(item, begin) for item in part) * len(items) / len(part))

    def _tokens_of(self, item: Item, begin: Begin) -> int:
        if not item.choices:
            return len(self.encode_prompt(item.text))
        found = [self.encode_choice(item.text, choice, begin) for choice in item.choices]
        return len(found[0][0]) - found[0][1] + sum(count for _, count in found)

    def _check(self, item: Item, ids: Ids, new: int = 0) -> None:
        """See that a row of an item, and so many new tokens, can be put to the model."""
        if not len(ids):
            raise ModelError(f"item {item.id}: the tokenizer of {self.name} makes no token of it; leave the item out")
        if max(ids) >= self._embedded:
            raise ModelError(
                f"item {item.id} has token {max(ids)}, {self.name} embeds tokens below {self._embedded}: tokenizer and "
                "weights do not belong together"
            )
        length = len(ids) + new
        if length > self.context_length:
            raise ContextLengthError(
                f"item {item.id} needs {length} tokens, {self.name} has a context of {self.context_length}; "
                "shorten the item or leave it out: nothing is cut silently"
            )

    # -- tokens --

    def encode_prompt(self, text: str) -> list[int]:
        """Token ids of a prompt; see :meth:`audit.models.tokens.Tokens.prompts`."""
        return list(self.tokens.prompts([text])[0])

    def encode_choice(self, context: str, choice: str, begin: Begin = "tokenizer") -> tuple[list[int], int]:
        """Token ids of context + choice, and how many at the end are scored.

        See :meth:`audit.models.tokens.Tokens.choices`.
        """
        ids, count = self.tokens.choices([(context, choice)], begin)[0]
        return list(ids), count

    # -- work --

    def generate(
        self,
        items: Mapping[str, Item],
        batches: Iterable[Sequence[Entry]],
        decoding: Decoding,
        seed: int,
        *,
        say: Callable[[str], None] = warnings.warn,
        halved: Callable[[Halved], None] | None = None,
    ) -> Iterator[list[Generated]]:
        """Continue prompts, one list of answers a batch, as each batch finishes.

        A batch that runs out of memory is halved and done in parts; an answer that does not fit memory alone is
        missing, with the reason.

        Args:
            items: by id; may hold more than the batches name.
            batches: from :meth:`plan_generation`; read ahead by a thread that encodes them.
            decoding: how answers are drawn.
            seed: the run's seed; with item id and sample number it keys the noise.
            say: told when memory runs out; a warning unless given.
            halved: told of each batch that was done in parts for want of memory.

        Raises:
            NonFiniteError: a logit is NaN or infinite; the item is named.
        """
        encoded = ((batch, self._prompts(items, batch, take=True)) for batch in batches)
        graphs = self._graphs()
        for batch, prompts in ahead(encoded):
            yield in_parts(
                batch,
                partial(self._continue, prompts, decoding, seed, graphs),
                lambda entry, why: Generated(entry.item, entry.first, None, 0, f"out of memory: {why}"),
                takes=partial(self._generation_bytes, prompts, decoding),
                ceiling=self.weights.ceiling,
                failed=partial(self._out_of_memory, say, graphs),
                halved=halved,
            )

    def _prompts(self, items: Mapping[str, Item], batch: Sequence[Entry], *, take: bool = False) -> dict[str, Ids]:
        names = [entry.item for entry in batch]
        found = self.tokens.prompts([items[name].text for name in names], take=take)
        return dict(zip(names, map(list, found), strict=True))

    def _graphs(self) -> Graphs | None:
        """Where decoding steps may be recorded: on CUDA, for models that share prompts at every length."""
        fit = self.fit
        return Graphs(capture=True) if self.weights.device.type == "cuda" and not (fit.sharing or fit.longest) else None

    def _continue(
        self, prompts: Mapping[str, Ids], decoding: Decoding, seed: int, graphs: Graphs | None, batch: Sequence[Entry]
    ) -> list[Generated]:
        parts = [prompts[entry.item] for entry in batch]
        rows = [place for place, entry in enumerate(batch) for _ in range(entry.count)]
        samples = _keys(batch)
        names = [f"item {item}, sample {k}" for item, k in samples]
        keys = sample_keys(seed, samples, self.weights.device)
        fit = self.fit
        with self.weights.active(self._adapter) as module:
            longest = max(map(len, parts)) + decoding.max_new_tokens
            done = generate_batch(
                module, self.vocabulary, parts, rows, names, keys, decoding,
                shared=fit.sharing == "" and not _unpadded(fit, longest), unpadded=_unpadded(fit, longest),
                graphs=graphs,
            )  # fmt: skip
        texts = self.tokens.answers([parts[place] for place in rows], [row.tokens for row in done], decoding)
        return [
            Generated(item, k, text, len(row.tokens), row.finish)
            for (item, k), text, row in zip(samples, texts, done, strict=True)
        ]

    def loglikelihood(
        self,
        items: Mapping[str, Item],
        batches: Iterable[Sequence[Entry]],
        *,
        begin: Begin = "tokenizer",
        per_token: bool = False,
        say: Callable[[str], None] = warnings.warn,
        halved: Callable[[Halved], None] | None = None,
    ) -> Iterator[list[Likelihood]]:
        """Score choices, one list a batch, as each batch finishes.

        A batch that runs out of memory is halved and done in parts; a choice that does not fit memory alone is missing,
        with the reason.

        Args:
            items: by id; may hold more than the batches name.
            batches: from :meth:`plan_likelihood`; read ahead by a thread that encodes them.
            begin: as in :class:`probes.suite.Suite`.
            per_token: whether the single tokens' log-probabilities are kept.
            say: told when memory runs out; a warning unless given.
            halved: told of each batch that was done in parts for want of memory.

        Raises:
            NonFiniteError: a logit is NaN or infinite; the item is named.
        """
        encoded = ((batch, self._choices(items, batch, begin, take=True)) for batch in batches)
        for batch, choices in ahead(encoded):
            yield in_parts(
                batch,
                partial(self._score, choices, per_token),
                lambda entry, why: Likelihood(entry.item, entry.first, None, 0, reason=f"out of memory: {why}"),
                takes=partial(self._scoring_bytes, choices),
                ceiling=self.weights.ceiling,
                failed=partial(self._out_of_memory, say, None),
                halved=halved,
            )

    def _choices(
        self, items: Mapping[str, Item], batch: Sequence[Entry], begin: Begin, *, take: bool = False
    ) -> dict[tuple[str, int], Scored]:
        keys = _keys(batch)
        pairs = [(items[item].text, items[item].choices[choice]) for item, choice in keys]
        found = self.tokens.choices(pairs, begin, take=take)
        return {
            (item, choice): Scored(list(ids), count, f"item {item}, choice {choice}")
            for (item, choice), (ids, count) in zip(keys, found, strict=True)
        }

    def _score(
        self, choices: Mapping[tuple[str, int], Scored], per_token: bool, batch: Sequence[Entry]
    ) -> list[Likelihood]:
        items = [[choices[key] for key in _keys([entry])] for entry in batch]
        fit = self.fit
        longest = max(len(row.ids) for rows in items for row in rows)
        with self.weights.active(self._adapter) as module:
            if _unpadded(fit, longest):
                found = score_unpadded(module, items, self.weights.device)
            else:
                found = score_batch(module, self.vocabulary.pad, items, self.weights.device, trees=fit.trees == "")
        return [
            _likelihood(item, choice, choices[item, choice], logprobs, per_token)
            for (item, choice), logprobs in zip(_keys(batch), found, strict=True)
        ]

    def _out_of_memory(
        self, say: Callable[[str], None], graphs: Graphs | None, batch: Sequence[Entry], why: str
    ) -> None:
        """Free what can be freed, remember what was too much for later plans, and tell of it."""
        if graphs is not None:
            graphs.clear()  # the buffers of larger batches would leave no room for the halves
        memory.release(self.weights.device)
        rows = sum(entry.count for entry in batch)
        if rows == 1:
            say(
                f"item {batch[0].item}, row {batch[0].first}: does not fit memory ({why}); it is missing, and the run "
                "incomplete: leave the item out, or run on a machine with more memory"
            )
            return
        memory.remember(self.weights.device, self.fingerprint, self.weights.dtype, self.weights.ceiling.bytes)
        say(f"{rows} rows beginning with item {batch[0].item} ran out of memory ({why}); they are done in two halves")


def _pairs(items: Iterable[Item]) -> list[tuple[str, str]]:
    return [(item.text, choice) for item in items for choice in item.choices]


def _keys(batch: Sequence[Entry]) -> list[tuple[str, int]]:
    """(item, sample or choice) of each row of a batch, in order."""
    return [(entry.item, entry.first + offset) for entry in batch for offset in range(entry.count)]


def _unpadded(fit: Fit, longest: int) -> bool:
    """Whether a batch whose longest row has so many tokens must be computed row by row."""
    return fit.padding != "" or 0 < fit.longest < longest


def _path(fast: str, refusal: str, fit: Fit) -> str:
    """One line for the report on how a kind of work is done."""
    if fit.padding:
        return f"row by row: {fit.padding}"
    path = f"plain batches: {refusal}" if refusal else fast
    return f"{path}; row by row beyond {fit.longest:,} tokens" if fit.longest else path


def _likelihood(item: str, choice: int, row: Scored, logprobs: Sequence[float], per_token: bool) -> Likelihood:
    # Summed in double precision, so that the sum does not depend on which tokens stand beside each other.
    total = math.fsum(logprobs)
    if not per_token:
        return Likelihood(item, choice, total, row.count)
    return Likelihood(item, choice, total, row.count, tuple(row.ids[len(row.ids) - row.count :]), tuple(logprobs))


def _tokenizer_for(weights: Weights, adapter: Path | None) -> Any:
    """The adapter's own tokenizer where it brings one, else the base's."""
    if adapter is None or not (adapter / "tokenizer_config.json").is_file():
        return weights.tokenizer
    from transformers import AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(str(adapter), local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise AdapterError(f"{adapter}: its tokenizer cannot be read: {str(error).splitlines()[0][:200]}") from error
    room = weights.module.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > room:
        raise AdapterError(
            f"{adapter}: its tokenizer has {len(tokenizer)} tokens, the base's embedding only {room} rows"
        )
    return tokenizer


def _sha(text: Any) -> str | None:
    return hashlib.sha256(str(text).encode()).hexdigest() if text else None


def load_model(
    spec: str,
    *,
    revision: str | None = None,
    adapter: str | Path | None = None,
    dtype: str = "auto",
    device: str = "auto",
    prompt_format: str = "raw",
    offline: bool = False,
) -> Model:
    """Load a model by name.

    Args:
        spec: ``smollm2``, a GGUF file, a folder, or a hub id.
        revision: of a hub id.
        adapter: folder of a LoRA adapter to put on it.
        dtype: ``auto`` (bfloat16 on CUDA, float32 on CPU), ``float32``, ``bfloat16`` or ``float16``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        prompt_format: ``raw`` or ``chat``.
        offline: never ask the network.

    Raises:
        audit.errors.AuditError: any of its kinds for models; each message says what to do.
    """
    where = pick_device(device)
    precision = pick_dtype(dtype, where)
    float32_matmuls(where)
    weights = Weights(resolve(spec, revision=revision, offline=offline), dtype=precision, device=where)
    return Model(weights, Path(adapter) if adapter else None, prompt_format=prompt_format)
