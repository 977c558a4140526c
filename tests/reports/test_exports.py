"""Exports of a run: each read back by its ecosystem's own reader, none more certain than the run it came from."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results

import audit
from audit import provenance, store
from audit.errors import CorruptFolderError, UsageError
from audit.gate_ledger import ledger_of
from audit.gate_verdict import GateReport, judge
from audit.plan import digest, run_digest
from audit.policy import read_policy
from audit.provenance import sha256_files
from audit.results import Run
from audit.schema import SummaryRow
from reports import gate
from reports.exports import every_eval_ever, model_card, source, tables
from reports.exports.write import FORMATS, JUDGED, export
from tests.conftest import Called
from tests.reports import every_eval_ever as schema

HOSTILE = "| x |\n# <script>alert(1)</script> [a](http://b) `c` \x1b[31m \u202e---\n---\nmodel-index: []"


@pytest.fixture(scope="module")
def made(
    tiny: Path, model: Any, adapter: Path, suite: Path, text_suite: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run of an adapter: a suite that generates and compares, and one that only reads."""
    out = tmp_path_factory.mktemp("exports") / "tuned"
    return audit.run(str(tiny), [str(suite), str(text_suite)], out, adapter=str(adapter), device="cpu", seed=3).path


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Run:
    return Run(shutil.copytree(made, tmp_path / "run"))


