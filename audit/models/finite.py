"""Where a NaN or an infinity comes from: looked up in a second forward pass, so that the good case pays nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from audit.errors import NonFiniteError


def not_finite(
    module: Any, where: str, suspects: Sequence[tuple[str, Sequence[int]]], device: torch.device
) -> NonFiniteError:
    """The error for rows whose logits were not finite.

    It names the first row that is so when it stands alone, since a NaN may spread within a batch, and the layer.

    Args:
        module: a transformers causal LM in eval mode.
        where: ``"generation"`` or ``"scoring"``.
        suspects: name and token ids of each row whose logits were NaN or infinite; at least one.
        device: where the model is.
    """
    name, origin = suspects[0][0], ""
    for suspect, ids in suspects:
        layer = first_bad_layer(module, input_ids=torch.tensor([list(ids)], device=device), use_cache=False)
        if layer:
            name, origin = suspect, f" from {layer} on"
            break
    return NonFiniteError(
        f"{where}: the model's logits for {name} are not finite (NaN or infinity){origin}; "
        "try --dtype float32 or bfloat16, and check the weights"
    )


@torch.inference_mode()
def first_bad_layer(module: Any, **inputs: Any) -> str:
    """Name the first layer of a model whose output is not finite.

    Args:
        module: a transformers model in eval mode.
        inputs: of its forward pass. Best the tokens of the one row that went wrong, without padding: what a layer makes
            of padding nobody reads, and it may be NaN without harm.

    Returns:
        The layer as ``named_modules`` calls it, for example ``model.layers.3.self_attn``: the smallest one whose inputs
        are finite and whose output is not. "" where this pass gives finite numbers from end to end.
    """
    bad: list[str] = []
    hooks = [
        layer.register_forward_hook(partial(_note, bad, name), with_kwargs=True)
        for name, layer in module.named_modules()
        if name
    ]
    try:
        module(**inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return bad[0] if bad else ""


def _note(bad: list[str], name: str, layer: Any, given: Any, named: dict[str, Any], output: Any) -> None:
    # Layers report inside out: the first to see anything bad is the smallest. Where it was already given something bad,
    # what made it lies between the layers, in the code of the one around it (a product of queries and keys, a sum).
    if bad or _finite([output]):
        return
    # Masks hide by -inf, and rightly so.
    rest = [value for key, value in named.items() if "mask" not in key]
    if _finite([given, rest]):
        bad.append(name)
    else:
        bad.append(name.rpartition(".")[0] or name)


def _finite(values: Iterable[Any]) -> bool:
    """Whether all floating-point tensors in nested tuples, lists and dicts are finite; anything else is passed over."""
    for value in values:
        if isinstance(value, Tensor):
            if value.is_floating_point() and not bool(torch.isfinite(value).all()):
                return False
        elif isinstance(value, dict):
            if not _finite(value.values()):
                return False
        elif isinstance(value, list | tuple) and not _finite(value):
            return False
    return True
