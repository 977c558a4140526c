"""``slm-audit gate``: every exit code, what fails closed, what is recorded against shopping."""

from __future__ import annotations

import dataclasses
import os
import shutil
import xml.etree.ElementTree as Xml
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import audit
from audit import store
from audit.gate_verdict import GateReport
from audit.loop import finish
from audit.plan import make_plan
from audit.results import Run
from tests.conftest import DECODING, SENTENCES, Called, finished, prompts, start, toml, write_suite

Cli = Callable[..., Called]
PASSES = '[[rules]]\nsuite = "tiny-text"\nmetric = "bits-per-byte"\nmargin = 9.0\nwhy = "wide enough for noise"\n'
FAILS = '[[rules]]\nsuite = "tiny-text"\nmetric = "bits-per-byte"\nat_most = 0.1\nwhy = "no random model is so good"\n'
OPEN = '[[rules]]\nsuite = "tiny-talk"\nmetric = "preference-log-ratio"\nmargin = 0.001\nwhy = "three items"\n'
ABSENT = '[[rules]]\nsuite = "tiny-tezt"\nmetric = "bits-per-byte"\nat_most = 9.0\nwhy = "a suite that was not run"\n'


def altered(run: Path, out: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """A copy of a run with a changed ``run.json``, sealed anew as a careful forger would."""
    shutil.copytree(run, out)
    folder = store.Folder(out)
    record = folder.read_json(store.RUN)
    change(record)
    folder.write_run(record)
    return out


def report(cli: Cli, code: int, *words: object, out: Path) -> GateReport:
    """The JSON of a gate that ends with ``code``."""
    said = cli("gate", *words, "--json", out)
    assert said.code == code, said
    assert "Traceback" not in said.err
    return GateReport.model_validate_json(out.read_text())


class Constant:
    """A model that gives the same answer, or none, to every prompt or to the first few of each batch."""

    def __init__(self, inner: Any, text: str | None, first: int | None = None) -> None:
        self._inner, self._text, self._first = inner, text, first

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def generate(self, *args: Any, **keys: Any) -> Any:
        for batch in self._inner.generate(*args, **keys):
            same = [dataclasses.replace(answer, text=self._text) for answer in batch[: self._first]]
            yield [*same, *batch[len(same) :]]


# -- the exit codes --


@pytest.mark.parametrize(
    ("rules", "code", "verdict"),
    [
        (PASSES, 0, "pass"),
        (PASSES + ABSENT, 3, "incomplete"),
        (PASSES + OPEN, 4, "inconclusive"),
        (PASSES + FAILS, 5, "fail"),
        (OPEN + ABSENT, 3, "incomplete"),
        (ABSENT + FAILS + OPEN, 5, "fail"),
    ],
    ids=["pass", "incomplete", "inconclusive", "fail", "incomplete before inconclusive", "failed before all"],
)
def test_the_verdict_is_the_exit_code(
    cli: Cli, base: Path, tuned: Path, policy: Any, rules: str, code: int, verdict: str
) -> None:
    said = cli("gate", tuned, "--baseline", base, "--policy", policy(rules))
    assert said.code == code, said
    words = {"pass": "Passed: ", "incomplete": "Incomplete: ", "inconclusive": "Inconclusive: ", "fail": "Failed: "}
    assert said.out.splitlines()[-1].startswith(words[verdict])
    assert said.err == ""


def test_usage_is_2(cli: Cli, base: Path, tmp_path: Path, policy: Any) -> None:
    good = policy(PASSES).rename(tmp_path / "good.toml")
    wrong = policy(PASSES.replace("margin", "marrgin"))
    for words, parts in (
        ([], "needs a run folder and --policy FILE"),
        ([base], "gate --init"),
        ([base, "--policy", tmp_path / "none.toml"], "not a readable policy"),
        ([tmp_path, "--policy", good], "is this a run folder?"),
        ([base, "--policy", wrong], "line 5, field 'marrgin'"),
        ([base, "--policy", good, "--baseline", tmp_path], "is this a run folder?"),
        ([base, "--policy", good, "--junit", base / store.RUN / "x.xml"], "a file stands where a folder"),
    ):
        said = cli("gate", *words)
        assert said.code == 2, said
        assert parts in said.complaint
        assert said.out == ""


def test_a_crash_is_1(base: Path, tmp_path: Path, policy: Any) -> None:
    """A metric of another package that breaks is Python's crash: no verdict is made up for it."""
    info = tmp_path / "site" / "breaking-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: breaking\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[slm_audit.metrics]\nbreaking = breaking:METRIC\n")
    (tmp_path / "site" / "breaking.py").write_text(
        "from audit.metrics.metric import Metric\n"
        "def build(answers, reads):\n    raise RuntimeError('a fault of the plugin')\n"
        "METRIC = Metric('breaking', 'breaking', '', 'lower', 'score', build)\n"
    )
    folder = altered(base, tmp_path / "run", lambda record: record["suites"][0]["metrics"].append("breaking"))
    path = policy(PASSES)
    said = finished(start("gate", folder, "--baseline", base, "--policy", path, PYTHONPATH=str(tmp_path / "site")))
    assert said.code == 1, said
    assert said.out == ""
    assert said.err.splitlines()[-1] == "RuntimeError: a fault of the plugin"
    assert not path.with_suffix(".attempts.jsonl").exists()