@pytest.fixture(scope="module")
def broken(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run with three answers missing, put together again by ``rescore``."""
    folder = store.Folder(shutil.copytree(made, tmp_path_factory.mktemp("exports") / "broken"))
    rows = folder.read_lines(store.SAMPLES)
    folder.write_lines(store.SAMPLES, [{**row, "text": None if at < 3 else row["text"]} for at, row in enumerate(rows)])
    mend(folder)
    assert audit.rescore(folder.path).status == "incomplete"
    return folder.path


def mend(folder: store.Folder, change: Callable[[dict[str, Any]], Any] = lambda record: None) -> Run:
    """Change ``run.json`` and give it the files' present hashes."""
    record = folder.read_json(store.RUN)
    change(record)
    record["files"] = sha256_files(folder.path, record["files"])
    folder.write_run(record)
    return Run(folder.path)


def with_rows(run: Run, *rows: dict[str, Any]) -> Run:
    """The run with these rows for a summary: each the first row with some fields changed."""
    first = run.summary[0].model_dump()
    run.folder.write_json(store.SUMMARY, {"schema_version": 1, "rows": [{**first, **row} for row in rows]})
    return mend(run.folder)


def eee(run: Run, out: Path) -> dict[str, Any]:
    return schema.check(export(run.path, "every-eval-ever", out / "eee.json").read_text(encoding="ascii"))


def statement(run: Run, out: Path) -> dict[str, Any]:
    return dict(json.loads(export(run.path, "in-toto", out / "statement.json").read_text(encoding="ascii")))


# -- every format --


@pytest.mark.parametrize("to", FORMATS)
def test_no_answer_and_no_prompt_is_in_an_export(run: Run, tmp_path: Path, to: str) -> None:
    texts = ["The zebra hums quietly.", "A prompt nobody else has"]
    for name, text in zip((store.SAMPLES, store.ITEMS), texts, strict=True):
        rows = run.folder.read_lines(name)
        run.folder.write_lines(name, [{**row, "text": text} for row in rows])
    mend(run.folder)
    content = export(run.path, to, tmp_path / "out").read_bytes()
    assert len(content) > 1000
    assert not any(text.encode() in content for text in texts)


@pytest.mark.parametrize("to", FORMATS)
def test_an_export_tells_no_path_of_the_machine(run: Run, tmp_path: Path, to: str) -> None:
    content = export(run.path, to, tmp_path / "out").read_bytes()
    model = run.record["model"]
    for path in (model["name"], model["adapter"], sys.executable):
        assert str(Path(path).parent).encode() not in content


@pytest.mark.parametrize("to", FORMATS)
def test_the_command_writes_beside_the_run_or_where_it_is_told(
    run: Run, tmp_path: Path, cli: Callable[..., Called], to: str
) -> None:
    said = cli("export", run.path, "--to", to)
    assert (said.code, said.err) == (0, "")
    assert said.out == f"Written: {run.path / FORMATS[to][0]}\n"
    assert cli("export", run.path, "--to", to, "--out", tmp_path / "new" / "x").code == 0
    assert (tmp_path / "new" / "x").stat().st_size == (run.path / FORMATS[to][0]).stat().st_size
    assert audit.verify(run.path) == [], "what lies beside the run does not disturb it"


@pytest.mark.parametrize("to", FORMATS)
def test_an_incomplete_run_is_written_says_so_and_ends_with_code_3(
    broken: Path, tmp_path: Path, cli: Callable[..., Called], to: str
) -> None:
    said = cli("export", broken, "--to", to, "--out", tmp_path / "out")
    assert said.code == 3
    assert "is incomplete: 3 answers are missing" in said.complaint
    assert b"ncomplete" in (tmp_path / "out").read_bytes()


def test_what_is_refused_and_how(run: Run, tmp_path: Path, cli: Callable[..., Called]) -> None:
    def refused(*words: object) -> str:
        said = cli("export", *words)
        assert (said.code, said.out) == (2, "")
        return said.complaint

    assert "no format is called 'modelcard'; did you mean model-card?" in refused(run.path, "--to", "modelcard")
    assert "is this a run folder?" in refused(tmp_path, "--to", "csv")
    for own in (store.SUMMARY, store.RUN, store.SAMPLES):
        for way in (run.path, run.path / ".." / run.path.name):
            assert "a file of the run itself" in refused(run.path, "--to", "csv", "--out", way / own)
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refused(run.path, "--to", "csv", "--out", tmp_path / "file" / "x")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == [], "nothing half made is left"
    summary = run.path / store.SUMMARY
    kept = summary.read_text()
    summary.write_text(kept.replace('"clusters": 4', '"clusters": 40'))
    assert summary.read_text() != kept
    assert "summary.json was altered since the run; restore it first" in refused(run.path, "--to", "csv")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda record: record.update(status="interrupted"), "not finished (interrupted)"),
        (lambda record: record["files"].pop(store.SUMMARY), "no sha256 for summary.json"),
        (lambda record: record.update(schema_version=2), "has schema version 2, this slm-audit reads 1"),
        (lambda record: record["model"].pop("files"), "(model.files: field required); the file was altered"),
        (lambda record: record.update(ended="soon"), "Invalid isoformat string: 'soon'; run.json was altered"),
        (lambda record: record.update(suites=[]), "run.json was altered"),
    ],
)
def test_a_record_that_cannot_be_trusted(run: Run, change: Callable[[Any], Any], words: str) -> None:
    record = run.folder.read_json(store.RUN)
    change(record)
    run.folder.write_run(record)
    with pytest.raises((UsageError, CorruptFolderError)) as refused:
        export(run.path, "every-eval-ever")
    assert words in str(refused.value)


def test_nothing_here_loads_torch() -> None:
    code = "import sys, reports.exports.write; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_missing_answers_are_counted_suite_by_suite(broken: Path, run: Run) -> None:
    assert source.missing(Run(broken)) == {"tiny-talk": 3, "tiny-text": 0}
    assert source.missing(run) == {"tiny-talk": 0, "tiny-text": 0}
    rows = run.folder.read_lines(store.LIKELIHOODS)
    run.folder.write_lines(store.LIKELIHOODS, [row for row in rows if not row["item"].startswith("tiny-text/")])
    assert source.missing(mend(run.folder)) == {"tiny-talk": 0, "tiny-text": 5}


# -- tables --


