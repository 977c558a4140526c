"""Linear layers whose weights are laid out once for the processor, for float32 on a CPU.

A matrix product rearranges its weight into blocks that fit the caches, every time anew. For the few dozen to a thousand
tokens of an audit's batches that is a noticeable part of the work: on two cores (AMD Zen 4, SmolLM2-135M's layers)
``torch.nn.functional.linear`` reached 145 to 170 GFLOP/s at 32 to 64 rows and 67 to 106 for the output layer, oneDNN
with the weight rearranged beforehand 175 to 222 and 186 to 205; at 8 rows, a decoding step, 82 and 28 against 169 and
104. It costs a second copy of the weights.

The two operators used, ``mkldnn::_reorder_linear_weight`` and ``mkldnn::_linear_pointwise``, are those that torch's own
compiler (inductor) puts in the place of a linear layer with frozen weights. They are private: where they are missing or
a trial product is wrong, layers stay as they are.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

# Rows that the layout is made for. Between 32 and 1,024 no product became faster or slower by it.
_ROWS_HINT = 256


class PackedLinear(nn.Linear):
    """A linear layer that also holds its weight rearranged for oneDNN.

    The parameters are the replaced layer's own, not copies: tied weights stay tied, and saving, loading, training and
    adapters see an ordinary linear layer. The rearranged copy is used where no gradient is wanted and input and weight
    are float32 on a CPU, and is made anew when the weight was replaced or changed in place. A change through
    ``weight.data`` goes unnoticed, since torch does not count it.
    """

    def __init__(self, plain: nn.Linear) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = plain.in_features, plain.out_features
        self.weight, self.bias = plain.weight, plain.bias
        self.training = plain.training
        self._packed: Tensor | None = None
        self._state: tuple[int, int] | None = None

    def forward(self, input: Tensor) -> Tensor:
        """As :class:`torch.nn.Linear`: [..., in_features] to [..., out_features]."""
        weight = self.weight
        # A weight made in inference mode counts no changes.
        if torch.is_grad_enabled() or weight.is_inference() or not (_fits(weight) and _fits(input)):
            return super().forward(input)
        state = (weight._version, weight.data_ptr())
        if state != self._state:
            self._packed, self._state = _reorder(weight), state
        return _product(input, self._packed, self.bias)

    def __getstate__(self) -> dict[str, Any]:
        # The rearranged copy can be neither pickled nor copied.
        return {**self.__dict__, "_packed": None, "_state": None}


def pack_linears(module: nn.Module) -> int:
    """Put a :class:`PackedLinear` in the place of every plain float32 linear layer on a CPU, in place.

    Left alone: subclasses of ``nn.Linear``, other layers that hold a matrix (GPT-2's ``Conv1D``), other precisions and
    devices. To be called once, before or after adapters are put on.

    Args:
        module: the model, in eval mode.

    Returns:
        Bytes that the rearranged copies take; 0 where nothing was replaced.
    """
    found = [
        (name, layer)
        for name, layer in module.named_modules()
        if name and type(layer) is nn.Linear and _fits(layer.weight) and not _has_hooks(layer)
    ]
    if not found or not _trial():
        return 0
    for name, layer in found:
        module.set_submodule(name, PackedLinear(layer), strict=True)
    return sum(layer.weight.numel() * layer.weight.itemsize for _, layer in found)


def _fits(tensor: Tensor) -> bool:
    return tensor.dtype == torch.float32 and tensor.device.type == "cpu" and tensor.numel() > 0


def _has_hooks(layer: nn.Module) -> bool:
    # They would stay behind on the replaced layer.
    return bool(layer._forward_hooks or layer._forward_pre_hooks or "forward" in layer.__dict__)


def _reorder(weight: Tensor) -> Tensor:
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), _ROWS_HINT)
    return packed


def _product(input: Tensor, packed: Tensor | None, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(input, packed, bias, "none", [], "")
    return product


@torch.no_grad()
def _trial() -> bool:
    """Whether the private operators are there and multiply: against the float64 product of small whole numbers."""
    weight = (torch.arange(48 * 40) % 7 - 3).view(48, 40).float()
    input = (torch.arange(2 * 3 * 40) % 5 - 2).view(2, 3, 40).float()
    bias = torch.arange(48).float()
    try:
        found = _product(input, _reorder(weight), bias)
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
    return bool(torch.equal(found.double(), input.double() @ weight.double().T + bias.double()))