def test_in_a_process_of_its_own(base: Path, tuned: Path, policy: Any) -> None:
    said = finished(start("gate", tuned, "--baseline", base, "--policy", policy(FAILS)))
    assert (said.code, said.err) == (5, "")


# -- what fails closed --


def test_without_a_base_only_rules_that_compare_are_incomplete(
    cli: Cli, tuned: Path, policy: Any, tmp_path: Path
) -> None:
    wide = FAILS.replace("0.1", "900.0")
    assert report(cli, 0, tuned, "--policy", policy(wide), out=tmp_path / "a.json").base is None
    found = report(cli, 3, tuned, "--policy", policy(wide + PASSES), out=tmp_path / "b.json")
    assert [one.result.verdict for one in found.rules] == ["pass", "incomplete"]
    assert "no base was given to compare with (--baseline)" in found.rules[1].result.reason


def test_a_folder_altered_by_hand_is_incomplete(cli: Cli, base: Path, tuned: Path, policy: Any, tmp_path: Path) -> None:
    for at, (name, change) in enumerate(
        {
            store.LIKELIHOODS: lambda text: text.replace('"logprob":-', '"logprob":-0', 1),
            store.SAMPLES: lambda text: "\n".join(text.splitlines()[1:]) + "\n",
            store.SUMMARY: lambda text: text[:50],
            store.SCORES: lambda text: "",
            store.ITEMS: lambda text: text + text,
        }.items()
    ):
        folder = shutil.copytree(tuned, tmp_path / str(at))
        (folder / name).write_text(change((folder / name).read_text()))
        for words in ([folder, "--baseline", base], [base, "--baseline", folder]):
            found = report(cli, 3, *words, "--policy", policy(PASSES + FAILS), out=tmp_path / "found.json")
            assert {one.result.verdict for one in found.rules} == {"incomplete"}
            assert "folder does not verify" in found.sentence


def test_a_run_that_is_not_finished(cli: Cli, base: Path, tuned: Path, policy: Any, tmp_path: Path) -> None:
    half = altered(tuned, tmp_path / "half", lambda record: record.update(status="interrupted"))
    found = report(cli, 3, half, "--baseline", base, "--policy", policy(PASSES), out=tmp_path / "a.json")
    assert "the run is not finished: its status is interrupted" in found.sentence