def test_csv_and_parquet_hold_every_number_with_its_type(run: Run, tmp_path: Path) -> None:
    run = with_rows(run, {"value": 1 / 3, "low": None, "high": None}, {"value": None, "scorer": "", "group": "null"})
    parquet = pq.read_table(export(run.path, "parquet", tmp_path / "t.parquet"))
    assert parquet.schema.equals(tables.schema(), check_metadata=False)
    assert set(SummaryRow.model_fields) < set(parquet.schema.names)
    frame = pd.read_csv(export(run.path, "csv", tmp_path / "t.csv"), keep_default_na=False, na_values=[""])
    kinds = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert [kinds[name] for name in ("smoke", "n", "clusters", "missing", "value", "level")] == [
        "bool", "int64", "int64", "int64", "float64", "float64",
    ]  # fmt: skip
    for row, kept, flat in zip(run.summary, parquet.to_pylist(), frame.to_dict("records"), strict=True):
        for name, value in row.model_dump().items():
            assert kept[name] == value
            assert flat[name] == value or (pd.isna(flat[name]) and value in (None, ""))
        assert (kept["model"], kept["adapter"], kept["status"]) == ("tiny", "tuned", "complete")
        assert kept["suite_digest"] == run.suites["tiny-talk"]["digest"]
    assert frame["value"].tolist()[0] == 1 / 3, "to the last bit"
    assert pd.isna(frame["value"].tolist()[1]), "not estimated is empty, never 0"


def test_the_whole_summary_is_in_the_tables_in_order(made: Path, tmp_path: Path) -> None:
    with export(made, "csv", tmp_path / "t.csv").open(newline="", encoding="utf-8") as lines:
        read = list(csv.DictReader(lines))
    keys = ("suite", "metric", "variant", "scorer", "group")
    assert [tuple(row[key] for key in keys) for row in read] == [
        tuple(getattr(row, key) for key in keys) for row in Run(made).summary
    ]
    assert len(read) > 10


# -- model card --


def test_the_hub_reads_the_card_back(run: Run, tmp_path: Path) -> None:
    card = ModelCard.load(export(run.path, "model-card", tmp_path / "README.md"))
    name, results = model_index_to_eval_results(card.data.to_dict()["model-index"])
    assert name == "tiny+tuned"
    whole = [row for row in run.summary if row.group == "all" and row.value is not None]
    assert len(results) == len(whole) > 5
    for row, found in zip(whole, results, strict=True):
        assert (found.dataset_type, found.metric_type, found.metric_value) == (row.suite, row.metric, row.value)
        assert found.dataset_revision == run.suites[row.suite]["digest"]
        arguments = found.metric_args
        assert [arguments.get(key) for key in ("low", "high", "level")] == [row.low, row.high, row.level]
        assert [arguments[key] for key in ("n", "clusters", "missing", "empty", "unscored", "smoke")] == [
            row.n, row.clusters, row.missing, row.empty, row.unscored, row.smoke,
        ]  # fmt: skip
        assert ("[smoke-test scorer]" in found.metric_name) == row.smoke
    assert any(row.smoke for row in whole) and not all(row.smoke for row in whole)


def test_the_written_section_holds_every_row_with_interval_counts_and_limits(run: Run, tmp_path: Path) -> None:
    text = ModelCard.load(export(run.path, "model-card", tmp_path / "README.md")).text
    lines = [line for line in text.splitlines() if line.count(" | ") == 9 and "---" not in line]
    heads = [line for line in lines if line.startswith("| Metric")]
    assert len(lines) - len(heads) == len(run.summary)
    row = next(row for row in run.summary if row.metric == "degeneration-rate" and row.group == "all")
    assert row.low is not None and row.high is not None
    ends = f"{100 * row.low:.1f} to {100 * row.high:.1f} % (95 %)"
    counts = f"| lower is better | {row.n} | {row.clusters} | 0 | {row.empty} | 0 | degeneration |"
    assert any(ends in line.replace("\u00a0", " ") and counts in line for line in lines)
    assert "embedded is a smoke-test scorer" in text.split("## ")[0]
    for words in ("It is tiny: intervals are small-sample.", "no gate was applied", "Scorers err"):
        assert words in text.split("## Limits")[1]


