"""What this machine can do at most: the rates that every benchmark's figures are held against.

``python -m benchmarks.hardware [MODEL]`` prints them: the best rate of a matrix product among the shapes of a model's
layers, and the rate of a plain copy (bytes read and written). On a CPU in float32 also the product with a weight that
oneDNN has rearranged beforehand, which is faster than ``linear``; the ceiling is the faster of the two.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from audit.provenance import git_state, machine, now, package_versions

_PEERS = ("lm-eval", "vllm", "triton")
# Rows of a product: a decoding step of an audit's batch to a long prefill.
_ROWS = {"cpu": (32, 64, 256, 1024), "cuda": (256, 1024, 4096, 8192)}
_MOST_OPERATIONS = {"cpu": 2e10, "cuda": 1e14}
_COPIED = {"cpu": 1 << 28, "cuda": 1 << 31}


@dataclass(frozen=True, slots=True)
class Ceilings:
    """Rates measured in this process."""

    matrix: float
    """Operations a second of the fastest matrix product."""
    plain: float
    """The same with torch's ``linear`` alone."""
    copy: float
    """Bytes read and written a second by a copy of a large tensor."""
    shape: str
    """Rows x inputs x outputs of the fastest product, and how it was computed."""


def ceilings(module: Any, device: torch.device, dtype: torch.dtype) -> Ceilings:
    """Measure the rates for the shapes of ``module``'s linear layers."""
    with torch.inference_mode():
        found = [
            (rate, f"{rows} x {inner} x {outer}, {how}")
            for inner, outer in sorted(_shapes(module))
            for rows in _ROWS[device.type]
            if 2 * rows * inner * outer <= _MOST_OPERATIONS[device.type]
            for how, rate in _products(rows, inner, outer, device, dtype)
        ]
        best, shape = max(found)
        plain = max(rate for rate, name in found if name.endswith("linear"))
        return Ceilings(best, plain, _copy(device), shape)


def _shapes(module: Any) -> set[tuple[int, int]]:
    """Inputs and outputs of the linear layers."""
    return {(layer.in_features, layer.out_features) for layer in module.modules() if hasattr(layer, "in_features")}


def _products(
    rows: int, inner: int, outer: int, device: torch.device, dtype: torch.dtype
) -> Iterable[tuple[str, float]]:
    states = torch.randn(rows, inner, device=device, dtype=dtype)
    weight = torch.randn(outer, inner, device=device, dtype=dtype)
    operations = 2.0 * rows * inner * outer
    yield "linear", operations / timed(lambda: torch.nn.functional.linear(states, weight), device)
    if device.type == "cpu" and dtype == torch.float32:
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, rows)

        def product() -> Tensor:
            return torch.ops.mkldnn._linear_pointwise(states, packed, None, "none", [], "")

        yield "oneDNN with a rearranged weight", operations / timed(product, device)


def _copy(device: torch.device) -> float:
    source = torch.ones(_COPIED[device.type], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2.0 * source.numel() / timed(lambda: target.copy_(source), device)


def timed(call: Callable[[], Any], device: torch.device, repeats: int = 7) -> float:
    """Median seconds of a call, after one that does not count."""
    found = []
    for _ in range(repeats + 1):
        synchronize(device)
        start = time.perf_counter()
        call()
        synchronize(device)
        found.append(time.perf_counter() - start)
    return statistics.median(found[1:])


def synchronize(device: torch.device) -> None:
    """Wait for the device; a CPU has nothing to wait for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def describe(device: torch.device) -> dict[str, Any]:
    """Machine, processors, threads, versions, date and state of the code; no host name."""
    return {
        "date": now(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "driver": _driver() if device.type == "cuda" else None,
        "threads": torch.get_num_threads(),
        "load before": round(os.getloadavg()[0], 2),
        "machine": machine(),
        "packages": package_versions() | {name: _version(name) for name in _PEERS},
        "code": git_state(),
    }


def same_code(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two of :func:`describe` tell of the same device, packages and commit.

    Results that are written between two calls make a checkout differ from its commit: that is not asked.
    """
    commits = [found["code"].get("commit") for found in (one, other)]
    return commits[0] == commits[1] and all(one[key] == other[key] for key in ("device", "packages"))


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown processor"


def _driver() -> str | None:
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(asked, check=True, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"


def main() -> None:
    """Measure and print."""
    from audit.models import load_model

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="smollm2")
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    model = load_model(asked.model)
    device = model.weights.device
    for key, value in (describe(device) | asdict(ceilings(model.module, device, model.module.dtype))).items():
        print(f"{key}: {value:.4g}" if isinstance(value, float) else f"{key}: {value}")


if __name__ == "__main__":
    main()
