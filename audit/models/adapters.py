"""LoRA adapters on one set of loaded weights: checked before they touch the model, switched in milliseconds."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from audit.errors import AdapterError
from audit.provenance import sha256_files

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
RECORD = "slm_audit.json"
_PREFIX = "base_model.model."
# What peft calls the tensors of an adapter that it adds to a layer and can leave out again.
_ADDED = (".lora_", ".token_adapter.")


def adapter_files(folder: Path) -> dict[str, str]:
    """sha256 of the files that make an adapter what it is."""
    return sha256_files(folder, [WEIGHTS, CONFIG, RECORD])


def check_adapter(folder: Path, module: Any, fingerprint: str, name: str) -> None:
    """See that an adapter can be read and belongs to this base, before anything is changed.

    Args:
        folder: holds ``adapter_config.json`` and ``adapter_model.safetensors``.
        module: the base model.
        fingerprint: digest of the base's weights; compared where the adapter records its base's.
        name: the base's name, for messages and for comparing hub ids.

    Raises:
        AdapterError: unreadable, not safetensors, not finite, made for another base, or of a kind that cannot be
            switched off again.
    """
    config = _read_json(folder / CONFIG)
    _check_kind(folder, config)
    if not (folder / WEIGHTS).is_file():
        raise AdapterError(f"{folder}: no {WEIGHTS}; only safetensors adapters are loaded, never pickles")
    _check_base(folder, config, fingerprint, name)
    _check_tensors(folder, module, config.get("modules_to_save") or ())


def check_applied(folder: Path, module: Any, adapter: str) -> None:
    """See that all of an adapter is in the model.

    peft starts anew what the file lacks, and passes over what its configuration does not ask for.

    Args:
        folder: of the adapter.
        module: the ``PeftModel`` that it was put on.
        adapter: its name there.

    Raises:
        AdapterError: the file lacks tensors, or has some that are used nowhere.
    """
    from peft import get_peft_model_state_dict
    from safetensors import safe_open

    asked = set(get_peft_model_state_dict(module, adapter_name=adapter, save_embedding_layers=False))
    with safe_open(folder / WEIGHTS, framework="pt") as tensors:
        held = set(tensors.keys())
    if lacking := sorted(asked - held):
        raise AdapterError(
            f"{folder}: {len(lacking)} tensors that {CONFIG} asks for are not in {WEIGHTS}, such as {lacking[0]}; "
            "save the adapter again"
        )
    if unused := sorted(key for key in held - asked if any(part in key for part in _ADDED)):
        raise AdapterError(
            f"{folder}: {len(unused)} tensors of {WEIGHTS} go with nothing that {CONFIG} names, such as {unused[0]}"
        )


def _check_kind(folder: Path, config: dict[str, Any]) -> None:
    kind = str(config.get("peft_type", "LORA"))
    if kind != "LORA":
        raise AdapterError(
            f"{folder}: is an adapter of the kind {kind}; only LoRA (rsLoRA and DoRA among it) is switched on and off "
            "beside its base: merge it into the base and audit the result as a model, where the kind allows it"
        )
    if config.get("alora_invocation_tokens"):
        raise AdapterError(
            f"{folder}: works only behind its invocation tokens (aLoRA), which the items do not have: not supported"
        )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AdapterError(f"{path.parent}: not an adapter folder, it has no {path.name}") from None
    except (OSError, ValueError) as error:
        raise AdapterError(f"{path}: cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise AdapterError(f"{path}: must hold a JSON object, got {type(content).__name__}")
    return content


def _check_base(folder: Path, config: dict[str, Any], fingerprint: str, name: str) -> None:
    if (folder / RECORD).is_file():
        recorded = _read_json(folder / RECORD).get("base_fingerprint")
        if recorded and recorded != fingerprint:
            raise AdapterError(
                f"{folder}: was trained on another base (weights {str(recorded)[:12]}...) "
                f"than {name} ({fingerprint[:12]}...)"
            )
        if recorded:
            return
    stated = str(config.get("base_model_name_or_path") or "")
    # Two hub ids can be compared; local paths differ from machine to machine and say nothing.
    both_ids = all(text.count("/") == 1 and not Path(text).exists() for text in (stated, name))
    if both_ids and stated.casefold() != name.casefold():
        raise AdapterError(f"{folder}: was trained on {stated}, not on {name}")


def _check_tensors(folder: Path, module: Any, saved: Collection[str]) -> None:
    """See that tensors are finite and fit their layers; ``saved`` are modules of which the adapter has a copy."""
    import torch
    from safetensors import SafetensorError, safe_open

    modules = dict(module.named_modules())
    seen = 0
    try:
        with safe_open(folder / WEIGHTS, framework="pt") as tensors:
            for key in tensors.keys():  # noqa: SIM118 - safe_open is not a mapping
                tensor = tensors.get_tensor(key)
                if not bool(torch.isfinite(tensor).all()):
                    raise AdapterError(f"{folder}: tensor {key} holds NaN or infinity")
                if any(part in key for part in _ADDED):
                    seen += _check_lora(folder, key, tuple(tensor.shape), modules)
                else:
                    _check_own(folder, key.removeprefix(_PREFIX), tensor, modules, saved)
    except (SafetensorError, OSError) as error:
        raise AdapterError(f"{folder / WEIGHTS}: cannot be read (cut short or damaged?): {error}") from error
    if not seen:
        raise AdapterError(f"{folder}: holds no LoRA weights for this base")


def _check_lora(folder: Path, key: str, shape: tuple[int, ...], modules: dict[str, Any]) -> int:
    """1 if ``key`` is a LoRA matrix that fits its layer, 0 if it is something else (left to peft)."""
    if ".lora_embedding_" in key:
        return 1
    for side in ("lora_A", "lora_B"):
        target, found, _ = key.partition(f".{side}.")
        if not found:
            continue
        layer = modules.get(target.removeprefix(_PREFIX))
        weight = getattr(layer, "weight", None)
        if weight is None:
            raise AdapterError(f"{folder}: adapts {target.removeprefix(_PREFIX)}, which this base does not have")
        size = shape[1] if side == "lora_A" else shape[0]
        # Conv1D of GPT-2 stores its matrix transposed, so either axis may be the one.
        if size not in weight.shape:
            raise AdapterError(
                f"{folder}: {key} has shape {list(shape)}, the base's layer has {list(weight.shape)}: "
                "made for another base"
            )
        return 1
    return 0


def _check_own(folder: Path, name: str, tensor: Any, modules: dict[str, Any], saved: Collection[str]) -> None:
    """Refuse a weight of the base's own that peft would write into the base, where no switch brings it back.

    So peft does with biases that were trained along (``bias`` of its configuration) and with an embedding that was
    saved along. A copy of what the base has changes nothing; of the modules ``saved`` peft keeps both versions.
    """
    import torch

    target, _, part = name.replace(".base_layer.", ".").rpartition(".")
    # As peft finds them: "norm" is every layer whose name ends so.
    if any(target.endswith(one) for one in saved):
        return
    own = getattr(modules.get(target), part, None)
    if own is None:
        raise AdapterError(
            f"{folder}: has a tensor {name}, which this base does not have: made for a model of another kind"
        )
    if own.shape != tensor.shape or not torch.equal(own.detach().cpu(), tensor.to(own.dtype)):
        raise AdapterError(
            f"{folder}: changes {name}, a weight of the base itself, which cannot be switched off again beside it; "
            "merge the adapter into its base (peft: merge_and_unload) and audit the result as a model"
        )