def test_a_number_that_could_not_be_estimated_is_said_not_dropped(run: Run, tmp_path: Path) -> None:
    run = with_rows(run, {"value": None, "low": None, "high": None, "n": 0, "missing": 8})
    card = ModelCard.load(export(run.path, "model-card", tmp_path / "README.md"))
    assert "model-index" not in card.data.to_dict(), "the index has no place for it"
    assert "| not estimated | no interval |" in card.text


def test_an_incomplete_card_says_so_first_and_at_every_number(broken: Path, tmp_path: Path) -> None:
    card = ModelCard.load(export(broken, "model-card", tmp_path / "README.md"))
    assert "INCOMPLETE RUN: 3 answers are missing" in card.text.split("## ")[0]
    results = model_index_to_eval_results(card.data.to_dict()["model-index"])[1]
    assert all("[incomplete run]" in one.metric_name for one in results)
    assert {one.metric_args["run_status"] for one in results} == {"incomplete"}


def test_hostile_words_stay_words(run: Run, tmp_path: Path) -> None:
    def spoil(record: dict[str, Any]) -> None:
        record["notes"] = [HOSTILE, "lone \ud800"]
        for one in record["suites"]:
            one.update(title=HOSTILE, measures=HOSTILE, limits=HOSTILE)
        for one in record["scorers"]:
            one.update(card=HOSTILE)

    run = with_rows(mend(run.folder, spoil), {"label": HOSTILE, "method": HOSTILE}, {"group": HOSTILE})
    for to in FORMATS:
        export(run.path, to, tmp_path / to)
    text = (tmp_path / "model-card").read_text()
    card = ModelCard.load(tmp_path / "model-card")
    assert len(model_index_to_eval_results(card.data.to_dict()["model-index"])[1]) == 1
    assert "\x1b" not in card.text and "\u202e" not in card.text
    assert "<script" not in card.text and not re.search(r"(?<!\\)\[a(?<!\\)\]", card.text)
    assert [line for line in card.text.splitlines() if re.match("# |---|model-index", line)] == [
        "# tiny+tuned: audit for toxicity and social bias"
    ]
    tabled = [line for line in text.splitlines() if line.startswith("| ") and "sha256" not in line]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in tabled} == {3, 11}
    eee(run, tmp_path)
    assert pq.read_table(tmp_path / "parquet").num_rows == 2


# -- Every Eval Ever --


def test_every_eval_ever_accepts_the_record_and_finds_every_number(run: Run, tmp_path: Path) -> None:
    record = eee(run, tmp_path)
    results = {one["evaluation_result_id"]: one for one in record["evaluation_results"]}
    assert len(results) == len([row for row in run.summary if row.value is not None]) == len(run.summary)
    for row in run.summary:
        found = results["/".join((row.suite, row.metric, row.variant, row.scorer, row.group))]
        details, metric = found["score_details"]["details"], found["metric_config"]
        assert float(details["value"]) == row.value
        assert [int(details[key]) for key in ("n", "clusters", "missing", "empty", "unscored")] == [
            row.n, row.clusters, row.missing, row.empty, row.unscored,
        ]  # fmt: skip
        assert details["smoke_test_scorer"] == ("yes" if row.smoke else "no")
        interval = found["score_details"]["uncertainty"].get("confidence_interval")
        assert (interval is None) == (row.low is None)
        if row.direction != "target":
            assert found["score_details"]["score"] == row.value
            assert metric["lower_is_better"] == (row.direction == "lower")
            assert interval is None or (interval["lower"], interval["upper"]) == (row.low, row.high)
        assert ("generation_config" in found) == (row.suite == "tiny-talk")
    arguments = next(iter(results.values()))["generation_config"]["generation_args"]
    assert arguments == {"temperature": 1.0, "top_p": 0.95, "max_tokens": 6}


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [
        (0.7, 0.6, 0.8, (0.2, 0.1, 0.3)),
        (0.4, 0.2, 0.45, (0.1, 0.05, 0.3)),
        (0.55, 0.4, 0.7, (0.05, 0.0, 0.2)),
        (0.5, 0.5, 0.5, (0.0, 0.0, 0.0)),
        (0.1, None, None, (0.4, None, None)),
    ],
)
def test_a_metric_with_a_target_is_given_as_its_distance(
    run: Run, tmp_path: Path, value: float, low: float | None, high: float | None, expected: tuple[float | None, ...]
) -> None:
    target = {"direction": "target", "target": 0.5, "unit": "share", "label": "preference"}
    (found,) = eee(with_rows(run, {**target, "value": value, "low": low, "high": high}), tmp_path)["evaluation_results"]
    interval = found["score_details"]["uncertainty"].get("confidence_interval", {"lower": None, "upper": None})
    assert (found["score_details"]["score"], interval["lower"], interval["upper"]) == pytest.approx(expected)
    metric = found["metric_config"]
    assert (metric["lower_is_better"], metric["min_score"], metric["max_score"]) == (True, 0.0, 0.5)
    assert metric["metric_id"].endswith(".distance-from-target")
    assert metric["additional_details"]["direction"] == "target 0.5"
    assert float(found["score_details"]["details"]["value"]) == value, "its own value stands beside it"


