"""Finds operations that a CUDA graph cannot hold: those that ask the host, or leave the device.

A step that is recorded must be kernels on one device and nothing else. Where a model's layer reads a number on the host
(``.item()``, ``nonzero``, a condition on a tensor) recording fails in its midst, and some versions of torch (2.11)
leave their allocator in disorder then: from there on it hands no cached memory back. So a step is watched once before
it is recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

# What these give has a shape, or is a Python number, that the host must know before it can go on.
_ASKING = frozenset({
    "_local_scalar_dense", "item", "is_nonzero", "equal", "nonzero", "masked_select", "_unique", "_unique2",
    "unique_dim", "unique_consecutive", "unique_dim_consecutive", "bincount",
})  # fmt: skip
_COPYING = frozenset({"_to_copy", "copy_", "copy", "_copy_from"})
_INDEXING = frozenset({"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"})


class HostlessError(RuntimeError):
    """An operation that no CUDA graph can hold."""


class Hostless(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Inside, an operation on a device's tensors that asks the host, or brings a tensor to or from it, raises.

    It sees this thread's operations only. A tensor of no dimension may stay on the CPU: kernels take it as a number.

    Args:
        device: whose tensors are watched; on a CPU nothing leaves the device, but what asks is found all the same.

    Raises:
        HostlessError: at such an operation, which is named.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._type = device.type

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """See :class:`TorchDispatchMode`."""
        kwargs = kwargs or {}
        # In inference mode operations come whole that are made of others: those are looked at one by one.
        with self:
            found = func.decompose(*args, **kwargs)
        if found is not NotImplemented:
            return found
        found = func(*args, **kwargs)
        name = func.overloadpacket.__name__
        given = [one for one in _tensors([*args, *kwargs.values()]) if one.device.type == self._type]
        if given and (name in _ASKING or _asks(name, args, kwargs)):
            raise HostlessError(f"{func} asks the host for what is on the device")
        if given and name == "lift_fresh" and self._type != "cpu":
            raise HostlessError("a tensor is made from numbers of the host")
        others = [one for one in _tensors([found, *args, *kwargs.values()]) if one.device.type != self._type]
        if (given or name in _COPYING) and any(one.ndim for one in others):
            raise HostlessError(f"{func} works on tensors of {self._type} and {others[0].device.type}")
        if name in _COPYING and given and others:
            raise HostlessError(f"{func} copies between {self._type} and {others[0].device.type}")
        return found


def _asks(name: str, args: Any, kwargs: Any) -> bool:
    """Whether an operation asks the host in this way of calling it."""
    if name == "repeat_interleave":
        return kwargs.get("output_size") is None
    if name not in _INDEXING or len(args) < 2:
        return False
    # A mask is turned into places, whose number the host must know; one number put where it holds is a plain fill.
    masks = [one for one in _tensors([args[1]]) if one.dtype in (torch.bool, torch.uint8)]
    fill = name != "index" and len(args) > 2 and isinstance(args[2], Tensor) and args[2].numel() == 1
    return bool(masks) and not fill


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    """The tensors in nested lists and tuples."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)
