"""The composite GitHub action: its shell is run as the runner would run it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import audit
from tests.conftest import ENVIRONMENT, Called

ROOT = Path(audit.__file__).parent.parent
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
(STEP,) = ACTION["runs"]["steps"]
RULE = '[[rules]]\nsuite = "tiny-text"\nmetric = "bits-per-byte"\nat_most = {}\nwhy = "for tests"\n'


@pytest.fixture(scope="module")
def run(tiny: Path, model: Any, text_suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("action") / "a run; touch forged"
    return audit.run(str(tiny), [str(text_suite)], out, loaded=model).path


@pytest.fixture
def act(tmp_path: Path) -> Callable[..., tuple[Called, dict[str, str]]]:
    """Runs the action's step with inputs; returns what it did and its outputs."""

    def call(**inputs: object) -> tuple[Called, dict[str, str]]:
        given = {name: str(one.get("default", "")) for name, one in ACTION["inputs"].items()}
        given |= {name.replace("_", "-"): str(value) for name, value in inputs.items()}
        values = {
            name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: given[found[1]], value)
            for name, value in STEP["env"].items()
        }
        script = tmp_path / "step.sh"
        script.write_text(STEP["run"])
        output, summary = tmp_path / "output", tmp_path / "summary.md"
        output.write_text("")
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        told = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary)}
        # The runner's own way to start a step with `shell: bash`.
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            env=os.environ | ENVIRONMENT | values | told | {"PATH": path}, cwd=tmp_path, text=True,
            capture_output=True, check=False,
        )  # fmt: skip
        outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
        return Called(done.returncode, done.stdout, done.stderr), outputs

    return call


def policy(folder: Path, text: str) -> Path:
    (folder / "gate.toml").write_text("version = 1\n" + text)
    return folder / "gate.toml"


def test_inputs_reach_the_shell_by_the_environment_only() -> None:
    assert "${{" not in STEP["run"]
    used = set(re.findall(r"inputs\.([\w-]+)", " ".join(STEP["env"].values())))
    assert used == set(ACTION["inputs"])
    assert ACTION["runs"]["using"] == "composite" and STEP["shell"] == "bash"
    promised = {re.findall(r"outputs\.([\w-]+)", one["value"])[0] for one in ACTION["outputs"].values()}
    assert promised == set(ACTION["outputs"]) == {"verdict", "exit-code", "folder"}


def test_a_pass_and_a_failure(act: Any, run: Path, tmp_path: Path) -> None:
    said, outputs = act(variant=run, policy=policy(tmp_path, RULE.format(900.0)))
    assert said.code == 0, said
    assert outputs == {"verdict": "pass", "exit-code": "0", "folder": "slm-audit-gate"}
    assert (tmp_path / "summary.md").read_text().startswith("## Gate: pass")
    assert json.loads((tmp_path / "slm-audit-gate" / "gate.json").read_text())["verdict"] == "pass"
    assert not (tmp_path / "forged").exists(), "a folder's name is no command"
    said, outputs = act(variant=run, policy=policy(tmp_path, RULE.format(0.1)), out="other place")
    assert said.code == 5
    assert outputs == {"verdict": "fail", "exit-code": "5", "folder": "other place"}
    assert "::error file=" in said.out
    assert "## Gate: FAIL" in (tmp_path / "summary.md").read_text()
    assert (tmp_path / "other place" / "gate.xml").is_file()


@pytest.mark.slow
def test_inconclusive_is_let_through_only_where_that_is_asked(act: Any, run: Path, tmp_path: Path) -> None:
    path = policy(tmp_path, RULE.format(900.0).replace("at_most", "margin"))
    words = {"variant": run, "baseline": run, "policy": path, "ledger": tmp_path / "l.jsonl"}
    said, outputs = act(**words)
    assert (said.code, outputs["verdict"]) == (4, "inconclusive"), said
    said, outputs = act(**words, allow_inconclusive="true")
    assert (said.code, outputs["exit-code"]) == (0, "4")
    assert "::warning title=slm-audit gate::inconclusive, and let through" in said.out
    assert (tmp_path / "l.jsonl").is_file()
    said, outputs = act(variant=run, policy=path, allow_inconclusive="true")
    assert (said.code, outputs["verdict"]) == (3, "incomplete")


@pytest.mark.slow
def test_a_gate_that_cannot_run_leaves_no_old_verdict(act: Any, run: Path, tmp_path: Path) -> None:
    assert act(variant=run, policy=policy(tmp_path, RULE.format(900.0)))[0].code == 0
    (tmp_path / "summary.md").unlink()
    said, outputs = act(variant=run, policy=tmp_path / "none.toml", allow_inconclusive="true")
    assert (said.code, outputs["verdict"], outputs["exit-code"]) == (2, "error", "2")
    assert "could not be run (exit code 2)" in said.out
    assert not (tmp_path / "slm-audit-gate" / "gate.json").exists()
    assert not (tmp_path / "summary.md").exists()
