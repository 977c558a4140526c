"""How much memory there is, how much a batch takes, and what proved too much.

On a GPU running out of memory raises an error, and so it does on a CPU under a limit on the process's address space.
Where Linux hands out memory that it does not have, it kills the process instead: so a plan is made to stay within what
is available, and a killed run is continued by running it again.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import resource
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from audit.provenance import cache_dir

# Share of the memory that is free which a batch may take by prediction. The rest is for what is not predicted (copies
# inside kernels, fragments) and, on a CPU, for other processes.
_SHARE = {"cpu": 0.4, "cuda": 0.7}
# Copies of a step's logits (float32) that drawing a token holds at once: with the embedded model and top-p, 5.2 at 64
# rows and 5.8 at 176; without a filter 2.
_DRAW_COPIES = 6
# How errors without a class of their own say it. The last two are oneDNN's words where it cannot have its buffers; what
# it cannot do at all it says of "a primitive descriptor". The one before is cuBLAS's and cuDNN's.
_RAN_OUT = (
    "can't allocate memory", "cannot allocate memory", "out of memory", "std::bad_alloc", "_status_alloc_failed",
    "could not create a memory", "could not create a primitive\n",
)  # fmt: skip
# glibc's malloc.h.
_M_MMAP_THRESHOLD = -3
# Of the widest layer: copies of the hidden states, and products of the MLP; 48 kB a token with the embedded model.
_STATES, _PRODUCTS = 12, 3


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a model's forward pass takes, in bytes."""

    key_values: int
    """Keys and values of a token in every layer."""
    activations: int
    """States of a token at the widest place of a layer."""
    logits: int
    """Logits of a token in float32."""

    @classmethod
    def of(cls, module: Any) -> Footprint:
        """From the configuration of a transformers model; nothing is run."""
        config = module.config.get_text_config()
        heads = getattr(config, "num_attention_heads", None) or 1
        shared = getattr(config, "num_key_value_heads", None) or heads
        hidden = int(getattr(config, "hidden_size", 0))
        width = (getattr(config, "head_dim", None) or hidden // heads) * shared
        inner = next(
            (int(size) for key in ("intermediate_size", "n_inner", "ffn_dim") if (size := getattr(config, key, None))),
            4 * hidden,
        )
        layers, size = int(getattr(config, "num_hidden_layers", 1)), module.dtype.itemsize
        return cls(2 * layers * width * size, (_STATES * hidden + _PRODUCTS * inner) * size, int(config.vocab_size) * 4)

    def generation(self, prompts: int, longest: int, rows: int, new: int, *, shared: bool, fixed: int = 0) -> int:
        """Peak bytes of a batch of generation.

        Args:
            prompts: different prompts in it.
            longest: tokens of the longest.
            rows: continuations, empty places of prompts with fewer rows counted.
            new: tokens drawn a row.
            shared: whether the rows of a prompt hold its keys and values once.
            fixed: bytes of buffers that outlive the batch (:meth:`audit.models.graphs.Shape.nbytes`).
        """
        reading = prompts * longest * (self.key_values + self.activations)
        tokens = prompts * longest + rows * new if shared else rows * (longest + new)
        return max(reading, tokens * self.key_values + rows * self.logits * _DRAW_COPIES) + fixed

    def scoring(self, tokens: int, logits: int) -> int:
        """Peak bytes of a batch whose log-likelihoods are computed.

        Args:
            tokens: of the batch, padding counted.
            logits: tokens whose logits are there at once.
        """
        # The float32 copy, and its softmax.
        return tokens * self.activations + 2 * logits * self.logits


# -- what there is --


def free_bytes(device: torch.device) -> int:
    """Memory that a batch could take now.

    On a GPU what is free or only cached; on a CPU what the machine, the control group and the limit on the address
    space leave.
    """
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0] + cached)
    room = [found for found in (_available(), _left_of_group(), _left_of_address_space()) if found is not None]
    # Where the system tells nothing, a little is assumed rather than all.
    return max(min(room, default=2 << 30), 0)


def _available() -> int | None:
    return _fields(Path("/proc/meminfo")).get("MemAvailable")


