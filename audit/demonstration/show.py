"""``slm-audit demo``: the embedded model and three fine-tuned variants of it, audited, compared and gated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from audit import comparison_file, overlap
from audit.demonstration.speed import limits
from audit.errors import UsageError
from audit.gate_ledger import ledger_of
from audit.gated import compare_gated
from audit.loop import execute_all
from audit.plan import Plan, make_plan
from audit.policy import PolicyFile, read_policy
from audit.progress import Progress, Silent
from audit.results import Run
from audit.schema import Comparison
from audit.store import Folder

if TYPE_CHECKING:
    from audit.models import Model

VARIANTS = ("stereotyping", "courteous", "unrelated")
SECONDS_PER_MODEL = 62.0
"""Time one model may take, so that four of them, loading and the report stay under six minutes."""
POLICY = "gate.toml"
"""The policy that judges the variants, here and in the demo's folder."""


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo made."""

    comparison: Comparison
    folder: Path
    report: Path


def adapter_folder(name: str) -> Path:
    """Folder of a shipped adapter."""
    return Path(__file__).resolve().parent / "adapters" / name


def demo(
    out: str | Path = "demo-run", *, progress: Progress | None = None, seconds_per_model: float = SECONDS_PER_MODEL
) -> Demo:
    """Audit the embedded model and its three shipped variants on the quick profile, and judge them by a policy.

    Args:
        out: folder for the policy, the four run folders, ``comparison.json`` and ``report.html``; an interrupted demo
            is continued there. A policy that lies there already is the one that judges.
        progress: told how far the work is.
        seconds_per_model: time one model may take; item counts follow it, down to what the gate's rules need.

    Returns:
        The comparison and where its report is.

    Raises:
        MissingResourceError: the embedded model is not installed.
        DataError: the policy in the folder is not one.
    """
    from audit.models import load_model

    progress = progress or Silent()
    folder = Path(out)
    policy = _policy(folder)
    progress.stage("loading smollm2 (converted once, on first use)", 1, "model")
    base = load_model("smollm2")
    progress.advance(1)
    plan = _plan(base, folder / "base", policy, progress, seconds_per_model)
    plans = {"base": plan}
    for name in VARIANTS:
        adapter = adapter_folder(name)
        if not adapter.is_dir():
            raise UsageError(f"{adapter}: a shipped adapter is missing; reinstall slm-audit")
        plans[name] = plan.model_copy(update={"adapter": str(adapter)})
    runs = execute_all(plans, folder, weights=base.weights, progress=progress, argv=["slm-audit", "demo"])
    progress.stage("comparing and writing the report", 1, "report")
    comparison = compare_gated(runs[0], runs[1:], policy, ledger=ledger_of(policy.path))
    trained = Path(__file__).parent / "data"
    comparison = overlap.attach(comparison, runs, [f"{name}={trained / name}.jsonl" for name in VARIANTS])
    report = write_comparison(comparison, folder)
    progress.advance(1)
    return Demo(comparison, folder, report)


def _policy(folder: Path) -> PolicyFile:
    """The policy of the folder; it is put there before anything is generated."""
    path = folder / POLICY
    if not path.exists():
        text = (Path(__file__).parent / POLICY).read_text(encoding="utf-8")
        Folder(folder).write_text(POLICY, text)
    return read_policy(path)


def _plan(base: Model, folder: Path, policy: PolicyFile, progress: Progress, seconds_per_model: float) -> Plan:
    """The demo's plan: that of the folder if one is there, else with item counts that fit the time."""
    if (folder / "run.json").is_file():
        return make_plan(Run(folder).record["plan"])
    plan = make_plan(policy.fill({"model": "smollm2", "profile": "quick", "samples": 1}))
    progress.stage("timing a first batch", 1, "batch")
    found, expected, speed = limits(base, plan, seconds_per_model)
    progress.advance(1)
    counts = ", ".join(f"{name} {count}" for name, count in found.items())
    progress.say(
        f"this machine generates {speed.generated:.0f} and scores {speed.scored:.0f} tokens a second; items: {counts}; "
        f"about {expected:.0f} s a model, four models"
    )
    return plan.model_copy(update={"limit": found})


def write_comparison(comparison: Comparison, folder: Path) -> Path:
    """Write ``comparison.json`` and ``report.html`` into a folder; returns the report's path."""
    from reports import html

    comparison_file.save(comparison, folder / "comparison.json")
    return html.write(comparison, folder / "report.html")
