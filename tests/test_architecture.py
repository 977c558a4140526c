"""Nothing imports what stands above it, and only the places that must know torch import it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import audit

ROOT = Path(audit.__file__).parent.parent
FILES = sorted(path for folder in ("audit", "probes", "reports") for path in (ROOT / folder).rglob("*.py"))
NEURAL = {"torch", "transformers", "peft", "safetensors", "accelerate"}
# From the top down. A module may import those of its own line and of the lines below.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("audit.cli",),
    ("audit.demonstration",),
    ("reports",),
    ("audit.gated", "audit.gate_verdict", "audit.sequential_run"),
    ("audit.sequential",),
    ("audit.comparison", "audit.overlap", "audit.verification", "audit.rescoring",
     "audit.finetuning", "audit.catalogue", "audit.doctor", "audit.fetching"),
    ("audit.gate_pairing", "audit.exploration"),
    ("audit.gate", "audit.loop", "audit.agreement", "audit.labelling", "audit.labels", "audit.excerpts",
     "audit.distributions", "audit.controls"),
    ("audit.opening", "audit.judging"),
    ("audit.forecast", "audit.chosen"),
    ("audit.summary", "audit.journal", "audit.results", "audit.models", "audit.scorers", "audit.metrics", "audit.plan",
     "audit.console", "audit.policy", "audit.gate_ledger", "audit.comparison_file"),
    ("audit.store", "audit.provenance", "audit.run_record", "audit.schema", "audit.progress", "audit.beside"),
    ("probes",),
    ("audit.errors", "audit.text"),
)  # fmt: skip


def module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    """Full names of the modules that a file imports anywhere, but for those that only a type checker reads."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    checking = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in checking:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module is not None
            # `from audit import store` imports audit.store.
            yield from (
                f"{node.module}.{name.name}" if (ROOT / node.module.replace(".", "/") / f"{name.name}.py").exists()
                or (ROOT / node.module.replace(".", "/") / name.name).is_dir() else node.module
                for name in node.names
            )  # fmt: skip


def layer(name: str) -> int | None:
    """The line a module stands on; the longest prefix counts."""
    found = [
        (len(prefix), at)
        for at, line in enumerate(LAYERS)
        for prefix in line
        if name == prefix or name.startswith(prefix + ".")
    ]
    return max(found)[1] if found else None


def own(name: str) -> bool:
    return name.split(".")[0] in ("audit", "probes", "reports")


def test_every_module_has_its_line() -> None:
    lost = [module(path) for path in FILES if module(path) != "audit" and layer(module(path)) is None]
    assert lost == []


@pytest.mark.parametrize("path", FILES, ids=module)
def test_imports_point_down(path: Path) -> None:
    mine = layer(module(path))
    if mine is None:  # audit/__init__.py names the verbs, and loads them when asked
        assert module(path) == "audit"
        assert [name for name in imports(path) if own(name)] == []
        return
    upward = [name for name in imports(path) if own(name) and name != "audit" and (layer(name) or 0) < mine]
    assert upward == []


def test_only_models_and_finetuning_and_neural_scorers_know_torch() -> None:
    scorers = ("neural", "detoxify", "hf", "embedded", "train_embedded")
    allowed = (
        "audit.models", "audit.finetuning", "audit.doctor",  # doctor reports the device
        *(f"audit.scorers.{name}" for name in scorers),
    )  # fmt: skip
    found = {
        module(path): sorted({name.split(".")[0] for name in imports(path)} & NEURAL)
        for path in FILES
        if not module(path).startswith(allowed)
    }
    assert {name: used for name, used in found.items() if used} == {}


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("probes", ("probes", "audit.errors")),
        ("audit.metrics", ("audit.metrics", "audit.errors", "audit.schema", "audit.text", "probes.suite")),
        ("audit.scorers", ("audit.scorers", "audit.metrics", "audit.errors", "audit.provenance", "audit.text",
                           "audit.models.memory", "audit.models.quiet", "probes.sources")),
        ("audit.models", ("audit.models", "audit.errors", "audit.provenance", "probes.suite")),
        ("audit.gate", ("audit.metrics", "audit.errors", "audit.policy", "audit.schema")),
        ("audit.policy", ("audit.metrics", "audit.errors", "audit.provenance", "audit.schema", "audit.store")),
        ("reports", ("reports", "audit.comparison", "audit.errors", "audit.schema", "audit.store", "audit.results",
                     "audit.comparison_file", "audit.text", "audit.provenance", "audit.gate",
                     "audit.gate_verdict", "audit.labels", "audit.metrics", "audit.scorers.brief")),
    ],
)  # fmt: skip
def test_a_package_knows_only_what_it_needs(package: str, allowed: tuple[str, ...]) -> None:
    files = [path for path in FILES if module(path) == package or module(path).startswith(package + ".")]
    assert files
    strange = {
        (module(path), name)
        for path in files
        for name in imports(path)
        if own(name) and not any(name == one or name.startswith(one + ".") for one in allowed)
    }
    assert strange == set()


@pytest.mark.parametrize(
    "name",
    ["audit.cli", "audit.verification", "audit.comparison", "audit.rescoring", "reports.html", "probes.registry"],
)
def test_these_load_no_torch_on_the_way(name: str) -> None:
    code = f"import sys, {name}; print(sorted({NEURAL} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_heavy_imports_of_the_command_line_stand_inside_its_commands() -> None:
    tree = ast.parse((ROOT / "audit" / "cli.py").read_text(encoding="utf-8"))
    top = {ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)}
    assert top == {
        "from __future__ import annotations", "import os", "import sys", "import traceback", "from pathlib import Path",
        "from typing import Annotated, Any", "import typer",
    }  # fmt: skip
