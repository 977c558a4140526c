"""slm-audit: what does a small language model say about people, how sure are we, and is the fine-tuned one worse?

The verbs of the command line are functions here; what they return prints well and gives frames and data sets.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audit.comparison import compare
    from audit.demonstration.show import demo
    from audit.errors import AuditError
    from audit.finetuning import finetune
    from audit.loop import run
    from audit.metrics.estimate import Estimate
    from audit.models import load_model
    from audit.rescoring import rescore, score
    from audit.results import Run
    from audit.schema import Comparison
    from audit.verification import verify

__all__ = [
    "AuditError",
    "Comparison",
    "Estimate",
    "Run",
    "compare",
    "demo",
    "finetune",
    "load_model",
    "rescore",
    "run",
    "score",
    "verify",
]

_HOMES = {
    "AuditError": "audit.errors",
    "Comparison": "audit.schema",
    "Estimate": "audit.metrics.estimate",
    "Run": "audit.results",
    "compare": "audit.comparison",
    "demo": "audit.demonstration.show",
    "finetune": "audit.finetuning",
    "load_model": "audit.models",
    "rescore": "audit.rescoring",
    "run": "audit.loop",
    "score": "audit.rescoring",
    "verify": "audit.verification",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use: `slm-audit --help` must not wait for torch.
    if name not in _HOMES:
        raise AttributeError(f"module 'audit' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
