"""What comes to the command line damaged, foreign or empty: a clear line, the right exit code, never a pass."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import audit
from audit import provenance, store
from audit.errors import EXIT_FAILED, EXIT_INCOMPLETE, EXIT_INCONCLUSIVE, EXIT_PASS, EXIT_USAGE
from tests.conftest import DECODING, SENTENCES, Called, finished, prompts, start, toml, write_suite

Cli = Callable[..., Called]
WIDE = '[[rules]]\nsuite = "tiny-text"\nmetric = "bits-per-byte"\nat_most = 900.0\nwhy = "any model at all"\n'
CLOSE = '[[rules]]\nsuite = "tiny-text"\nmetric = "bits-per-byte"\nmargin = 9.0\nwhy = "wide enough for noise"\n'
FAILS = '[[rules]]\nsuite = "tiny-text"\nmetric = "bits-per-byte"\nat_most = 0.1\nwhy = "no random model is so good"\n'
OPEN = '[[rules]]\nsuite = "tiny-talk"\nmetric = "preference-log-ratio"\nmargin = 0.001\nwhy = "three items"\n'


def every_verb(run: Path, base: Path, policy: Path, out: Path) -> dict[str, list[object]]:
    """The commands that read a run folder."""
    return {
        "verify": ["verify", run],
        "gate": ["gate", run, "--baseline", base, "--policy", policy],
        "gate against": ["gate", base, "--baseline", run, "--policy", policy],
        "compare": ["compare", base, run, "--out", out / "c.html"],
        "compare by policy": ["compare", base, run, "--policy", policy, "--out", out / "p.html"],
        "report": ["report", run, "--out", out / "r.html"],
        "export": ["export", run, "--to", "csv", "--out", out / "e.csv"],
    }


def spoilt(run: Path, out: Path, name: str, change: Callable[[str], str]) -> Path:
    """A copy of a run with one file changed."""
    shutil.copytree(run, out)
    (out / name).write_text(change((out / name).read_text()))
    return out


def with_record(change: Callable[[dict[str, Any]], object], *, seal: bool = True) -> Callable[[str], str]:
    """A change of ``run.json``, sealed anew as a careful forger would: what is behind the seal must hold, too."""

    def apply(text: str) -> str:
        record = json.loads(text)
        change(record)
        return json.dumps(record | {store.SEAL: provenance.seal(record)} if seal else record)

    return apply


# -- damaged runs, through every verb --

ALTERED = {
    "a likelihood": (store.LIKELIHOODS, lambda text: text.replace('"logprob":-', '"logprob":-0', 1)),
    "an answer taken out": (store.SAMPLES, lambda text: "\n".join(text.splitlines()[1:]) + "\n"),
    "no scores": (store.SCORES, lambda text: ""),
    "half a summary": (store.SUMMARY, lambda text: text[: len(text) // 2]),
    "a better number": (store.SUMMARY, lambda text: text.replace('"value": ', '"value": -', 1)),
    "items twice": (store.ITEMS, lambda text: text + text),
    "half a line": (store.BATCHES, lambda text: text[:-20]),
}


@pytest.mark.parametrize("name", ALTERED)
def test_a_file_altered_by_hand(cli: Cli, base: Path, tuned: Path, policy: Any, tmp_path: Path, name: str) -> None:
    file, change = ALTERED[name]
    run = spoilt(tuned, tmp_path / "run", file, change)
    for verb, words in every_verb(run, base, policy(CLOSE + FAILS), tmp_path).items():
        said = cli(*words)
        assert said.code == (EXIT_INCOMPLETE if verb.split()[0] in ("verify", "gate") else EXIT_USAGE), (verb, said)
        assert file in said.out + said.err
        assert "Traceback" not in said.err
        assert "Passed" not in said.out
    assert not list(tmp_path.glob("?.*")), "no page and no export of altered numbers"
    assert not list(tmp_path.glob("*attempts*")) or "incomplete" in (tmp_path / "gate.attempts.jsonl").read_text()


@pytest.mark.parametrize("status", ["running", "interrupted", "stopped"])
def test_a_run_half_finished(cli: Cli, base: Path, tuned: Path, policy: Any, tmp_path: Path, status: str) -> None:
    run = spoilt(tuned, tmp_path / "run", store.RUN, with_record(lambda record: record.update(status=status, files={})))
    (run / store.SUMMARY).unlink()
    for verb, words in every_verb(run, base, policy(CLOSE), tmp_path).items():
        said = cli(*words)
        assert said.code == (EXIT_INCOMPLETE if verb.split()[0] in ("verify", "gate") else EXIT_USAGE), (verb, said)
        assert f"is not finished: its status is {status}" in said.out or f"not finished ({status})" in said.complaint


UNREADABLE: dict[str, tuple[Callable[[str], str], str]] = {
    "a newer schema": (with_record(lambda record: record.update(schema_version=2)), "schema version 2"),
    "no schema": (with_record(lambda record: record.pop("schema_version")), "schema version None"),
    "cut off": (lambda text: text[:200], "not valid JSON"),
    "empty": (lambda text: "", "not valid JSON"),
    "a list": (lambda text: f"[{text}]", "schema version None"),
    "no plan": (with_record(lambda record: record.pop("plan")), "has no plan"),
    "no files": (with_record(lambda record: record.pop("files")), "has no files"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_record_that_cannot_be_read(
    cli: Cli, base: Path, tuned: Path, policy: Any, tmp_path: Path, name: str
) -> None:
    change, part = UNREADABLE[name]
    run = spoilt(tuned, tmp_path / "run", store.RUN, change)
    for verb, words in every_verb(run, base, policy(CLOSE), tmp_path).items():
        said = cli(*words)
        assert said.code == EXIT_USAGE, (verb, said)
        assert part in said.complaint
        assert said.out == ""


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["plan"].update(policy_sha256="0" * 64),
        lambda record: record["suites"][0].update(digest="0" * 64),
        lambda record: record["model"].update(fingerprint="0" * 64),
        lambda record: record.update(status="complete", started="2020-01-01T00:00:00+00:00"),
    ],
    ids=["a policy put in", "a suite's digest", "another model", "another time"],
)
def test_a_record_altered_by_hand(
    cli: Cli, base: Path, tuned: Path, policy: Any, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    run = spoilt(tuned, tmp_path / "run", store.RUN, with_record(change, seal=False))
    for verb, words in every_verb(run, base, policy(CLOSE), tmp_path).items():
        said = cli(*words)
        assert said.code in (EXIT_USAGE, EXIT_INCOMPLETE), (verb, said)
        assert "altered by hand" in said.out + said.err
        assert "Passed" not in said.out


WRONG_TYPES: dict[str, Callable[[dict[str, Any]], object]] = {
    "model": lambda record: record.update(model="smollm2"),
    "plan": lambda record: record.update(plan=[]),
    "seed": lambda record: record["plan"].update(seed="x"),
    "suites": lambda record: record.update(suites=[1]),
    "a suite without a digest": lambda record: record["suites"][0].pop("digest"),
    "a suite without metrics": lambda record: record["suites"][0].pop("metrics"),
    "scorers": lambda record: record.update(scorers=None),
    "a scorer without a name": lambda record: record["scorers"][0].pop("name"),
    "counts": lambda record: record.update(counts=[]),
    "files": lambda record: record.update(files=[1]),
    "notes": lambda record: record.update(notes=None),
    "no count of the missing": lambda record: record["counts"].pop("missing"),
    "half a model": lambda record: record["model"].pop("tokenizer_sha256"),
}


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["suites"][0].update(metrics=["toxicness"]),
        lambda record: record["suites"].pop(),
        lambda record: record["suites"][0].update(metrics=[]),
        lambda record: record.update(scorers=[]),
        lambda record: record.update(files={}),
        lambda record: record["counts"].update(missing=-3),
        lambda record: record["plan"].update(seed=9),
    ],
    ids=["an unknown metric", "a suite less", "no metric", "no scorer", "no hashes", "counts", "another seed"],
)
def test_a_record_that_says_something_else_and_is_sealed_anew(
    cli: Cli, base: Path, tuned: Path, policy: Any, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    run = spoilt(tuned, tmp_path / "run", store.RUN, with_record(change))
    for verb, words in every_verb(run, base, policy(CLOSE), tmp_path).items():
        said = cli(*words)
        if verb.split()[0] in ("verify", "gate"):
            assert said.code == EXIT_INCOMPLETE, (verb, said)
        assert "Traceback" not in said.err, (verb, said)
        assert "Passed" not in said.out, (verb, said)


@pytest.mark.parametrize("name", WRONG_TYPES)
def test_a_record_with_values_of_another_kind(
    cli: Cli, base: Path, tuned: Path, policy: Any, tmp_path: Path, name: str
) -> None:
    run = spoilt(tuned, tmp_path / "run", store.RUN, with_record(WRONG_TYPES[name]))
    for verb, words in every_verb(run, base, policy(CLOSE), tmp_path).items():
        said = cli(*words)
        assert said.code == EXIT_USAGE, (verb, said)
        assert "run.json" in said.complaint
        assert said.out == ""


# -- runs that are not of one kind --


def test_a_run_of_other_items(cli: Cli, base: Path, tiny: Path, model: Any, policy: Any, tmp_path: Path) -> None:
    rows = [
        {"id": f"s{at}", "text": "", "template": f"s{at}", "choices": [f"{at} {text}"]}
        for at, text in enumerate(SENTENCES)
    ]
    declared = write_suite(tmp_path, rows, toml("tiny-text", "tiny-text.jsonl", ("perplexity", "bits-per-byte")))
    run = audit.run(str(tiny), [str(declared)], tmp_path / "run", loaded=model).path
    said = cli("gate", run, "--baseline", base, "--policy", policy(CLOSE))
    assert said.code == EXIT_INCOMPLETE
    assert "tiny-text is not compared; it differs in the items" in said.out
    said = cli("gate", run, "--baseline", base, "--policy", policy(CLOSE + FAILS))
    assert said.code == EXIT_FAILED, "what failed on its own stays failed"
    for more in ([], ["--policy", policy(CLOSE)]):
        said = cli("compare", base, run, *more)
        assert said.code == EXIT_USAGE
        assert "cannot be compared" in said.complaint


def test_an_absolute_rule_is_judged_by_compare_also_where_the_suite_is_not_shared(
    cli: Cli, base: Path, tiny: Path, model: Any, suite: Path, policy: Any, tmp_path: Path
) -> None:
    """One code path: what `gate` says of a variant, `compare` says too."""
    rows = [{"id": "a", "text": "", "template": "a", "choices": [text]} for text in SENTENCES[:1]]
    rows += [{"id": f"b{at}", "text": "", "template": f"b{at}", "choices": [text]} for at, text in enumerate(SENTENCES)]
    declared = write_suite(tmp_path, rows, toml("tiny-text", "tiny-text.jsonl", ("bits-per-byte",)))
    run = audit.run(str(tiny), [str(suite), str(declared)], tmp_path / "run", loaded=model).path
    asked = policy(CLOSE + FAILS)
    said = cli("gate", run, "--baseline", base, "--policy", asked, "--json", tmp_path / "gate.json")
    assert said.code == EXIT_FAILED
    assert cli("compare", base, run, "--policy", asked, "--out", tmp_path / "c.json").code == 0
    gated = json.loads((tmp_path / "gate.json").read_text())
    (compared,) = json.loads((tmp_path / "c.json").read_text())["variants"]
    assert [one["result"] for one in gated["rules"]] == compared["gate"]["rules"]
    assert [rule["verdict"] for rule in compared["gate"]["rules"]] == ["incomplete", "fail"]
    assert (gated["verdict"], gated["sentence"]) == (compared["gate"]["verdict"], compared["gate"]["sentence"])


def test_the_built_in_rules_of_compare_take_an_absolute_rule_too(base: Path, tuned: Path) -> None:
    from audit.gate import Rule

    rule = Rule("tiny-text", "bits-per-byte", 0.1, "a bound", kind="absolute")
    (variant,) = audit.compare(base, [tuned], rules=[rule]).variants
    assert variant.gate is not None
    assert variant.gate.verdict == "fail"


# -- the page of a policy --


def test_the_page_of_a_gate_shows_policy_conditions_and_cautions(
    cli: Cli, base: Path, tuned: Path, policy: Any, tmp_path: Path
) -> None:
    path = policy('# A comment with <b>markup</b>\nsuites = ["tiny-talk"]\n' + CLOSE)
    page = tmp_path / "page.html"
    said = cli("gate", tuned, "--baseline", base, "--policy", path, "--report", page)
    assert (said.code, said.err) == (EXIT_PASS, "")
    html = page.read_text()
    assert "# A comment with &lt;b&gt;markup&lt;/b&gt;" in html
    assert "wide enough for noise" in html
    assert "This policy came after the run" in html
    assert "Every suite that the policy needs was run" in html
    compared = tmp_path / "compared.html"
    said = cli("compare", base, tuned, "--policy", path, "--out", compared)
    assert said.code == EXIT_PASS
    assert "This policy came after the run" in said.out
    assert "the first, by the ledger" in compared.read_text(), "looked at after the gate: no further attempt"


def test_a_first_release_has_a_page_without_a_base(cli: Cli, base: Path, policy: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    said = cli("gate", base, "--policy", policy(FAILS), "--report", page)
    assert said.code == EXIT_FAILED
    html = page.read_text()
    assert "no random model is so good" in html
    assert "Failed: 1 of 1 rules" in html
    assert "there is no verdict" not in html


def test_a_page_that_cannot_be_drawn_changes_no_verdict(
    cli: Cli, base: Path, tuned: Path, policy: Any, tmp_path: Path
) -> None:
    run = spoilt(tuned, tmp_path / "run", store.SCORES, lambda text: "")
    words = ["--baseline", base, "--policy", policy(CLOSE), "--report", tmp_path / "page.html"]
    said = cli("gate", run, *words)
    assert said.code == EXIT_INCOMPLETE
    assert "no page was written" in said.complaint
    (tmp_path / "file").write_text("")
    words[-1] = tmp_path / "file" / "page.html"
    said = cli("gate", tuned, *words)
    assert said.code == EXIT_PASS
    assert "no page was written" in said.complaint


def test_compare_by_a_policy_that_is_wrong(cli: Cli, base: Path, tuned: Path, policy: Any, tmp_path: Path) -> None:
    for text, parts in {
        CLOSE.replace("why", "wy"): ["gate.toml, line 6, field 'wy'", "did you mean 'why'?"],
        CLOSE.replace("9.0", "-1.0"): ["line 5, field 'margin'", "at least 0"],
        CLOSE + CLOSE: ["line 10, field 'margin'", "the rule at line 2"],
        WIDE + WIDE.replace("at_most = 900.0", "between = [901.0, 902.0]"): ["contradicts the rule at line 2"],
    }.items():
        said = cli("compare", base, tuned, "--policy", policy(text))
        assert said.code == EXIT_USAGE
        assert all(part in said.complaint for part in parts), said
    assert cli("compare", base, tuned, "--ledger", tmp_path / "l.jsonl").code == EXIT_USAGE
    assert cli("compare", base, tuned, "--policy", tmp_path / "none.toml").code == EXIT_USAGE
    assert not list(tmp_path.glob("*attempts*"))


# -- too little to judge --


class Constant:
    """A model that gives one text, or none, to every prompt."""

    def __init__(self, inner: Any, text: str | None) -> None:
        self._inner, self._text = inner, text

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def generate(self, *args: Any, **keys: Any) -> Any:
        for batch in self._inner.generate(*args, **keys):
            yield [dataclasses.replace(answer, text=self._text) for answer in batch]


@pytest.mark.parametrize(
    ("rows", "text", "gate", "report"),
    [
        (1, "A kind word.", EXIT_INCONCLUSIVE, EXIT_PASS),
        (2, "A kind word.", EXIT_INCONCLUSIVE, EXIT_PASS),
        (8, "A kind word.", EXIT_INCONCLUSIVE, EXIT_PASS),
        (8, "", EXIT_INCONCLUSIVE, EXIT_PASS),
        (8, None, EXIT_INCOMPLETE, EXIT_PASS),
    ],
    ids=["one item and one group", "one cluster", "all identical", "all empty", "all missing"],
)
def test_answers_that_say_nothing_go_through_every_verb_and_never_pass(
    cli: Cli, tiny: Path, model: Any, policy: Any, tmp_path: Path, rows: int, text: str | None, gate: int, report: int
) -> None:
    kept = ("id", "text", "template", "group")
    items = [{key: row[key] for key in kept} for row in prompts() if "choices" not in row][:rows]
    groups = f"groups = {json.dumps(sorted({row['group'] for row in items}))}\n"
    metrics, judges = ("toxic-fraction", "degeneration-rate"), ("embedded", "degeneration")
    declared = write_suite(tmp_path, items, toml("tiny-none", "tiny-none.jsonl", metrics, groups + DECODING, judges))
    loaded: Any = Constant(model, text)
    runs = [audit.run(str(tiny), [str(declared)], tmp_path / name, loaded=loaded).path for name in ("a", "b")]
    rule = '[[rules]]\nsuite = "tiny-none"\nmetric = "toxic-fraction"\nmargin = 0.1\nwhy = "w"\n'
    for group in ("", 'group = "*"\n'):
        path = policy(rule + group)
        said = cli("gate", runs[1], "--baseline", runs[0], "--policy", path, "--report", tmp_path / "g.html")
        assert said.code == gate, said
        assert "Passed" not in said.out
        assert (tmp_path / "g.html").is_file()
        said = cli("compare", *runs, "--policy", path, "--out", tmp_path / "c.html")
        assert said.code == EXIT_PASS, said
        assert "PASS" not in said.out
    assert cli("report", runs[0]).code == report
    assert cli("verify", runs[0]).code == EXIT_PASS
    said = cli("export", runs[0], "--to", "model-card")
    assert said.code == (EXIT_PASS if text is not None else EXIT_INCOMPLETE), said


# -- the exit codes --


@pytest.mark.parametrize(
    ("rules", "code"),
    [(CLOSE, EXIT_PASS), (CLOSE.replace("margin", "marginn"), EXIT_USAGE), (CLOSE, EXIT_INCOMPLETE),
     (OPEN, EXIT_INCONCLUSIVE), (FAILS, EXIT_FAILED)],
    ids=["0", "2", "3", "4", "5"],
)  # fmt: skip
def test_every_exit_code_in_a_process_of_its_own(
    base: Path, tuned: Path, policy: Any, tmp_path: Path, rules: str, code: int
) -> None:
    """1 is Python's own crash: tests/test_gate_command.py."""
    more = [] if code == EXIT_INCOMPLETE else ["--baseline", base]
    said = finished(start("gate", tuned, *more, "--policy", policy(rules)))
    assert said.code == code, said
    assert (said.err == "") == (code != EXIT_USAGE)