@pytest.mark.parametrize(
    ("row", "bounds", "direction"),
    [
        ({"unit": "share", "direction": "lower"}, (0.0, 1.0), "lower"),
        ({"unit": "nats", "direction": "higher", "value": -3.2}, ("-Infinity", "Infinity"), "higher"),
        ({"unit": "perplexity", "direction": "lower", "value": 27.0}, (0.0, "Infinity"), "lower"),
        ({"unit": "share", "direction": "lower", "value": -0.5}, ("-Infinity", "Infinity"), "lower"),
        ({"unit": "nats", "direction": "target", "target": None}, ("-Infinity", "Infinity"), "neither"),
        ({"unit": "nats", "direction": "target", "target": 0.0, "label": "x (informational)", "value": -2.0},
         ("-Infinity", "Infinity"), "neither"),
    ],
)  # fmt: skip
def test_bounds_hold_the_score_and_the_direction_is_the_runs(
    run: Run, tmp_path: Path, row: dict[str, Any], bounds: tuple[Any, Any], direction: str
) -> None:
    (found,) = eee(with_rows(run, {"value": 0.25, "low": None, "high": None, **row}), tmp_path)["evaluation_results"]
    metric = found["metric_config"]
    assert (metric["min_score"], metric["max_score"]) == bounds
    assert found["score_details"]["score"] == row.get("value", 0.25)
    assert metric["additional_details"]["direction"].startswith(direction)
    assert metric["lower_is_better"] == (direction == "lower")


def test_what_the_schema_has_no_place_for_is_named(run: Run, broken: Path, tmp_path: Path) -> None:
    run = with_rows(run, {"value": None, "low": None, "high": None, "group": "tall people"}, {"value": 0.5})
    record = eee(run, tmp_path)
    (lost,) = json.loads(record["source_metadata"]["additional_details"]["not_estimated"])
    assert lost.endswith("/tall people") and len(record["evaluation_results"]) == 1
    told = eee(Run(broken), tmp_path)["source_metadata"]
    assert told["source_name"] == "slm-audit (incomplete run)"
    details = told["additional_details"]
    assert json.loads(details["missing_answers_by_suite"]) == {"tiny-talk": 3}
    assert details["run_status"] == "incomplete" and "INCOMPLETE RUN" in details["cautions"]


def test_an_evaluation_keeps_its_id_until_its_numbers_change(run: Run) -> None:
    first, second = (every_eval_ever.record(run, retrieved=f"2026-01-0{day}T00:00:00+00:00") for day in (1, 2))
    assert first["evaluation_id"] == second["evaluation_id"]
    assert [one["retrieved_timestamp"] for one in (first, second)] == ["1767225600.0", "1767312000.0"]
    changed = with_rows(run, {"value": 0.5})
    assert (
        every_eval_ever.record(changed, retrieved="2026-01-01T00:00:00+00:00")["evaluation_id"]
        != (first["evaluation_id"])
    )


