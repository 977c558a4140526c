"""Loaded weights: one set for a base model and all its adapters."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from audit.errors import AdapterError
from audit.models.adapters import check_adapter, check_applied
from audit.models.fits import Fit, fits
from audit.models.halving import Ceiling
from audit.models.loading import Source, fingerprint, load_weights
from audit.models.memory import free_bytes
from audit.models.packed import pack_linears
from audit.models.quiet import quiet

# Share of the memory that is free after loading that a second copy of the weights may take.
_PACKING_SHARE = 0.25


class Weights:
    """Loaded base weights and the adapters injected into them; shared by every model over that base.

    Args:
        source: of :func:`audit.models.loading.resolve`.
        dtype: name of a torch float type.
        device: name of a torch device.

    Raises:
        ModelError: the files cannot be read or used.
    """

    def __init__(self, source: Source, *, dtype: str, device: str) -> None:
        self.source = source
        self.dtype = dtype
        self.device = torch.device(device)
        self.module, self.tokenizer, self.notes = load_weights(source, dtype=dtype, device=device)
        # Counted before adapters add theirs.
        self.parameters = sum(parameter.numel() for parameter in self.module.parameters())
        self.fingerprint = fingerprint(source)
        self.ceiling = Ceiling()
        self._peft: Any = None
        self._adapters: dict[str, str] = {}
        self._fits: dict[str | None, Fit] = {}
        # Whether linear layers run from rearranged weights: it changes rounding, so that a run must keep to it.
        self.packed = self._size() <= _PACKING_SHARE * free_bytes(self.device) and pack_linears(self.module) > 0

    def _size(self) -> int:
        return sum(parameter.numel() * parameter.itemsize for parameter in self.module.parameters())

    def fit(self, adapter: str | None) -> Fit:
        """Which fast paths these weights may take with an adapter, or with none; found out once each."""
        if adapter not in self._fits:
            # Ids that every tokenizer over these weights has, since an adapter may bring one of its own.
            size = min(len(self.tokenizer), self.module.get_input_embeddings().weight.shape[0])
            with self.active(adapter) as module:
                self._fits[adapter] = fits(module, size)
        return self._fits[adapter]

    def add(self, folder: Path) -> str:
        """Check an adapter, inject it, and return the name it is switched by.

        Raises:
            AdapterError: see :func:`audit.models.adapters.check_adapter` and
                :func:`audit.models.adapters.check_applied`.
        """
        from peft import PeftModel

        key = str(folder.resolve())
        if key in self._adapters:
            return self._adapters[key]
        check_adapter(folder, self.plain_module(), self.fingerprint, self.source.name)
        # Counted by what peft holds: an adapter that was refused below is among them.
        name = f"adapter{len(self._peft.peft_config) if self._peft is not None else 0}"
        try:
            with quiet():
                if self._peft is None:
                    self._peft = PeftModel.from_pretrained(self.module, key, adapter_name=name, is_trainable=False)
                else:
                    self._peft.load_adapter(key, adapter_name=name, is_trainable=False)
        except (ValueError, KeyError, RuntimeError, TypeError) as error:
            raise AdapterError(
                f"{folder}: cannot be put on {self.source.name}: {str(error).splitlines()[0][:200]}"
            ) from error
        self._peft.eval()
        check_applied(folder, self._peft, name)
        self._adapters[key] = name
        return name

    def plain_module(self) -> Any:
        """The module with LoRA wrappers seen through, so that layer names and shapes are the base's own."""
        return self.module if self._peft is None else _Unwrapped(self.module)

    @contextlib.contextmanager
    def active(self, adapter: str | None) -> Iterator[Any]:
        """The module with one adapter switched on, or with none: then it computes what the base does, bit for bit."""
        if self._peft is None:
            yield self.module
        elif adapter is None:
            with self._peft.disable_adapter():
                yield self.module
        else:
            self._peft.set_adapter(adapter)
            yield self.module


class _Unwrapped:
    def __init__(self, module: Any) -> None:
        self._module = module

    def named_modules(self) -> Iterator[tuple[str, Any]]:
        for name, layer in self._module.named_modules():
            yield name, getattr(layer, "base_layer", layer)


def quantised(module: Any) -> list[str]:
    """What the report says of weights that are kept at low precision: one sentence, or none."""
    stated = getattr(module.config, "quantization_config", None)
    if stated is None:
        return []
    method = stated.get("quant_method") if isinstance(stated, dict) else getattr(stated, "quant_method", None)
    return [f"The weights are quantised ({getattr(method, 'value', method)}); that is what was audited."]