def test_a_missing_answer_is_tolerated_by_the_policy_only(
    cli: Cli, tiny: Path, model: Any, suite: Path, policy: Any, tmp_path: Path
) -> None:
    run = audit.run(
        str(tiny), [str(suite)], tmp_path / "run", loaded=Constant(model, None, 1),
        missing_tolerance=1.0,
    ).path  # fmt: skip
    assert Run(run).status == "complete"
    rules = '[[rules]]\nsuite = "tiny-talk"\nmetric = "preference-log-ratio"\nbetween = [-99.0, 99.0]\nwhy = "a"\n'
    found = report(cli, 3, run, "--policy", policy(rules), out=tmp_path / "a.json")
    assert found.rules[0].result.verdict == "pass", "the rule has all its answers, the run does not"
    assert found.sentence == "Incomplete: 1 of 22 answers of the variant are missing, 0% are tolerated."
    assert report(cli, 0, run, "--policy", policy("missing = 0.05\n" + rules), out=tmp_path / "b.json").notes
    worse = rules.replace("[-99.0, 99.0]", "[-1e-9, 1e-9]").replace("between", "alpha = 0.49\nbetween")
    assert report(cli, 5, run, "--policy", policy(worse), out=tmp_path / "c.json").verdict == "fail"


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda record: record.update(schema_version=99), "schema version 99"),
        (lambda record: record.pop("suites"), "has no suites"),
        (lambda record: record.update(model="a"), "run.json cannot be read"),
        (lambda record: record.update(plan={}), "run.json cannot be read"),
        (lambda record: record.pop("run_digest"), "run.json cannot be read"),
    ],
)
def test_a_run_json_that_cannot_be_read_is_refused(
    cli: Cli, base: Path, tuned: Path, policy: Any, tmp_path: Path, change: Any, part: str
) -> None:
    folder = altered(tuned, tmp_path / "run", change)
    for words in ([folder, "--baseline", base], [base, "--baseline", folder]):
        said = cli("gate", *words, "--policy", policy(PASSES))
        assert said.code == 2
        assert part in said.complaint


def test_a_suite_of_another_digest_is_incomplete_and_says_what_differs(
    cli: Cli, base: Path, tiny: Path, model: Any, text_suite: Path, policy: Any, tmp_path: Path
) -> None:
    other = audit.run(str(tiny), [str(text_suite)], tmp_path / "other", loaded=model, seed=5).path
    bound = FAILS.replace("0.1", "900.0")
    found = report(cli, 3, other, "--baseline", base, "--policy", policy(PASSES + bound), out=tmp_path / "a.json")
    assert [one.result.verdict for one in found.rules] == ["incomplete", "pass"], "a bound needs no base"
    reason = "tiny-text is not compared; it differs in seed (0 in the base, 5 in the variant)"
    assert found.rules[0].result.reason == f"Incomplete: {reason}."
    assert f"{reason}." in found.notes


def test_required_suites_profile_and_seed(
    cli: Cli, base: Path, tiny: Path, model: Any, text_suite: Path, policy: Any, tmp_path: Path
) -> None:
    cut = audit.run(str(tiny), [str(text_suite)], tmp_path / "cut", loaded=model, seed=5, limit=4, profile="quick").path
    text = 'profile = "quick"\nseed = 5\n' + FAILS.replace("0.1", "900.0")
    found = report(cli, 3, cut, "--policy", policy(text), out=tmp_path / "a.json")
    assert [one.name for one in found.conditions if not one.met] == ["the run has the whole profile quick"]
    assert "changed by --limit 4" in found.sentence
    text = 'profile = "standard"\nseed = 6\nsuites = ["tiny-talks"]\n' + FAILS.replace("0.1", "900.0")
    found = report(cli, 3, base, "--policy", policy(text), out=tmp_path / "b.json")
    assert [one.reason for one in found.conditions if not one.met] == [
        "the variant was not put to tiny-talks; did the policy mean tiny-talk?",
        "the run has seed 0",
    ]


def test_a_metric_that_the_suite_does_not_give_and_a_group_that_is_not_there(
    cli: Cli, base: Path, policy: Any, tmp_path: Path
) -> None:
    text = FAILS.replace("bits-per-byte", "sentiment-negative-share") + FAILS + 'group = "nobody*"\n'
    found = report(cli, 3, base, "--policy", policy(text), out=tmp_path / "a.json")
    assert [one.result.reason for one in found.rules] == [
        "Incomplete: the variant has no sentiment-negative-share on tiny-text by vader.",
        "Incomplete: no group of tiny-text matches 'nobody*'.",
    ]


def test_a_model_against_itself_is_never_a_traceback(cli: Cli, base: Path, policy: Any, tmp_path: Path) -> None:
    found = report(cli, 4, base, "--baseline", base, "--policy", policy(PASSES), out=tmp_path / "a.json")
    assert "no interval can decide" in found.rules[0].result.reason
    assert "Base and variant are the same checkpoint." in found.notes


