"""Transformers' Trainer over a peft adapter: the one module of this package that imports torch on loading."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import save_file
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.pytorch_utils import Conv1D

from audit.errors import FolderError, ModelError, NonFiniteError, UsageError
from audit.finetuning.encoding import Example, collate, encode
from audit.finetuning.folder import CARD, write_json
from audit.finetuning.records import Record
from audit.models.quiet import quiet

if TYPE_CHECKING:
    from audit.finetuning.tune import FinetuneProgress, Settings
    from audit.models import Model

_USUAL_TARGETS = (
    ("q_proj", "v_proj"),  # Llama, Phi, Mistral, Qwen, OPT, GPT-Neo, GPT-J
    ("query_key_value",),  # GPT-NeoX, Pythia, Falcon, BLOOM: one layer for queries, keys and values
    ("qkv_proj",),  # Phi-3
    ("c_attn",),  # GPT-2
)


def target_modules(module: PreTrainedModel, asked: Sequence[str]) -> tuple[str, ...]:
    """Names of the linear layers to adapt: those asked for, else the model's query and value projections.

    Raises:
        UsageError: the model has no linear layer of a name asked for.
        ModelError: it has none of the usual names.
    """
    linear = {
        name.rpartition(".")[2] for name, part in module.named_modules() if isinstance(part, torch.nn.Linear | Conv1D)
    }
    missing = [name for name in asked if name not in linear]
    if missing:
        raise UsageError(f"the model has no linear layer called {missing[0]!r}; it has {', '.join(sorted(linear))}")
    if asked:
        return tuple(sorted(set(asked)))
    for names in _USUAL_TARGETS:
        if linear.issuperset(names):
            return names
    raise ModelError(
        f"{type(module).__name__} has no query and value projections of a known name; choose with "
        f"target_modules from its linear layers: {', '.join(sorted(linear)) or 'it has none'}"
    )


def examples(records: Sequence[Record], base: Model, settings: Settings, *, path: Path) -> list[Example]:
    """Tokenise records for ``base`` (see :func:`audit.finetuning.encoding.encode`).

    Raises:
        UsageError: ``max_length`` is longer than the model's context.
        ModelError: the tokenizer makes a token that the model has no embedding for.
        DataError: a record is too long.
    """
    if settings.max_length > base.context_length:
        raise UsageError(
            f"max_length is {settings.max_length}; {base.name} has a context of {base.context_length} tokens"
        )
    found = encode(records, base.tokenizer, max_length=settings.max_length, end_of_text=settings.end_of_text, path=path)
    rows = base.module.get_input_embeddings().weight.shape[0]
    highest = max(max(example.ids) for example in found)
    if highest >= rows:
        raise ModelError(f"the tokenizer of {base.name} made token {highest}, but the model embeds only {rows}")
    return found


@dataclass(frozen=True, slots=True)
class Job:
    """One training: what goes in, and where it is kept between a kill and the next start."""

    base: Model
    examples: list[Example]
    settings: Settings
    recipe: Mapping[str, Any]
    work: Path
    checkpoint: Path | None
    checkpoint_steps: int
    progress: Callable[[FinetuneProgress], None] | None

    @property
    def made(self) -> Path:
        """Folder in which the finished adapter is written."""
        return self.work / "made"

    def run(self) -> tuple[int, float]:
        """Train and write the adapter; the base is left as it was.

        Returns:
            Steps, and the mean loss in nats per learned token over the last tenth of them.

        Raises:
            NonFiniteError: loss or weights became NaN or infinite.
            FolderError: a checkpoint or the adapter cannot be written.
        """
        with quiet(), _writing(self.work), self._adapted() as model:
            trainer = Trainer(
                model=model,
                args=self._arguments(),
                train_dataset=self.examples,
                data_collator=partial(collate, pad=_pad_id(self.base.tokenizer)),
                callbacks=[_Watch(self.settings, self.progress)],
            )
            trainer.remove_callback(transformers.PrinterCallback)
            trainer.train(resume_from_checkpoint=str(self.checkpoint) if self.checkpoint else None)
            losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
            last = losses[-math.ceil(len(losses) / 10) :]
            steps, loss = int(trainer.state.global_step), math.fsum(last) / len(last)
            self._write(model, {"steps": steps, "loss": loss, "first_loss": losses[0]})
        return steps, loss

    @contextlib.contextmanager
    def _adapted(self) -> Iterator[PeftModel]:
        """The base with a fresh adapter in it, taken out again afterwards: the base may be shared."""
        module, settings = self.base.module, self.settings
        wanted = [p.requires_grad for p in module.parameters()]
        layers = (part for name, part in module.named_modules() if name.endswith(settings.target_modules))
        config = LoraConfig(
            task_type="CAUSAL_LM",
            r=settings.lora_rank,
            lora_alpha=2 * settings.lora_rank,
            target_modules=list(settings.target_modules),
            fan_in_fan_out=isinstance(next(layers), Conv1D),  # GPT-2 keeps its weights transposed
        )
        set_seed(settings.seed)  # the adapter's initial weights
        model = get_peft_model(module, config)
        # Else every checkpoint asks the hub whether the base's vocabulary was changed.
        model.peft_config["default"].base_model_name_or_path = None
        try:
            yield model
        finally:
            model.unload()
            module.eval()
            for parameter, flag in zip(module.parameters(), wanted, strict=True):
                parameter.requires_grad_(flag)

    def _arguments(self) -> TrainingArguments:
        settings = self.settings
        arguments = TrainingArguments(
            output_dir=str(self.work),
            num_train_epochs=settings.epochs,
            per_device_train_batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            lr_scheduler_type="linear",
            warmup_steps=0.1,  # below 1 it is a share of all steps
            seed=settings.seed,
            save_strategy="steps",
            save_steps=self.checkpoint_steps,
            save_total_limit=1,  # the older one goes only when the newer one is whole
            logging_steps=1,
            logging_nan_inf_filter=False,  # a NaN loss must be seen, not averaged away
            use_cpu=self.base.module.device.type == "cpu",
            dataloader_pin_memory=False,
            remove_unused_columns=False,
            label_names=["labels"],
            report_to=[],
            disable_tqdm=True,
        )
        arguments._n_gpu = min(arguments.n_gpu, 1)  # else Trainer multiplies the batch by the devices it finds
        return arguments

    def _write(self, model: PeftModel, training: Mapping[str, Any]) -> None:
        """Write the three files of the adapter into ``made``."""
        state = get_peft_model_state_dict(model, save_embedding_layers=False)
        for name, weights in state.items():
            if not torch.isfinite(weights).all():
                raise NonFiniteError(f"the adapter's weights {name} became NaN or infinite; {_remedy(self.settings)}")
        self.made.mkdir(exist_ok=True)
        half = {name: state[name].detach().to("cpu", torch.bfloat16).contiguous() for name in sorted(state)}
        save_file(half, self.made / "adapter_model.safetensors", metadata={"format": "pt"})
        config = model.peft_config["default"].to_dict()
        config.update(base_model_name_or_path=self.base.name, inference_mode=True)
        config.update({key: sorted(value) for key, value in config.items() if isinstance(value, set)})
        write_json(self.made / "adapter_config.json", config)
        write_json(self.made / CARD, {"schema_version": 1, **self.recipe, "training": training})


class _Watch(TrainerCallback):
    """Stops at a loss that is not a number, before the step can be saved, and reports progress."""

    def __init__(self, settings: Settings, progress: Callable[[FinetuneProgress], None] | None) -> None:
        self._settings = settings
        self._progress = progress
        self._began, self._first = 0.0, 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._began, self._first = time.monotonic(), state.global_step

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        loss = (logs or {}).get("loss")
        if loss is None:
            return  # the closing line of a training has sums only
        step, steps = int(state.global_step), int(state.max_steps)
        if not math.isfinite(loss):
            raise NonFiniteError(f"the loss is {loss} at step {step} of {steps}; {_remedy(self._settings)}")
        if self._progress is not None:
            from audit.finetuning.tune import FinetuneProgress

            pace = (time.monotonic() - self._began) / (step - self._first)
            self._progress(FinetuneProgress(step, steps, float(loss), pace * (steps - step)))


def _remedy(settings: Settings) -> str:
    return (
        f"lower learning_rate (now {settings.learning_rate:g}) and start over with resume=False, or check "
        "that the base is sound and its dtype is not float16"
    )


def _pad_id(tokenizer: Any) -> int:
    """What fills short rows: masked by length, so any token of the vocabulary will do."""
    for token in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    return 0


@contextlib.contextmanager
def _writing(work: Path) -> Iterator[None]:
    """Say that the disk is full or closed, in whichever of three ways the libraries put it."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        # torch.save tells of a failed write by a RuntimeError from its archive writer.
        if isinstance(error, RuntimeError) and "inline_container" not in str(error):
            raise
        reason = str(error).splitlines()[0][:200]
        problem = f"cannot write to {work} ({reason}); make room, then the same command continues"
        raise FolderError(problem) from error