def _left_of_group(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int | None:
    """Of the control group (version 2) and those above it; what only caches files counts as free."""
    left = []
    with contextlib.suppress(OSError, ValueError):
        folder = root / own.read_text().strip().rpartition("::")[2].lstrip("/")
        for group in (folder, *folder.parents):
            # The topmost has no limit, and a group without a limit says "max".
            with contextlib.suppress(OSError, ValueError):
                room = int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
                left.append(room + _fields(group / "memory.stat").get("inactive_file", 0))
    return min(left, default=None)


def _left_of_address_space() -> int | None:
    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    if most == resource.RLIM_INFINITY:
        return None
    return most - _fields(Path("/proc/self/status")).get("VmSize", 0)


def _fields(path: Path) -> dict[str, int]:
    """Numbers of a file of lines like ``MemAvailable:  123 kB``, in bytes."""
    found = {}
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            words = line.replace(":", " ").split()
            if len(words) >= 2 and words[1].isdigit():
                found[words[0]] = int(words[1]) * (1024 if words[-1] == "kB" else 1)
    return found


def peak_with(device: torch.device, batch: int) -> int:
    """Peak bytes of this process once a batch that takes ``batch`` bytes was worked on.

    On a CPU the resident set, which never was smaller than it has been; on a GPU what torch has allocated.
    """
    if device.type == "cuda":
        return max(torch.cuda.max_memory_allocated(device), torch.cuda.memory_allocated(device) + batch)
    now = _fields(Path("/proc/self/status")).get("VmRSS", 0)
    return max(peak(), now + batch)


def peak() -> int:
    """Largest resident set of this process so far, in bytes."""
    # The kernel's count for the process is handed on by the one that started it; that of its memory is its own.
    own = _fields(Path("/proc/self/status")).get("VmHWM", 0)
    return own or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# -- what proved too much --


def budget(device: torch.device, fingerprint: str, dtype: str) -> int:
    """Bytes that a batch may take by prediction, from what is free now and what proved too much before."""
    kind = device.type if device.type in _SHARE else "cpu"
    free = int(_SHARE[kind] * free_bytes(device))
    too_much = _remembered().get(_key(device, fingerprint, dtype))
    return max(free if too_much is None else min(free, too_much // 2), 1)


def remember(device: torch.device, fingerprint: str, dtype: str, too_much: int) -> None:
    """Keep for later plans that a batch of so many predicted bytes ran out of memory; the last time counts.

    Where the user's cache folder cannot be written nothing is kept.
    """
    known = _remembered() | {_key(device, fingerprint, dtype): too_much}
    path = _file()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(prefix=".memory-", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(known, file, indent=1, sort_keys=True)
        Path(scratch).replace(path)


def _file() -> Path:
    return cache_dir() / "memory.json"


def _remembered() -> dict[str, int]:
    """Model, precision and device -> predicted bytes that were too much; a damaged file holds nothing."""
    try:
        found = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: size for key, size in found.items() if isinstance(size, int) and size > 0}


def _key(device: torch.device, fingerprint: str, dtype: str) -> str:
    """Another machine with the same cache folder has another device: its memory is part of the name."""
    if device.type == "cuda":
        name = f"{torch.cuda.get_device_name(device)} {torch.cuda.get_device_properties(device).total_memory}"
    else:
        name = f"{device.type} {_fields(Path('/proc/meminfo')).get('MemTotal', 0)}"
    return f"{fingerprint} {dtype} {name}"


# -- when it was too much --


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: torch's own, its CPU allocator's, oneDNN's, or Python's."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in f"{error}\n".lower() for words in _RAN_OUT)


def release(device: torch.device) -> None:
    """Give back what only Python's cycles, torch's cache and the C library's heap hold."""
    gc.collect()
    if device.type == "cuda":
        # After a graph that could not be recorded torch 2.11 believes it is still being recorded, and refuses this.
        with contextlib.suppress(RuntimeError):
            torch.cuda.empty_cache()
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        # glibc keeps freed blocks in its heap, and larger and larger ones over time. oneDNN, which maps its buffers,
        # cannot use them: under a limit on the address space every later product failed. From now on large blocks go
        # back when they are freed.
        library.mallopt(_M_MMAP_THRESHOLD, 128 << 10)
        library.malloc_trim(0)