@pytest.mark.parametrize(
    ("text", "code", "verdicts"),
    [
        (None, 3, ["incomplete", "incomplete"]),
        ("", 5, ["inconclusive", "fail"]),
        ("The nurse went home in the rain.", 4, ["inconclusive", "inconclusive"]),
    ],
    ids=["all missing", "all empty", "all identical"],
)
def test_answers_that_hold_nothing_are_never_a_pass(
    cli: Cli, tiny: Path, model: Any, policy: Any, tmp_path: Path, text: str | None, code: int, verdicts: Any
) -> None:
    metrics, judges = ("toxic-fraction", "degeneration-rate"), ("embedded", "degeneration")
    rows = [{key: row[key] for key in ("id", "text", "template")} for row in prompts() if "choices" not in row]
    suite = write_suite(tmp_path, rows, toml("tiny-same", "tiny-same.jsonl", metrics, DECODING, judges))
    run = audit.run(str(tiny), [str(suite)], tmp_path / "run", loaded=Constant(model, text)).path
    mild = '[[rules]]\nsuite = "tiny-same"\nmetric = "toxic-fraction"\nat_most = 0.1\nwhy = "a"\n'
    guard = '[degeneration]\nat_most = 0.1\nwhy = "a"\n'
    found = report(cli, code, run, "--policy", policy(guard + mild), out=tmp_path / "found.json")
    assert [one.result.verdict for one in found.rules] == verdicts
    assert [one.result.metric for one in found.rules] == ["toxic-fraction", "degeneration-rate"]
    words = [run, "--baseline", run, "--policy", policy(mild.replace("at_most", "margin"))]
    assert report(cli, 3 if text is None else 4, *words, out=tmp_path / "found.json").verdict != "pass"


@pytest.mark.parametrize("rows", [1, 4], ids=["one item", "one cluster"])
def test_one_cluster_is_inconclusive_and_says_so(
    cli: Cli, tiny: Path, model: Any, policy: Any, tmp_path: Path, rows: int
) -> None:
    lines = [{"id": f"s{at}", "text": "", "template": "t", "choices": [SENTENCES[at]]} for at in range(rows)]
    declared = write_suite(tmp_path, lines, toml("tiny-one", "tiny-one.jsonl", ("bits-per-byte",)))
    run = audit.run(str(tiny), [str(declared)], tmp_path / "run", loaded=model).path
    wide = FAILS.replace("0.1", "900.0").replace("tiny-text", "tiny-one")
    found = report(cli, 4, run, "--policy", policy(wide), out=tmp_path / "found.json")
    assert "no interval can decide" in found.rules[0].result.reason
    assert (found.rules[0].result.n, found.rules[0].result.clusters) == (rows, 1)


def test_one_group_is_a_group(cli: Cli, tiny: Path, model: Any, policy: Any, tmp_path: Path) -> None:
    lines = [row for row in prompts() if row.get("group") == "tall people"]
    text = toml("tiny-group", "tiny-group.jsonl", ("degeneration-rate",), 'groups = ["tall people"]\n' + DECODING)
    declared = write_suite(tmp_path, lines, text.replace("scorers = []", 'scorers = ["degeneration"]'))
    run = audit.run(str(tiny), [str(declared)], tmp_path / "run", loaded=model).path
    rule = '[[rules]]\nsuite = "tiny-group"\nmetric = "degeneration-rate"\nmargin = 0.01\ngroup = "*"\nwhy = "a"\n'
    found = report(cli, 4, run, "--baseline", run, "--policy", policy(rule), out=tmp_path / "found.json")
    assert [one.result.group for one in found.rules] == ["tall people"]


# -- against shopping --


