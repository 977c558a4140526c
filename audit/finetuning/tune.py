"""The verb ``finetune``: check what was asked, load the base, train, put the adapter in place."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.errors import UsageError
from audit.finetuning.folder import FinetuneResult, finished, last_checkpoint, publish, workspace
from audit.finetuning.records import read_records
from audit.provenance import package_versions, sha256_file

if TYPE_CHECKING:
    from audit.models import Model


# Those that can move a weight.
_PACKAGES = ("slm-audit", "torch", "transformers", "tokenizers", "peft", "safetensors")


@dataclass(frozen=True, slots=True)
class FinetuneProgress:
    """How far a training is; given to the progress callback after every step."""

    step: int
    """Steps done, from 1."""
    steps: int
    loss: float
    """Mean loss per learned token of this step, in nats."""
    seconds_left: float
    """Estimate from the steps of this process."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What, beside base and data, decides what a training makes."""

    lora_rank: int
    target_modules: tuple[str, ...]
    epochs: float
    learning_rate: float
    batch_size: int
    max_length: int
    end_of_text: bool
    seed: int

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with."""
        for name in ("lora_rank", "batch_size", "max_length"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("epochs", "learning_rate"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise UsageError(f"{name} must be a number above 0, got {getattr(self, name)}")
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"seed must lie in 0 ... {2**32 - 1}, got {self.seed}")


def finetune(
    model: str,
    *,
    data: str | Path,
    out: str | Path,
    lora_rank: int = 8,
    target_modules: Sequence[str] = (),
    epochs: float = 3.0,
    learning_rate: float = 5e-4,
    batch_size: int = 16,
    max_length: int = 512,
    end_of_text: bool = True,
    seed: int = 0,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    offline: bool = False,
    checkpoint_steps: int = 25,
    resume: bool = True,
    progress: Callable[[FinetuneProgress], None] | None = None,
) -> FinetuneResult:
    """Fine-tune a LoRA adapter (Hu et al. 2021, arXiv:2106.09685) of a model, as ``run --adapter`` takes it.

    Records are ``{"text": ...}`` (all of it is learned) or ``{"prompt": ..., "completion": ...}`` (only the
    completion is). AdamW with 10 % linear warm-up and linear decay, alpha twice the rank, no dropout. With
    the same seed, data, base, package versions and number of threads a training on a CPU ends in the same
    bytes, also when it was killed and continued.

    Args:
        model: what ``audit.models.load_model`` takes: a hub id, a folder, a GGUF file or ``smollm2``.
        data: JSON Lines file of records.
        out: folder to make; an older adapter made by this function is replaced once the new one is whole.
        lora_rank: rank of the update; the size of the adapter grows with it.
        target_modules: names of the linear layers to adapt; none given: those of queries and values.
        epochs: passes over the data, may be a fraction.
        learning_rate: peak of the schedule.
        batch_size: records a step.
        max_length: most tokens a record may have, end-of-text included. Longer ones are an error.
        end_of_text: teach that a record's end is the end of the text. Right for whole documents and answers;
            with single sentences it teaches the model to stop after one.
        seed: of the adapter's initial weights and the order of records.
        revision: commit or tag of a hub model.
        dtype: of the base's weights; the adapter is trained in float32 and saved in bfloat16.
        device: where to train.
        offline: fetch nothing.
        checkpoint_steps: steps between checkpoints: what a kill can cost.
        resume: continue a killed training of the same recipe, and leave a finished one as it is.
        progress: called after every step.

    Raises:
        UsageError: an argument is out of range, or ``out`` is not ours to replace.
        DataError: the data are malformed, empty or too long.
        ModelError: the base cannot be loaded, or has no layer to adapt.
        NonFiniteError: the loss became NaN or infinite.
        PlanMismatchError: an unfinished training by another recipe lies there.
        FolderError: ``out`` cannot be written, or (FolderBusyError) another process trains into it.
    """
    settings = Settings(
        lora_rank=lora_rank,
        target_modules=tuple(target_modules),
        epochs=float(epochs),
        learning_rate=float(learning_rate),
        batch_size=batch_size,
        max_length=max_length,
        end_of_text=end_of_text,
        seed=seed,
    )
    if checkpoint_steps < 1:
        raise UsageError(f"checkpoint_steps must be at least 1, got {checkpoint_steps}")
    data, out = Path(data), Path(out)
    records = read_records(data)

    # torch, transformers and peft take seconds to import: only once the input is sound.
    from audit.finetuning import training
    from audit.models import load_model

    base = load_model(model, revision=revision, dtype=dtype, device=device, offline=offline)
    settings = replace(settings, target_modules=training.target_modules(base.module, settings.target_modules))
    examples = training.examples(records, base, settings, path=data)
    recipe = _recipe(base, settings, data, records=len(records), tokens=sum(len(e.ids) for e in examples))
    done = finished(out, recipe)
    if done is not None and resume:
        return done
    with workspace(out, recipe, resume=resume) as work:
        checkpoint = last_checkpoint(work)
        job = training.Job(base, examples, settings, recipe, work, checkpoint, checkpoint_steps, progress)
        steps, loss = job.run()
        publish(work, job.made, out)
    return FinetuneResult(folder=out, steps=steps, loss=loss, resumed_from=_step(checkpoint))


def _recipe(base: Model, settings: Settings, data: Path, *, records: int, tokens: int) -> dict[str, Any]:
    """All that decides the adapter's bytes; no time, no folder: equal trainings write equal files."""
    return {
        "base": base.name,
        "base_fingerprint": base.fingerprint,
        "data": {"file": data.name, "sha256": sha256_file(data), "records": records, "tokens": tokens},
        "settings": {**asdict(settings), "target_modules": list(settings.target_modules)},
        "computed": {"dtype": base.weights.dtype, "device": base.weights.device.type},
        "packages": {name: version for name, version in package_versions().items() if name in _PACKAGES},
    }


def _step(checkpoint: Path | None) -> int:
    return int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0