@pytest.mark.parametrize(
    "spoil",
    [
        lambda record: record.update(extra=1),
        lambda record: record["model_info"]["additional_details"].pop("deployment_type"),
        lambda record: record["evaluation_results"][0]["score_details"]["details"].update(n=3),
        lambda record: record["evaluation_results"][0]["score_details"].update(score=1.5),
        lambda record: record["evaluation_results"][0]["score_details"].update(score=float("nan")),
        lambda record: record["evaluation_results"][0]["metric_config"].pop("max_score"),
        lambda record: record["evaluation_results"][0]["generation_config"]["generation_args"].update(seed=1),
    ],
)
def test_the_rebuilt_schema_refuses_what_the_real_one_does(
    run: Run, tmp_path: Path, spoil: Callable[[Any], Any]
) -> None:
    run = with_rows(run, {"value": 0.25, "unit": "share", "direction": "lower"})
    record = eee(run, tmp_path)
    spoil(record)
    with pytest.raises(ValueError):
        schema.check(json.dumps(record))


# -- in-toto --


def test_in_totos_own_reader_takes_the_statement(run: Run, tmp_path: Path) -> None:
    from google.protobuf import json_format
    from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    found = statement(run, tmp_path)
    # An unknown field is an error of the parser.
    read = json_format.ParseDict(found, statement_pb2.Statement())
    Statement.copy_from_pb(read).validate()
    result = json_format.ParseDict(found["predicate"], test_result_pb2.TestResult())
    assert (result.result, list(result.passed_tests), list(result.failed_tests)) == ("WARNED", [], [])
    assert list(result.warned_tests) == ["tiny-talk", "tiny-text"]
    assert all(one.digest["sha256"] for one in result.configuration)