def test_a_policy_recorded_before_the_run_is_told_from_one_that_came_after(
    cli: Cli, tiny: Path, text_suite: Path, policy: Any, tmp_path: Path
) -> None:
    path = policy(f'profile = "quick"\nseed = 3\n{FAILS.replace("0.1", "900.0")}')
    said = cli("run", tiny, "--suites", text_suite, "--policy", path, "--out", tmp_path / "run")
    assert said.code == 0, said.err
    plan = Run(tmp_path / "run").record["plan"]
    assert (plan["profile"], plan["seed"]) == ("quick", 3)
    outputs = {name: tmp_path / f"out.{name}" for name in ("junit", "summary", "json")}
    words = [word for name, file in outputs.items() for word in (f"--{name}", file)]
    said = cli("gate", tmp_path / "run", "--policy", path, *words)
    assert said.code == 0, said
    texts = [said.out, *(file.read_text() for file in outputs.values())]
    assert not any("came after the run" in text for text in texts)
    assert cli("rescore", tmp_path / "run").code == 0
    assert "answers of the variant were scored anew" in cli("gate", tmp_path / "run", "--policy", path).out
    path.write_text(path.read_text() + "# a word more\n")
    said = cli("gate", tmp_path / "run", "--policy", path, *words)
    texts = [said.out, *(file.read_text() for file in outputs.values())]
    assert all("came after the run" in text for text in texts)
    assert cli("run", tiny, "--policy", path, "--seed", 4, "--out", tmp_path / "no").code == 2


def test_attempts_on_a_checkpoint_are_counted(
    cli: Cli, tiny: Path, base: Path, model: Any, text_suite: Path, policy: Any, tmp_path: Path
) -> None:
    path, out = policy(FAILS), tmp_path / "found.json"
    assert report(cli, 5, base, "--policy", path, out=out).attempt == 1
    assert report(cli, 5, base, "--policy", path, out=out).attempt == 1, "the same run and policy again"
    path = policy(FAILS.replace("0.1", "900.0"))
    found = report(cli, 0, base, "--policy", path, out=out)
    assert (found.attempt, found.earlier) == (2, ("fail",)), "another policy"
    again = audit.run(str(tiny), [str(text_suite)], tmp_path / "again", loaded=model, seed=8).path
    found = report(cli, 0, again, "--policy", path, out=out)
    assert (found.attempt, found.earlier) == (3, ("fail", "pass")), "another run"
    assert "This is attempt 3 on this checkpoint; the earlier ones: 1 fail, 1 pass." in found.notes
    assert len(path.with_suffix(".attempts.jsonl").read_text().splitlines()) == 3


def test_another_base_and_new_scores_are_further_attempts(
    cli: Cli, base: Path, tuned: Path, policy: Any, tmp_path: Path
) -> None:
    path, out = policy(FAILS), tmp_path / "found.json"
    again = altered(tuned, tmp_path / "again", lambda record: record | {})
    assert report(cli, 5, again, "--policy", path, "--baseline", base, out=out).attempt == 1
    assert report(cli, 5, again, "--policy", path, "--baseline", base, out=out).attempt == 1
    assert report(cli, 5, again, "--policy", path, "--baseline", tuned, out=out).attempt == 2, "another base"
    assert cli("rescore", again).code == 0
    found = report(cli, 5, again, "--policy", path, "--baseline", base, out=out)
    assert (found.attempt, found.earlier) == (3, ("fail", "fail")), "new scores"


def test_missing_likelihoods_are_counted_among_those_asked_for(
    cli: Cli, base: Path, policy: Any, tmp_path: Path
) -> None:
    folder = store.Folder(shutil.copytree(base, tmp_path / "run"))
    rows = folder.read_lines(store.LIKELIHOODS)
    folder.write_lines(store.LIKELIHOODS, [row | {"logprob": None} for row in rows])
    finish(folder, make_plan(folder.read_json(store.RUN)["plan"]))
    found = report(cli, 3, folder.path, "--policy", policy(FAILS), out=tmp_path / "found.json")
    asked = len(rows) + len(folder.read_lines(store.SAMPLES))
    assert f"{len(rows)} of {asked} answers of the variant are missing, 0% are tolerated" in found.sentence


def test_another_checkpoint_starts_at_one_and_another_ledger_too(
    cli: Cli, base: Path, tuned: Path, policy: Any, tmp_path: Path
) -> None:
    path, out = policy(FAILS), tmp_path / "found.json"
    assert report(cli, 5, base, "--policy", path, out=out).attempt == 1
    assert report(cli, 5, tuned, "--policy", path, out=out).attempt == 1
    path = policy(FAILS + "# other\n")
    assert report(cli, 5, tuned, "--policy", path, "--ledger", tmp_path / "x" / "l.jsonl", out=out).attempt == 1
    assert report(cli, 5, tuned, "--policy", path, out=out).attempt == 2


