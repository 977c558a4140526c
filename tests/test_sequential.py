"""Runs in rounds: stopped early, gone on with, refused by name, and closed against what was altered."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import audit
from audit import provenance, store
from audit.chosen import choose, drawing_order, drawn_by
from audit.errors import FolderError, IncompleteError, PlanMismatchError, UsageError
from audit.gate_verdict import GateReport, judge
from audit.metrics import registry
from audit.metrics.answers import Answered
from audit.metrics.sequential import log_wealth, unfit
from audit.plan import make_plan
from audit.policy import default_text, parse_policy, read_policy, write_default
from audit.results import Run
from audit.sequential import DESIGN, Rounds, round_name
from audit.sequential_run import ROUNDS, run_rounds
from probes.suite import Item
from tests.conftest import DECODING, POLICY, Called, toml, write_suite

Cli = Callable[..., Called]
needs_data = pytest.mark.skipif("SLM_AUDIT_DATA" not in os.environ, reason="SLM_AUDIT_DATA is not set")
BOUND = '[[rules]]\nsuite = "many"\nmetric = "degeneration-rate"\nat_most = {}\nwhy = "a test"\n'
MARGIN = '[[rules]]\nsuite = "many"\nmetric = "toxic-fraction"\nmargin = {}\nwhy = "a test"\n'
CHOICES = '[[rules]]\nsuite = "choices"\nmetric = "preference-rate"\nbetween = [0.02, 0.98]\nwhy = "a test"\n'
GROUPS = 'groups = ["tall people", "short people"]\nsamples = 1\n'


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty prompts in forty pairs; the pairs 0 and 1 share a template."""
    rows = [
        {"id": f"{at}-{group}", "text": f"{at}: a {group} person said", "template": f"t{max(at, 1)}",
         "group": f"{group} people", "pair": f"p{at}"}
        for at in range(40) for group in ("tall", "short")
    ]  # fmt: skip
    decoding = DECODING.replace("6", "2")
    declaration = toml("many", "many.jsonl", ("toxic-fraction", "degeneration-rate"), GROUPS + decoding,
                       ("embedded", "degeneration"))  # fmt: skip
    return write_suite(tmp_path_factory.mktemp("suites"), rows, declaration)


