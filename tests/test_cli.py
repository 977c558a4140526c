"""The command line: help, JSON, plain output, and no network where none may be used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from audit.results import Run
from tests.conftest import ENVIRONMENT, Called, finished, start

VERBS = (
    "demo", "run", "compare", "gate", "rescore", "report", "score", "scorer-card", "verify", "list", "doctor",
    "export", "fetch", "finetune", "label-sample",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tiny: Path, model: Any, suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import audit

    return audit.run(str(tiny), [str(suite)], tmp_path_factory.mktemp("cli") / "run", loaded=model).path


def test_help_names_every_verb_and_the_exit_codes(cli: Callable[..., Called]) -> None:
    said = cli("--help")
    assert said.code == 0
    assert all(f" {verb} " in said.out for verb in VERBS)
    assert "Exit codes: 0 pass" in said.out
    assert cli().out == said.out, "without a word it helps"


def test_the_version_is_the_packages(cli: Callable[..., Called]) -> None:
    said = cli("--version")
    assert (said.code, said.out) == (0, f"slm-audit {metadata.version('slm-audit')}\n")


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_has_an_example(cli: Callable[..., Called], verb: str) -> None:
    said = cli(verb, "--help")
    assert said.code == 0
    assert f"Example: slm-audit {verb}" in " ".join(said.out.split())


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    heavy = ["torch", "transformers", "peft", "pydantic", "numpy", "pandas", "scipy", "datasets", "jinja2"]
    code = (
        "import sys\nsys.argv = ['slm-audit', '--help']\nfrom audit.cli import main\n"
        "try:\n    main()\nexcept SystemExit as stopped:\n    assert stopped.code in (0, None)\n"
        f"sys.stderr.write(repr([name for name in {heavy} if name in sys.modules]))"
    )
    began = os.times().children_user
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]"
    assert os.times().children_user - began < 2.0, "seconds of processor time"


def test_no_colour_codes_where_nobody_watches(run: Path, cli: Callable[..., Called], tmp_path: Path) -> None:
    for words in (["list", "suites"], ["list", "metrics"], ["--help"], ["run", "--help"], ["rescore", run], ["doctor"],
                  ["compare", run, run], ["verify", run], ["report", run, "--out", tmp_path / "r.html"]):  # fmt: skip
        said = cli(*words)
        assert said.code == 0, said.err
        assert "\x1b" not in said.out + said.err, words
        assert "\r" not in said.out + said.err, words


@pytest.mark.parametrize("kind", ["suites", "scorers", "metrics", "models"])
def test_lists(cli: Callable[..., Called], kind: str) -> None:
    rows = json.loads(cli("list", kind, "--json").out)
    assert len(rows) >= 3
    plain = cli("list", kind).out.splitlines()
    assert plain[0].split("\t") == list(rows[0])
    assert [line.split("\t")[0] for line in plain[1:]] == [row["name"] for row in rows]


def test_the_template_is_a_suite_that_runs(tiny: Path, tmp_path: Path, cli: Callable[..., Called]) -> None:
    text = cli("list", "suites", "--template").out
    (tmp_path / "mine.toml").write_text(text)
    shown = [line.removeprefix("#   ") for line in text.splitlines() if line.startswith('#   {"id"')]
    (tmp_path / "my-suite.jsonl").write_text("\n".join(shown) + "\n")
    said = cli("run", tiny, "--suites", tmp_path / "mine.toml", "--out", tmp_path / "run", "--json")
    assert said.code == 0, said.err
    assert len(Run(tmp_path / "run").folder.read_lines("items.jsonl")) == len(shown) == 4


def test_json_of_run_and_rescore(
    tiny: Path, suite: Path, run: Path, tmp_path: Path, cli: Callable[..., Called]
) -> None:
    for said in (
        cli("run", tiny, "--suites", suite, "--out", tmp_path / "run", "--json"),
        cli("rescore", run, "--json", "--scorers", "embedded"),
    ):
        found = json.loads(said.out)
        assert said.code == 0
        assert found["status"] == "complete"
        assert {row["metric"] for row in found["summary"]} >= {"toxic-fraction", "preference-log-ratio"}


def test_a_run_says_what_it_does_and_what_to_do_next(
    tiny: Path, suite: Path, tmp_path: Path, cli: Callable[..., Called]
) -> None:
    said = cli("run", tiny, "--suites", suite, "--out", tmp_path / "run")
    assert said.code == 0
    for stage in ("answering tiny-talk: 16 answers", "scoring with embedded, degeneration: 16 answers", "done in"):
        assert stage in said.err
    assert f"Next: slm-audit report {tmp_path / 'run'}" in said.out
    assert "tiny-talk" in said.out
    assert cli("report", tmp_path / "run").code == 0
    assert (tmp_path / "run" / "report.html").stat().st_size > 1000


def test_doctor_works_without_a_network(cli: Callable[..., Called], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("doctor must not ask the network")

    monkeypatch.setattr("socket.socket.connect", refuse)
    found = json.loads(cli("doctor", "--json").out)
    assert {"device", "dtype", "memory", "cache", "embedded model", "torch", "python"} <= set(found)
    assert found["embedded scorer"].endswith("verified")
    monkeypatch.setenv("SLM_AUDIT_DATA", "/no/such/folder")
    assert "no such folder" in json.loads(cli("doctor", "--json").out)["published data"]
    monkeypatch.delenv("SLM_AUDIT_DATA")
    assert "is not set" in json.loads(cli("doctor", "--json").out)["published data"]
    assert "device" in cli("doctor").out


def test_offline_asks_no_network(tiny: Path, adapter: Path, suite: Path, tmp_path: Path) -> None:
    """Every connection and every look-up of a name ends the process at once; the run ends well."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, socket\n"
        "def refuse(*args, **kwargs):\n    os.write(2, b'NETWORK'); os._exit(99)\n"
        "socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.create_connection = refuse\n"
    )
    environment = {key: value for key, value in (os.environ | ENVIRONMENT).items() if key != "HF_HUB_OFFLINE"}
    code = "import sys; from audit.cli import main; main()"
    done = finished(
        subprocess.Popen(
            [sys.executable, "-c", code, "run", str(tiny), "--adapter", str(adapter), "--suites", str(suite),
             "--out", str(tmp_path / "run"), "--offline"],
            env=environment | {"PYTHONPATH": str(tmp_path)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
    )  # fmt: skip
    assert done.code == 0, done.err
    assert Run(tmp_path / "run").status == "complete"
    probe = subprocess.run(
        [sys.executable, "-c", "import socket; socket.create_connection(('127.0.0.1', 9))"],
        env=environment | {"PYTHONPATH": str(tmp_path)}, capture_output=True, check=False,
    )  # fmt: skip
    assert probe.returncode == 99, "the trap must work for this test to show anything"


def test_the_installed_command_and_the_module_are_one(run: Path) -> None:
    command = Path(sys.executable).parent / "slm-audit"
    done = subprocess.run([command, "verify", run], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert finished(start("verify", run)).out == done.stdout