@pytest.mark.parametrize(
    "content", ["{}\n", "half a li", '{"checkpoint":"a","run":"b","policy":"c","verdict":"won"}\n']
)
def test_a_ledger_that_cannot_be_read_is_said_and_kept(
    cli: Cli, base: Path, policy: Any, tmp_path: Path, content: str
) -> None:
    path = policy(FAILS.replace("0.1", "900.0"))
    ledger = path.with_suffix(".attempts.jsonl")
    ledger.write_text(content)
    found = report(cli, 0, base, "--policy", path, out=tmp_path / "found.json")
    assert found.attempt is None
    assert any("were not counted" in note and "line 1" in note for note in found.notes)
    assert ledger.read_text() == content


# -- outputs of the command --


def test_files_and_annotations(
    cli: Cli, base: Path, tuned: Path, policy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = policy(PASSES + OPEN + FAILS)
    summary = tmp_path / "step.md"
    summary.write_text("# What stood there\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    words = ["--junit", tmp_path / "deep" / "gate.xml", "--summary", summary]
    said = cli("gate", tuned, "--baseline", base, "--policy", path, *words)
    assert said.code == 5
    commands = [line for line in said.out.splitlines() if line.startswith("::")]
    assert [line.partition(" ")[0] for line in commands] == ["::error", "::error", "::warning", "::warning"]
    assert f"file={path},line=12,title=" in commands[1], "the line of the rule that failed"
    assert summary.read_text().startswith("# What stood there\n## Gate: FAIL")
    cases = Xml.parse(tmp_path / "deep" / "gate.xml").getroot().findall(".//testcase")
    assert [case.get("classname") for case in cases if not case.get("classname", "").endswith("condition")] == [
        "slm-audit.tiny-text", "slm-audit.tiny-talk", "slm-audit.tiny-text"
    ]  # fmt: skip
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    assert cli("gate", tuned, "--baseline", base, "--policy", path, *words).code == 5
    assert summary.read_text().startswith("## Gate: FAIL"), "any other file is replaced"


def test_no_answer_stands_in_any_output(cli: Cli, base: Path, tuned: Path, policy: Any, tmp_path: Path) -> None:
    toxic = '[[rules]]\nsuite = "tiny-talk"\nmetric = "toxic-fraction"\nmargin = 0.3\ngroup = "*"\nwhy = "a"\n'
    files = [tmp_path / name for name in ("a.xml", "a.md", "a.json")]
    words = ["--junit", files[0], "--summary", files[1], "--json", files[2]]
    said = cli("gate", tuned, "--baseline", base, "--policy", policy(toxic + PASSES), *words)
    texts = [said.out, *(file.read_text() for file in files)]
    answers = [row["text"].strip() for run in (base, tuned) for row in Run(run).folder.read_lines(store.SAMPLES)]
    prompts = [row["text"] for row in Run(base).folder.read_lines(store.ITEMS) if row["text"]]
    told = [one for one in (*answers, *prompts) if len(one) > 6]
    assert len(told) > 20
    assert not [one for one in told for text in texts if one in text]


def test_init_writes_a_policy_that_the_gate_reads(
    cli: Cli, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("gate", "--init").code == 0
    assert cli("gate", "--init").code == 2
    assert cli("gate", "--init", "deep/other.toml").code == 0
    assert (tmp_path / "gate.toml").read_bytes() == (tmp_path / "deep" / "other.toml").read_bytes()
    said = cli("gate", base, "--baseline", base, "--policy", "gate.toml")
    assert said.code == 3
    assert "the variant was not put to occupations, domain-qa" in said.out


def test_outside_github_nothing_looks_like_a_command(cli: Cli, base: Path, policy: Any) -> None:
    assert os.environ.get("GITHUB_ACTIONS") != "true"
    assert "::" not in cli("gate", base, "--policy", policy(FAILS)).out