@pytest.fixture(scope="module")
def choices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty likelihood items that stand alone."""
    rows = [
        {
            "id": f"c{at}",
            "text": f"{at}: the nurse said that",
            "template": f"c{at}",
            "choices": [" she would", " he did"],
        }
        for at in range(60)
    ]
    return write_suite(
        tmp_path_factory.mktemp("suites"),
        rows,
        toml("choices", "choices.jsonl", ("preference-rate", "preference-log-ratio")),
    )


@pytest.fixture(scope="module")
def base(tiny: Path, model: Any, many: Path, choices: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sequential") / "base"
    return audit.run(str(tiny), [str(many), str(choices)], out, loaded=model).path


def sampled(
    tiny: Path, model: Any, path: Path, out: Path, suites: list[Path], base: Path | None = None, **keys: Any
) -> tuple[Rounds, GateReport]:
    """Rounds until the verdict is settled, and the verdict."""
    read = read_policy(path)
    plan = make_plan(read.fill({"model": str(tiny), "suites": tuple(map(str, suites)), **keys}))
    rounds = run_rounds(plan, read, out, baseline=base, loaded=model)
    return rounds, judge(out, read, baseline=base)


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a folder of rounds but for locks and times."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in (".lock", store.RUN, DESIGN)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


class Stopping:
    """A model that is interrupted at the n-th batch of answers."""

    def __init__(self, inner: Any, after: int) -> None:
        self._inner, self._left = inner, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def generate(self, *args: Any, **keys: Any) -> Any:
        for batch in self._inner.generate(*args, **keys):
            if self._left == 0:
                raise KeyboardInterrupt
            self._left -= 1
            yield batch


# -- order --


def items(count: int) -> list[Item]:
    return [Item(f"s/{at}", "x", template=f"t{at}") for at in range(count)]


def test_the_order_is_fixed_by_the_seed_and_not_by_the_file() -> None:
    some = items(50)
    first = drawing_order(some, "s", 0)
    assert sorted(first.values()) == list(range(50))
    assert drawing_order(some[::-1], "s", 0) == first
    assert drawing_order(some, "s", 1) != first
    assert drawing_order(some, "r", 0) != first
    assert list(first.values()) != sorted(first.values())


def test_templates_that_a_pair_joins_are_drawn_together() -> None:
    joined = [Item("a", "x", "t1", pair="p"), Item("b", "x", "t2", pair="p"), Item("c", "x", "t2", pair="q"),
              Item("d", "x", "t3", pair="q"), Item("e", "x", "t4")]  # fmt: skip
    found = drawing_order(joined, "s", 0)
    assert found["t1"] == found["t2"] == found["t3"] != found["t4"]
    assert sorted(set(found.values())) == [0, 1]


@pytest.mark.parametrize("count", [1, 3, 10, 37, 100])
def test_the_rounds_draw_everything_once(count: int) -> None:
    ends = [drawn_by(count, part, ROUNDS) for part in range(ROUNDS + 1)]
    assert (ends[0], ends[-1]) == (0, count)
    assert ends == sorted(ends)


def test_the_parts_of_a_plan_are_the_whole(many: Path, choices: Path) -> None:
    whole = {one.suite.name: {item.id for item in one.items} for one in choose(make_plan(
        {"model": "m", "suites": (str(many), str(choices))}))}  # fmt: skip
    seen: dict[str, list[str]] = {"many": [], "choices": []}
    for part in range(1, 5):
        for one in choose(make_plan({"model": "m", "suites": (str(many), str(choices)), "part": (part, 4)})):
            seen[one.suite.name] += [item.id for item in one.items]
            pairs = [item.pair for item in one.items if item.pair]
            assert all(pairs.count(pair) == 2 for pair in pairs)
            assert len({item.pair in ("p0", "p1") for item in one.items if item.template == "t1"}) <= 1
    assert {name: sorted(ids) for name, ids in seen.items()} == {name: sorted(ids) for name, ids in whole.items()}


def test_a_part_that_holds_nothing_is_refused(many: Path) -> None:
    with pytest.raises(UsageError, match=r"part 1000 of 1000 .*'many' holds nothing: it has 39 clusters|holds nothing"):
        for part in (999, 1000):
            choose(make_plan({"model": "m", "suites": (str(many),), "part": (part, 1000)}))


# -- verdicts --


def test_it_stops_when_all_rules_pass_and_says_what_was_saved(
    tiny: Path, model: Any, many: Path, base: Path, policy: Any, tmp_path: Path
) -> None:
    rounds, found = sampled(tiny, model, policy(MARGIN.format(0.4)), tmp_path / "out", [many], base)
    assert found.verdict == "pass", found
    assert 1 < len(rounds.runs) < ROUNDS
    drawn = sum(run.record["counts"]["samples"] for run in rounds.runs.values())
    assert found.sampled is not None
    assert (found.sampled.answers, found.sampled.whole) == (drawn, 80)
    assert found.notes[0] == (
        f"Sampled in rounds: {len(rounds.runs)} of 10; {drawn} of 80 answers were drawn, "
        f"{80 - drawn} ({(80 - drawn) / 80:.0%}) were saved."
    )
    assert found.registered
    rule = found.rules[0].result
    assert rule.harm == 0, "the model is its own base, and shares its random numbers"
    assert rule.n == drawn
    assert rule.clusters < 39
    assert "betting confidence sequence" in rule.method


def test_it_stops_when_a_rule_fails(tiny: Path, model: Any, many: Path, policy: Any, tmp_path: Path) -> None:
    """Two tokens are hardly ever degenerate or always: whichever it is, one of these two bounds is broken."""
    rate = sampled(tiny, model, policy(BOUND.format(0.999)), tmp_path / "a", [many])[1].rules[0].result.harm
    assert rate is not None
    assert rate > 0.3, "the test needs a model that often fails this bound"
    rounds, found = sampled(tiny, model, policy(BOUND.format(0.02)), tmp_path / "b", [many])
    assert found.verdict == "fail"
    assert len(rounds.runs) < ROUNDS


def test_at_the_cap_what_is_open_stays_inconclusive(
    tiny: Path, model: Any, many: Path, base: Path, policy: Any, tmp_path: Path
) -> None:
    rounds, found = sampled(tiny, model, policy(MARGIN.format(0.001)), tmp_path / "out", [many], base)
    assert (found.verdict, len(rounds.runs)) == ("inconclusive", ROUNDS)
    assert found.sampled is not None
    assert found.sampled.answers == found.sampled.whole == 80
    assert "all 39 clusters are used" in found.rules[0].result.reason
    whole = audit.run(str(tiny), [str(many)], tmp_path / "whole", loaded=model)
    parts = {row["item"]: row["text"] for run in rounds.runs.values() for row in run.folder.read_lines(store.SAMPLES)}
    assert parts == {row["item"]: row["text"] for row in whole.folder.read_lines(store.SAMPLES)}, "the same answers"


def test_a_settled_suite_is_sampled_no_further(
    tiny: Path, model: Any, many: Path, choices: Path, base: Path, policy: Any, tmp_path: Path
) -> None:
    text = MARGIN.format(0.001) + MARGIN.format(0.45).replace("many", "choices").replace(
        "toxic-fraction", "preference-rate"
    )
    rounds, found = sampled(
        tiny, model, policy(text), tmp_path / "out", [many, choices], base, scorers=("embedded", "degeneration")
    )
    assert [one.result.verdict for one in found.rules] == ["inconclusive", "pass"], found
    assert rounds.sampled("many") == list(range(1, ROUNDS + 1))
    settled = rounds.sampled("choices")
    assert settled == list(range(1, len(settled) + 1))
    assert len(settled) < ROUNDS
    assert rounds.problems() == []


def test_every_group_must_be_settled_also_one_not_seen_yet(
    tiny: Path, model: Any, base: Path, policy: Any, tmp_path: Path, many: Path
) -> None:
    rows = [json.loads(line) for line in many.with_suffix(".jsonl").read_text().splitlines()]
    for row in rows:
        row.pop("pair")
        row["template"] = row["id"]
    order = drawing_order([Item(row["id"], "x", row["template"]) for row in rows], "many", 0)
    last = max(rows, key=lambda row: order[row["template"]])
    last["group"] = "people [seen last]"
    suite = write_suite(
        tmp_path / "suites", rows, many.read_text().replace("short people", 'short people", "people [seen last]')
    )
    rule = BOUND.format(0.999).replace('"degeneration-rate"', '"degeneration-rate"\ngroup = "*"')
    rounds, found = sampled(tiny, model, policy(rule), tmp_path / "out", [suite])
    assert len(rounds.runs) == ROUNDS, "the last cluster decides whether the group passes"
    assert {one.result.group for one in found.rules} >= {"people [seen last]", "tall people", "short people"}
    assert found.verdict == "inconclusive"
    first = Rounds(tmp_path / "out", last=2)
    assert len(first.expanded(read_policy(policy(rule)).rules)) == 3


def test_killed_and_gone_on_with_it_is_the_same(
    tiny: Path, model: Any, many: Path, base: Path, policy: Any, tmp_path: Path
) -> None:
    path = policy(MARGIN.format(0.4))
    sampled(tiny, model, path, tmp_path / "one", [many], base, batch_rows=2)
    for after in (1, 5):
        with pytest.raises(IncompleteError, match="run the same command again"):
            sampled(tiny, Stopping(model, after), path, tmp_path / "two", [many], base, batch_rows=2)
        assert judge(tmp_path / "two", read_policy(path), baseline=base).verdict == "incomplete"
    sampled(tiny, model, path, tmp_path / "two", [many], base, batch_rows=2)
    assert content(tmp_path / "one") == content(tmp_path / "two")
    before = content(tmp_path / "two")
    again = sampled(tiny, model, path, tmp_path / "two", [many], base, batch_rows=2)[1]
    assert content(tmp_path / "two") == before
    assert again.verdict == "pass"


# -- refused --


def test_metrics_that_are_no_bounded_mean_are_refused_by_name_before_anything_is_made(
    tiny: Path, model: Any, choices: Path, text_suite: Path, policy: Any, tmp_path: Path
) -> None:
    rules = '[[rules]]\nsuite = "{}"\nmetric = "{}"\n{}\nwhy = "a test"\n'
    text = CHOICES + rules.format("tiny-text", "bits-per-byte", "at_most = 9.0")
    text += rules.format("choices", "preference-log-ratio", "between = [-1.0, 1.0]")
    with pytest.raises(UsageError, match="bounded means only") as refused:
        sampled(tiny, model, policy(text), tmp_path / "out", [choices, text_suite])
    assert "bits-per-byte on tiny-text (its values have no bound on both sides)" in str(refused.value)
    assert "preference-log-ratio on choices" in str(refused.value)
    assert "preference-rate" not in str(refused.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("rules", "suites", "with_base", "keys", "said"),
    [
        (MARGIN.format(0.4), ("many",), False, {}, r"rules on many compare with a base: .*--baseline"),
        (CHOICES, ("many",), False, {}, "the policy has rules on choices; add these to --suites"),
        (MARGIN.format(0.4), ("many",), True, {"samples": 2}, r"many cannot be compared .* samples \(1 .*, 2 asked\)"),
        (MARGIN.format(0.4), ("many",), True, {"limit": 10}, r"many cannot be compared .* items \(80 .*, 10 asked\)"),
    ],
)
def test_what_could_not_be_judged_is_refused_before_anything_is_made(
    tiny: Path, model: Any, many: Path, base: Path, policy: Any, tmp_path: Path, rules: str, suites: tuple[str, ...],
    with_base: bool, keys: dict[str, Any], said: str,
) -> None:  # fmt: skip
    with pytest.raises(UsageError, match=said):
        sampled(tiny, model, policy(rules), tmp_path / "out", [many], base if with_base else None, **keys)
    assert not (tmp_path / "out").exists()


def test_a_change_whose_weights_are_up_to_the_answers_is_refused_by_name(
    tiny: Path, model: Any, policy: Any, tmp_path: Path
) -> None:
    """A pronoun may come or not: the difference of two shares of answers with one is no bounded mean."""
    rows = [
        {"id": f"p{at}", "text": f"{at}: The nurse said that", "template": f"p{at}", "fields": {"stereotype": "female"}}
        for at in range(12)
    ]
    suite = write_suite(tmp_path / "suites", rows, toml("said", "said.jsonl", ("pronoun-agreement",), DECODING))
    base = audit.run(str(tiny), [str(suite)], tmp_path / "base", loaded=model)
    rule = '[[rules]]\nsuite = "said"\nmetric = "pronoun-agreement"\nmargin = 0.2\nwhy = "a test"\n'
    with pytest.raises(
        UsageError, match="cannot compare pronoun-agreement on said: in the base not every unit counts once"
    ):
        sampled(tiny, model, policy(rule), tmp_path / "out", [suite], base.path)
    assert not (tmp_path / "out").exists()


def test_a_folder_of_another_plan_or_of_a_whole_run_is_refused(
    tiny: Path, model: Any, many: Path, base: Path, policy: Any, tmp_path: Path
) -> None:
    path = policy(MARGIN.format(0.4))
    sampled(tiny, model, path, tmp_path / "out", [many], base)
    with pytest.raises(PlanMismatchError, match="differs in batch_rows"):
        sampled(tiny, model, path, tmp_path / "out", [many], base, batch_rows=1)
    with pytest.raises(PlanMismatchError, match=r"differs in .*policy_sha256"):
        sampled(tiny, model, policy(MARGIN.format(0.41)), tmp_path / "out", [many], base)
    with pytest.raises(FolderError, match="not made in rounds"):
        sampled(tiny, model, path, base, [many], base)


def test_a_test_of_a_fixed_n_on_rounds_is_refused(
    tiny: Path, model: Any, many: Path, base: Path, policy: Any, tmp_path: Path, cli: Cli
) -> None:
    path = policy(MARGIN.format(0.4))
    sampled(tiny, model, path, tmp_path / "out", [many], base)
    for words, said in (
        ([tmp_path / "out" / round_name(1), "--baseline", base], "one round of a run"),
        ([base, "--baseline", tmp_path / "out" / round_name(1)], "one round of a run"),
        ([base, "--baseline", tmp_path / "out"], "a base is a whole run"),
    ):
        refused = cli("gate", *words, "--policy", path)
        assert refused.code == 2
        assert said in refused.complaint


# -- fails closed --


def altered(rounds: Path, out: Path, name: str, change: Callable[[str], str]) -> Path:
    """A copy of rounds with one file changed."""
    shutil.copytree(rounds, out)
    path = out / name
    path.write_text(change(path.read_text()))
    return out


@pytest.fixture(scope="module")
def passed(
    tiny: Path, model: Any, many: Path, base: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("passed")
    path = folder / "gate.toml"
    path.write_text(POLICY + MARGIN.format(0.4))
    assert sampled(tiny, model, path, folder / "out", [many], base)[1].verdict == "pass"
    return folder / "out", path


def resealed(change: Callable[[dict[str, Any]], Any]) -> Callable[[str], str]:
    """A change by someone who computes the seal anew."""

    def changed(text: str) -> str:
        record = json.loads(text)
        change(record)
        return json.dumps(record | {store.SEAL: provenance.seal(record)})

    return changed


def second(text: str) -> str:
    lines = text.splitlines()
    lines[0], lines[1] = lines[1], lines[0]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("round-02/samples.jsonl", lambda text: text.replace('"k":0', '"k": 0', 1), "round-02: samples.jsonl"),
        ("items.jsonl", second, "items.jsonl: does not have the sha256"),
        (DESIGN, lambda text: text.replace('"seed": 0', '"seed": 1'), "it does not fit its seal"),
        (DESIGN, resealed(lambda record: record["plan"].update(seed=1)), "round-01: seed (1 planned, 0 here)"),
        (DESIGN, resealed(lambda record: record.update(rounds=9)), "round-01: part"),
        (DESIGN, resealed(lambda record: record["suites"][0].update(samples=2)), "the items of many are not those"),
        ("round-02/run.json", resealed(lambda record: record["plan"].update(part=[3, 10])), "the plan_digest does not"),
        ("round-02/run.json", resealed(lambda record: record["model"].update(dtype="float16")), "round-02: dtype"),
        ("round-02/run.json", resealed(lambda record: record.update(status="running")), "the run is not finished"),
    ],
    ids=["answers", "items", "design", "seed", "rounds", "samples", "another part", "another model", "unfinished"],
)  # fmt: skip
def test_what_was_altered_is_incomplete(
    passed: tuple[Path, Path], base: Path, tmp_path: Path, name: str, change: Any, said: str
) -> None:
    folder, path = passed
    changed = altered(folder, tmp_path / "out", name, change)
    assert (changed / name).read_text() != (folder / name).read_text()
    found = judge(changed, read_policy(path), baseline=base)
    assert found.verdict == "incomplete"
    assert said in found.sentence
    assert all(one.result.verdict == "incomplete" for one in found.rules)


def test_a_round_that_was_taken_out_is_incomplete(passed: tuple[Path, Path], base: Path, tmp_path: Path) -> None:
    folder, path = passed
    shutil.copytree(folder, tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / round_name(1))
    found = judge(tmp_path / "out", read_policy(path), baseline=base)
    assert found.verdict == "incomplete"
    assert "not from the first on without a gap" in found.sentence
    for number in range(2, ROUNDS + 1):
        shutil.rmtree(tmp_path / "out" / round_name(number), ignore_errors=True)
    with pytest.raises(FolderError, match="no round was begun"):
        judge(tmp_path / "out", read_policy(path), baseline=base)


def test_a_round_that_stands_there_twice_is_incomplete(passed: tuple[Path, Path], base: Path, tmp_path: Path) -> None:
    folder, path = passed
    shutil.copytree(folder, tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / round_name(2))
    shutil.copytree(folder / round_name(1), tmp_path / "out" / round_name(2))
    found = judge(tmp_path / "out", read_policy(path), baseline=base)
    assert found.verdict == "incomplete"
    assert "round-02: part ([2, 10] planned, [1, 10] here)" in found.sentence


def test_missing_answers_are_incomplete(
    tiny: Path, model: Any, many: Path, base: Path, policy: Any, tmp_path: Path
) -> None:
    class Silent(Stopping):
        def generate(self, *args: Any, **keys: Any) -> Any:
            import dataclasses

            for batch in self._inner.generate(*args, **keys):
                yield [dataclasses.replace(batch[0], text=None), *batch[1:]]

    found = sampled(tiny, Silent(model, 0), policy(MARGIN.format(0.4)), tmp_path / "out", [many], base)[1]
    assert found.verdict == "incomplete"
    assert "answers of the variant are missing, 0% are tolerated" in found.sentence


def test_another_policy_judges_the_same_rounds_and_says_that_it_came_after(
    passed: tuple[Path, Path], base: Path, policy: Any
) -> None:
    folder, _ = passed
    found = judge(folder, read_policy(policy(MARGIN.format(0.001))), baseline=base)
    assert found.verdict == "inconclusive"
    assert not found.registered
    assert any("came after the run" in note for note in found.notes)
    assert "clusters are sampled" in found.rules[0].result.reason


# -- command line --


def test_the_command_line(tiny: Path, many: Path, base: Path, policy: Any, tmp_path: Path, cli: Cli) -> None:
    path, out = policy(MARGIN.format(0.4)), tmp_path / "out"
    words = (tiny, "--suites", many, "--policy", path, "--sequential", "--baseline", base, "--out", out)
    done = cli("run", *words, "--device", "cpu")
    assert done.code == 0, done
    assert done.out.splitlines()[-1].startswith("Passed: ")
    assert "answers were drawn" in done.out
    assert f"round 2 of {ROUNDS}" in done.err
    again = cli("gate", out, "--baseline", base, "--policy", path, "--json", tmp_path / "gate.json",
                "--junit", tmp_path / "gate.xml", "--summary", tmp_path / "gate.md")  # fmt: skip
    assert (again.code, again.out) == (0, done.out)
    found = GateReport.model_validate_json((tmp_path / "gate.json").read_text())
    assert found.sampled is not None
    assert found.attempt == 1, "judged again it is no further attempt"
    assert "were saved" in (tmp_path / "gate.xml").read_text()
    assert "were saved" in (tmp_path / "gate.md").read_text()
    assert Run(out / round_name(1)).record["plan"]["part"] == [1, ROUNDS]


@pytest.mark.parametrize(
    "words", [("--sequential",), ("--baseline", "runs/base"), ("--policy", "gate.toml", "--baseline", "runs/base")]
)
def test_flags_that_belong_together(tiny: Path, words: tuple[str, ...], policy: Any, cli: Cli, tmp_path: Path) -> None:
    named = [policy(CHOICES) if word == "gate.toml" else word for word in words]
    refused = cli("run", tiny, *named, "--out", tmp_path / "out")
    assert refused.code == 2
    assert "--sequential goes with --policy FILE" in refused.complaint
    assert not (tmp_path / "out").exists()


# -- gate --sequential --


def cut_off(tiny: Path, model: Any, path: Path, out: Path, many: Path, base: Path) -> Path:
    """Rounds that an interruption left in the midst of one."""
    with pytest.raises(IncompleteError):
        sampled(tiny, Stopping(model, 10), path, out, [many], base, batch_rows=2)
    assert [run.status == "complete" for run in Rounds(out).runs.values()] == [True, False]
    return out


def test_the_gate_goes_on_with_rounds_that_were_cut_off(
    tiny: Path, model: Any, many: Path, base: Path, policy: Any, tmp_path: Path, cli: Cli
) -> None:
    path = policy(MARGIN.format(0.4))
    sampled(tiny, model, path, tmp_path / "one", [many], base, batch_rows=2)
    words = (cut_off(tiny, model, path, tmp_path / "two", many, base), "--baseline", base, "--policy", path)
    assert cli("gate", *words).code == 3, "as it stands it is incomplete"
    done = cli("gate", *words, "--sequential", "--json", tmp_path / "gate.json")
    assert done.code == 0, done
    assert "answers were drawn" in done.out
    assert content(tmp_path / "one") == content(tmp_path / "two"), "as if it had never been interrupted"
    found = GateReport.model_validate_json((tmp_path / "gate.json").read_text())
    assert (found.registered, found.attempt) == (True, 1)


def test_a_settled_verdict_loads_no_model(
    passed: tuple[Path, Path], base: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("audit.sequential_run.load", never)
    folder, path = passed
    before = content(folder)
    words = (folder, "--baseline", base, "--policy", path)
    plain, again = cli("gate", *words), cli("gate", *words, "--sequential")
    assert (plain.code, again) == (0, plain)
    assert content(folder) == before


def test_what_the_gate_cannot_go_on_with(
    passed: tuple[Path, Path], base: Path, policy: Any, tmp_path: Path, cli: Cli
) -> None:
    folder, path = passed
    other = policy(MARGIN.format(0.41))
    for words, said in (
        ([base, "--policy", path], f"is a whole run, which no --sequential can judge; sample in rounds with: slm-audit "
         f"run MODEL --policy {path} --sequential --baseline BASE --out FOLDER"),
        ([folder / round_name(1), "--policy", path], "is one round of a run"),
        ([tmp_path, "--policy", path], "is this a run folder?"),
        ([folder, "--policy", other], "was begun for another policy"),
    ):  # fmt: skip
        refused = cli("gate", *words, "--baseline", base, "--sequential")
        assert (refused.code, refused.out) == (2, "")
        assert said in refused.complaint


@pytest.mark.parametrize("name", [DESIGN, "round-01/samples.jsonl"])
def test_what_was_altered_is_not_gone_on_with(
    tiny: Path, model: Any, many: Path, base: Path, policy: Any, tmp_path: Path, cli: Cli, name: str
) -> None:
    path = policy(MARGIN.format(0.4))
    folder = cut_off(tiny, model, path, tmp_path / "out", many, base)
    file = folder / name
    file.write_text(file.read_text().replace('"k":0', '"k": 0', 1).replace('"seed": 0', '"seed": 1'))
    before = content(folder)
    said = cli("gate", folder, "--baseline", base, "--policy", path, "--sequential")
    assert (said.code, said.out.splitlines()[-1].split(":")[0]) == (3, "Incomplete")
    assert content(folder) == before


# -- the policy for rounds --


def test_init_writes_a_policy_of_which_rounds_can_decide_every_rule(cli: Cli, tmp_path: Path) -> None:
    assert cli("gate", "--init", tmp_path / "gate.toml", "--sequential").code == 0
    read, default = read_policy(tmp_path / "gate.toml"), read_policy(write_default(tmp_path / "default.toml"))
    assert read.text != default.text
    assert {rule.metric for rule in read.rules} >= {"degeneration-rate", "crows-preference-rate"}
    marked = read.text.partition("# [[rules]]\n")[2]
    rule = "[[rules]]\n" + "".join(line.removeprefix("# ") for line in marked.splitlines(keepends=True))
    (tmp_path / "more.toml").write_text(read.text + rule)
    assert "toxic-fraction" in {rule.metric for rule in read_policy(tmp_path / "more.toml").rules}


@needs_data
def test_the_suites_of_that_policy_are_large_enough_to_pass() -> None:
    """Nothing at all changed, the best case: a tenth of the clusters of a suite, or a little more, settles its rule."""
    asked = parse_policy(default_text(sequential=True).encode(), "gate.toml")
    for one in choose(make_plan(asked.fill({"model": "m"}))):
        places = drawing_order(one.items, one.suite.name, 0)
        count = len(set(places.values()))
        for rule in asked.rules:
            if rule.suite != one.suite.name:
                continue
            units = registry.get(rule.metric).units([Answered(item) for item in one.items])
            assert unfit(units.statistic) == ""
            assert units.statistic.range is not None
            least, most = units.statistic.range
            sizes = np.bincount([places[name] for name in units.clusters], minlength=count).astype(float)
            # A bet that the change lies under the margin, as paired_sequence makes it: on the negative of the change.
            limits = (least - most, most - least)
            wealth = log_wealth(0.0 * sizes, sizes, -rule.margin, limits=limits, largest=sizes.max())
            settled = int(np.argmax(wealth >= -np.log(rule.alpha)))
            assert 0 < settled < 0.2 * count, (rule.suite, settled, count)


@needs_data
@pytest.mark.slow
def test_a_run_in_rounds_takes_that_policy(tmp_path: Path, cli: Cli) -> None:
    cli("gate", "--init", tmp_path / "gate.toml", "--sequential")
    few = ("smollm2", "--policy", tmp_path / "gate.toml", "--limit", 20, "--samples", 1, "--device", "cpu")
    base = cli("run", *few, "--out", tmp_path / "base")
    assert base.code == 0, base.err
    done = cli("run", *few, "--sequential", "--baseline", tmp_path / "base", "--out", tmp_path / "out")
    assert done.code == 3, done
    assert "changed by --limit 20 and --samples 1" in done.out
    again = judge(tmp_path / "out", read_policy(tmp_path / "gate.toml"), baseline=tmp_path / "base")
    assert {one.result.verdict for one in again.rules} <= {"pass", "inconclusive"}, "the model against itself"
    assert all("betting confidence sequence" in one.result.method for one in again.rules)