def test_the_subjects_are_the_files_on_disk(run: Run, tiny: Path, adapter: Path, tmp_path: Path) -> None:
    found = statement(run, tmp_path)
    assert found["_type"] == "https://in-toto.io/Statement/v1"
    assert found["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    names = [one["name"] for one in found["subject"]]
    assert len(set(names)) == len(names)
    assert {"model.safetensors", "adapter/adapter_model.safetensors"} <= set(names)
    for one in found["subject"]:
        kind, _, name = one["name"].rpartition("/")
        path = (adapter if kind == "adapter" else tiny) / name
        assert one["digest"] == {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    configuration = {one["name"]: one for one in found["predicate"]["configuration"]}
    record = hashlib.sha256((run.path / store.RUN).read_bytes()).hexdigest()
    assert configuration["run.json"]["digest"] == {"sha256": record}
    assert configuration["suite/tiny-talk"]["digest"] == {"sha256": run.suites["tiny-talk"]["digest"]}
    assert configuration["run.json"]["annotations"]["smokeTestScorers"] == ["embedded"]
    assert configuration["run.json"]["annotations"]["gate"].startswith("none applied")


def test_an_incomplete_run_fails_where_answers_are_missing(broken: Path, tmp_path: Path) -> None:
    found = statement(Run(broken), tmp_path)["predicate"]
    assert (found["result"], found["failedTests"], found["warnedTests"]) == ("FAILED", ["tiny-talk"], ["tiny-text"])
    assert found["passedTests"] == []


def test_no_statement_without_files(run: Run) -> None:
    mend(run.folder, lambda record: record["model"].update(files={}, adapter_files={}))
    with pytest.raises(UsageError, match="names no file of the model"):
        export(run.path, "in-toto")


def test_a_hub_model_keeps_its_whole_name(run: Run) -> None:
    model = {"name": "microsoft/phi-2", "revision": "ef382358ec9e382308935a992d908de099b64c23"}
    hub = mend(run.folder, lambda record: record["model"].update(model))
    assert source.full_name(hub) == "microsoft/phi-2+tuned"
    assert model_card.card(hub).data.base_model == "microsoft/phi-2"
    assert every_eval_ever.record(hub, retrieved="2026-01-01T00:00:00+00:00")["evaluation_id"].count("/") == 2


# -- with the gate's verdict --


PASSES = '[[rules]]\nsuite = "tiny-text"\nmetric = "bits-per-byte"\nat_most = 900.0\nwhy = "a wide bound"\n'
FAILS = '[[rules]]\nsuite = "tiny-text"\nmetric = "perplexity"\nat_most = 1.1\nwhy = "a narrow bound"\n'
OPEN = '[[rules]]\nsuite = "tiny-talk"\nmetric = "preference-log-ratio"\nbetween = [-0.001, 0.001]\nwhy = "few items"\n'
LACKS = '[[rules]]\nsuite = "tiny-text"\nmetric = "bits-per-byte"\nmargin = 9.0\nwhy = "no base is given"\n'


@pytest.fixture
def gated(run: Run, tmp_path: Path, policy: Callable[[str], Path]) -> Callable[..., Path]:
    """Judges the run, and gives the file that ``gate --json`` writes; ``before``: the run recorded the policy."""

    def judged(rules: str, *, before: bool = True) -> Path:
        path = policy(rules)
        asked = read_policy(path)
        if before:

            def recorded(record: dict[str, Any]) -> None:
                record["plan"]["policy_sha256"] = asked.sha256
                record["plan_digest"] = digest(record["plan"])
                record["run_digest"] = run_digest(record)

            mend(run.folder, recorded)
        gate.write(judge(run.path, asked, ledger=ledger_of(path)), json=tmp_path / "gate.json")
        return tmp_path / "gate.json"

    return judged


def verdict(run: Run, file: Path, out: Path) -> dict[str, Any]:
    """The statement's predicate, as in-toto's own reader takes it."""
    from google.protobuf import json_format
    from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    found = json.loads(export(run.path, "in-toto", out / "statement.json", gate=file).read_text(encoding="ascii"))
    Statement.copy_from_pb(json_format.ParseDict(found, statement_pb2.Statement())).validate()
    json_format.ParseDict(found["predicate"], test_result_pb2.TestResult())
    return dict(found["predicate"])


@pytest.mark.parametrize(
    ("rules", "before", "result", "counts"),
    [
        (PASSES, True, "PASSED", (1, 0, 0)),
        (PASSES, False, "WARNED", (0, 1, 0)),
        (PASSES + FAILS, True, "FAILED", (1, 0, 1)),
        (PASSES + OPEN, True, "FAILED", (1, 0, 1)),
        (PASSES + LACKS, True, "FAILED", (1, 0, 1)),
        (FAILS, False, "FAILED", (0, 0, 1)),
    ],
    ids=["pass", "pass by a late policy", "fail", "inconclusive", "incomplete", "fail by a late policy"],
)
def test_the_statement_says_what_the_gate_said(
    run: Run, gated: Callable[..., Path], tmp_path: Path, rules: str, before: bool, result: str,
    counts: tuple[int, int, int],
) -> None:  # fmt: skip
    file = gated(rules, before=before)
    report = GateReport.model_validate_json(file.read_text())
    found = verdict(run, file, tmp_path)
    assert found["result"] == result
    labels = {one.result.label for one in report.rules}
    tests = [found[key] for key in ("passedTests", "warnedTests", "failedTests")]
    assert tuple(len(labels & set(names)) for names in tests) == counts
    conditions = {"the run is complete", *(one.name for one in report.conditions)}
    assert {name for names in tests for name in names} == labels | conditions, "each is named once"
    described = {one["name"]: one for one in found["configuration"]}
    told = described["policy/gate.toml"]
    assert told["digest"] == {"sha256": hashlib.sha256((tmp_path / "gate.toml").read_bytes()).hexdigest()}
    assert (told["annotations"]["verdict"], told["annotations"]["sentence"]) == (report.verdict, report.sentence)
    assert [one["verdict"] for one in told["annotations"]["rules"]] == [one.result.verdict for one in report.rules]
    assert described["run.json"]["annotations"]["gate"] == report.sentence


def test_the_card_tells_the_verdict_and_what_failed_or_stayed_open(
    run: Run, gated: Callable[..., Path], tmp_path: Path
) -> None:
    file = gated(PASSES + FAILS + OPEN)
    report = GateReport.model_validate_json(file.read_text())
    card = ModelCard.load(export(run.path, "model-card", tmp_path / "README.md", gate=file))
    part = card.text.split("## Gate")[1].split("\n## ")[0]
    assert model_card.escaped(report.sentence) in part
    assert report.policy_sha256 in part and "before anything was generated" in part
    unsettled, passed = part.split("What passed")
    for one in report.rules:
        label = model_card.escaped(one.result.label)
        assert (label in passed, label in unsettled) == (one.result.verdict == "pass", one.result.verdict != "pass")
    assert unsettled.index("| fail |") < unsettled.index("| inconclusive |")
    assert "no gate was applied" not in card.text
    plain = ModelCard.load(export(run.path, "model-card", tmp_path / "README.md")).text
    assert "## Gate" not in plain and "no gate was applied" in plain


@pytest.mark.parametrize("to", JUDGED)
def test_a_verdict_tells_no_path_of_the_machine(run: Run, gated: Callable[..., Path], tmp_path: Path, to: str) -> None:
    (tmp_path / "gate.attempts.jsonl").write_text("not a ledger\n")
    content = export(run.path, to, tmp_path / "out", gate=gated(PASSES + LACKS, before=False)).read_text()
    assert "were not counted" in content.replace("\\n", " ")
    assert str(tmp_path) not in content and "gate.attempts.jsonl, line 1" in content


def test_a_pass_of_an_incomplete_run_is_no_pass(
    broken: Path, tmp_path: Path, policy: Callable[[str], Path], cli: Callable[..., Called]
) -> None:
    broken = shutil.copytree(broken, tmp_path / "broken")
    mend(store.Folder(broken), lambda record: record["rescored"][-1].update(at="2026-01-01T00:00:00+00:00"))
    asked = policy("missing = 0.5\n" + PASSES)
    assert cli("gate", broken, "--policy", asked, "--json", tmp_path / "gate.json").code == 0
    said = cli("export", broken, "--to", "in-toto", "--gate", tmp_path / "gate.json", "--out", tmp_path / "out")
    assert said.code == 3
    found = json.loads((tmp_path / "out").read_text())["predicate"]
    assert (found["result"], found["failedTests"]) == ("FAILED", ["the run is complete"])


def test_a_verdict_that_is_not_on_this_run_is_refused(
    run: Run, gated: Callable[..., Path], base: Path, tmp_path: Path, cli: Callable[..., Called]
) -> None:
    def refused(file: Path, to: str = "in-toto", folder: Path = run.path) -> str:
        said = cli("export", folder, "--to", to, "--gate", file, "--out", tmp_path / "out")
        assert (said.code, said.out) == (2, "")
        assert not (tmp_path / "out").exists()
        return said.complaint

    file = gated(FAILS)
    assert "which is not" in refused(file, folder=base)
    assert "csv has no place for a verdict; model-card and in-toto have one" in refused(file, to="csv")
    assert "every-eval-ever has no place" in refused(file, to="every-eval-ever")
    assert "not there" in refused(tmp_path / "none.json")
    kept = json.loads(file.read_text())
    changed = tmp_path / "changed.json"
    for content, words in (
        ("[]", "not a verdict of this version"),
        ("{", "not JSON"),
        (json.dumps({**kept, "schema_version": 2}), "schema_version"),
        (json.dumps({key: value for key, value in kept.items() if key != "rules"}), "rules: Field required"),
        (json.dumps({**kept, "verdict": "pass"}), "does not fit its seal"),
        (json.dumps({**kept, "seal": ""}), "does not fit its seal"),
        (
            file.read_text().replace('"low"', '"low": NaN, "low"', 1).replace('"margin": 1.1', '"margin": NaN'),
            "altered",
        ),
    ):
        changed.write_text(content)
        assert words in refused(changed), words
    forged = {**kept, "verdict": "pass"}
    changed.write_text(json.dumps(forged | {"seal": provenance.seal(forged)}))
    assert "altered" in refused(changed), "the verdict does not follow from its rules"
    audit.rescore(run.path, ["degeneration"])
    assert "before it was scored again" in refused(file)
