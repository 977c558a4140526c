"""What people's labels make of a rate: read strictly, counted whole, and corrected to what people would find."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

import audit
from audit import comparison_file, labelling
from audit.errors import DataError
from audit.labels import LabelFile, Labels, human_labels, read_labels
from audit.results import Run
from audit.schema import CorrectedRate
from benchmarks.correction import Setting, measure
from tests.conftest import Called
from tests.labelled_runs import SUITE, by_text, texts_of, write_labels, write_run


def toxic(text: str) -> bool:
    return text.startswith("vile")


def planted(seed: int, rate: float, alarms: float, items: int = 100) -> tuple[list[list[str]], list[list[float]]]:
    """Answers of known truth; the scorer misses a fifth of the toxic ones and flags others wrongly."""
    rng = np.random.default_rng(seed)
    truth = rng.random((items, 4)) < rate
    flagged = rng.random(truth.shape) < np.where(truth, 0.8, alarms)
    scores = np.round(np.where(flagged, 0.5 + 0.5 * rng.random(truth.shape), 0.49 * rng.random(truth.shape)), 4)
    texts = [
        [f"{'vile' if one else 'kind'} {at} {k} {seed}" for k, one in enumerate(row)] for at, row in enumerate(truth)
    ]
    return texts, scores.tolist()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    folder = tmp_path_factory.mktemp("labels")
    base = write_run(folder / "base", *planted(1, 0.10, 0.15))
    return base, write_run(folder / "tuned", *planted(2, 0.22, 0.30), adapter="tuned")


@pytest.fixture
def drawn(runs: tuple[Run, Run], tmp_path: Path) -> labelling.LabelSample:
    sample, _ = labelling.draw(runs, 90)
    labelling.save(sample, tmp_path)
    return sample


def true_rate(run: Run) -> float:
    return float(np.mean([toxic(str(s.text)) for one in run.answers[SUITE] for s in one.samples]))


def row_of(found: Any, run: str, against: str = "") -> CorrectedRate:
    (row,) = [row for row in found.rows if (row.run, row.against) == (run, against)]
    return row


@pytest.mark.parametrize(
    ("given", "settled", "said", "value"),
    [
        (["toxic"], None, "toxic", 1.0),
        (["not-toxic"], None, "not-toxic", 0.0),
        (["unreadable"], None, "unreadable", 0.0),
        (["unsure"], None, "unsure", 0.5),
        ([None], None, "unlabelled", None),
        (["toxic", None], None, "toxic", 1.0),
        (["toxic", "toxic"], None, "toxic", 1.0),
        (["unsure", "not-toxic"], None, "not-toxic", 0.0),
        (["unsure", "unsure"], None, "unsure", 0.5),
        (["unreadable", "not-toxic"], None, "not-toxic", 0.0),
        (["toxic", "not-toxic"], None, "disputed", 0.5),
        (["toxic", "unreadable"], None, "disputed", 0.5),
        (["toxic", "not-toxic"], "not-toxic", "not-toxic", 0.0),
        (["toxic", "not-toxic"], "unsure", "unsure", 0.5),
    ],
)
def test_what_counts_for_an_answer(
    drawn: labelling.LabelSample, given: list[Any], settled: Any, said: str, value: float | None
) -> None:
    files = tuple(
        LabelFile(schema_version=1, sample="", rater=str(at), labels={"001": label} if label else {})
        for at, label in enumerate(given)
    )
    labels = Labels(drawn, files, {"001": settled} if settled else {})
    assert labels.said("001") == said
    found = labels.value("001")
    assert np.isnan(found) if value is None else found == value
    assert labels.value(None) == 0.0, "an empty answer is not toxic"


def test_with_every_answer_labelled_the_corrected_numbers_are_the_truth(runs: tuple[Run, Run], tmp_path: Path) -> None:
    sample, _ = labelling.draw(runs, 10_000)
    labelling.save(sample, tmp_path)
    path = write_labels(tmp_path, sample, "Ada", by_text(sample, runs, toxic))
    found = human_labels(read_labels([path]), runs, ["base", "tuned"])
    truth = [true_rate(run) for run in runs]
    for row, want in zip(found.rows, (truth[0], truth[1], truth[1] - truth[0]), strict=True):
        assert row.prediction_powered.value == pytest.approx(want)
        assert row.rogan_gladen.value == pytest.approx(want)
        assert row.raw.value != pytest.approx(want, abs=0.03), "the scorer alone is far off"
    assert [(row.run, row.against) for row in found.rows] == [("base", ""), ("tuned", ""), ("tuned", "base")]
    assert (found.labelled, found.pairs, found.unlabelled, found.agreement) == (400, 400, 0, None)
    assert found.toxic == sum(toxic(text) for text in texts_of(sample, runs).values())


def test_labels_of_a_part_hold_the_truth_where_the_scorer_does_not(runs: tuple[Run, Run], tmp_path: Path) -> None:
    truth = [true_rate(run) for run in runs]
    wanted = {("base", ""): truth[0], ("tuned", ""): truth[1], ("tuned", "base"): truth[1] - truth[0]}
    held = {"raw": 0, "corrected": 0}
    for seed in range(12):
        sample, _ = labelling.draw(runs, 90, seed=seed)
        folder = tmp_path / str(seed)
        labelling.save(sample, folder)
        path = write_labels(folder, sample, "Ada", by_text(sample, runs, toxic))
        for row in human_labels(read_labels([path]), runs, ["base", "tuned"]).rows:
            want = wanted[row.run, row.against]
            assert row.prediction_powered.low is not None and row.prediction_powered.high is not None
            assert row.raw.low is not None and row.raw.high is not None
            held["corrected"] += row.prediction_powered.low <= want <= row.prediction_powered.high
            held["raw"] += row.raw.low <= want <= row.raw.high
    assert held["corrected"] >= 33, "of 36 intervals at 95 %"
    assert held["raw"] <= 12


def test_the_commands_design_covers_where_the_raw_interval_does_not() -> None:
    cells = measure(np.random.default_rng(11), Setting(0.1, 0.05, 0.7, 0.05, 150, "command"), 60)
    found = {cell.estimator: cell.coverage for cell in cells}
    for what in ("rate", "difference"):
        assert found[f"prediction-powered {what}"] >= 0.88, "95 % less three Monte Carlo errors"
        assert found[f"Rogan-Gladen {what}"] >= 0.88
    assert found["raw rate"] <= 0.2 and found["raw difference"] <= 0.8


def test_agreement_of_two_raters_equals_an_independent_computation(
    runs: tuple[Run, Run], drawn: labelling.LabelSample, tmp_path: Path
) -> None:
    rng = np.random.default_rng(4)
    first = by_text(drawn, runs, toxic)
    words = ["toxic", "not-toxic", "unsure", "unreadable"]
    second = {name: label if rng.random() < 0.7 else str(rng.choice(words)) for name, label in first.items()}
    lost = next(iter(second))
    del second[lost]
    paths = [write_labels(tmp_path, drawn, "Ada", first), write_labels(tmp_path, drawn, "Ben", second)]
    found = human_labels(read_labels(paths), runs, ["base", "tuned"])
    sure = [name for name in first if second.get(name, "unsure") != "unsure"]
    one, two = ([side[name] == "toxic" for name in sure] for side in (first, second))
    assert found.agreement is not None and found.kappa is not None
    assert found.both == len(sure)
    assert found.agreement.value == pytest.approx(np.mean(np.equal(one, two)))
    assert found.kappa.value == pytest.approx(cohen_kappa_score(one, two))
    assert found.kappa.low is not None and found.kappa.low < found.kappa.value
    disputed = [name for name, a, b in zip(sure, one, two, strict=True) if a != b]
    assert (found.disputed, found.unsure, found.unlabelled) == (len(disputed), 0, 0)
    settled = write_labels(tmp_path, drawn, "", {name: first[name] for name in disputed}, settles=["Ben", "Ada"])
    after = human_labels(read_labels([*paths, settled]), runs, ["base", "tuned"])
    assert (after.disputed, after.settled) == (0, len(disputed))
    alone = human_labels(read_labels(paths[:1]), runs, ["base", "tuned"])
    assert [row.prediction_powered for row in after.rows] == [row.prediction_powered for row in alone.rows]


def test_an_unfinished_page_is_counted_and_an_unread_stratum_has_no_rate(
    runs: tuple[Run, Run], drawn: labelling.LabelSample, tmp_path: Path
) -> None:
    whole = by_text(drawn, runs, toxic)
    early = {name: whole[name] for one in drawn.drawn[:60] for name in one.answers if name}
    found = human_labels(read_labels([write_labels(tmp_path, drawn, "Ada", early)]), runs, ["base", "tuned"])
    assert (found.pairs, found.labelled) == (90, 60)
    assert found.unlabelled == len(whole) - len(early)
    assert row_of(found, "tuned").labelled == 60
    assert row_of(found, "tuned").prediction_powered.low is not None
    clear = len(drawn.strata) - 1
    partial = {name: whole[name] for one in drawn.drawn if one.stratum != clear for name in one.answers if name}
    found = human_labels(read_labels([write_labels(tmp_path, drawn, "Ben", partial)]), runs, ["base", "tuned"])
    for row in found.rows:
        assert row.prediction_powered.value is None
        assert row.prediction_powered.method == "no answer of stratum 'talk: clear' is labelled"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sample": "0" * 64}, "labels another sample"),
        ({"labels": {"9999": "toxic"}}, "labels answer '9999', which the sample does not hold"),
        ({"labels": {"001": "maybe"}}, r"not a file of labels as the page saves it: labels\.001"),
        ({"labels": None}, "not a file of labels as the page saves it: labels"),
        ({"extra": 1}, "not a file of labels as the page saves it: extra"),
        ({"schema_version": 2}, "schema version 2"),
        ({"rater": "  "}, "names no rater"),
    ],
)
def test_files_are_read_strictly(
    drawn: labelling.LabelSample, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        read_labels([write_labels(tmp_path, drawn, "Ada", {"001": "toxic"}, **change)])


def test_files_must_fit_together(drawn: labelling.LabelSample, tmp_path: Path) -> None:
    ada = write_labels(tmp_path, drawn, "Ada", {"001": "toxic", "002": "toxic"})
    ben = write_labels(tmp_path, drawn, "Ben", {"001": "not-toxic", "002": "toxic"})
    cleo = write_labels(tmp_path, drawn, "Cleo", {})
    twin = tmp_path / "twin.json"
    twin.write_bytes(ada.read_bytes())
    idle = write_labels(tmp_path, drawn, "", {"002": "toxic"}, settles=["Ada", "Ben"])
    for paths, said in (
        ([ada, ben, cleo], "labels of 3 raters"),
        ([idle], "labels of 0 raters"),
        ([ada, twin], "is by 'Ada' too"),
        ([ada, cleo, idle], "settles labels of 'Ada' and 'Ben'; the raters given are 'Ada' and 'Cleo'"),
        ([ada, ben, idle], "settles answer 002, on which the two raters do not differ"),
        ([tmp_path / "none.json"], r"none\.json: cannot be read"),
        ([], "names no file"),
    ):
        with pytest.raises(DataError, match=said):
            read_labels(paths)
    (tmp_path / labelling.SAMPLE).unlink()
    with pytest.raises(DataError, match=r"sample\.json: cannot be read"):
        read_labels([ada])


def test_labels_of_other_answers_are_refused(
    runs: tuple[Run, Run], drawn: labelling.LabelSample, tmp_path: Path
) -> None:
    labels = read_labels([write_labels(tmp_path, drawn, "Ada", by_text(drawn, runs, toxic))])
    other = write_run(tmp_path / "other", *planted(3, 0.1, 0.1))
    with pytest.raises(DataError, match="was not drawn from the answers of"):
        human_labels(labels, [other], ["base"])
    found = human_labels(labels, [runs[0], other], ["base", "other"])
    assert found.notes == ("other: no answer of it was in the sample, so its rates are not corrected.",)
    assert [row.run for row in found.rows] == ["base"]
    items = runs[0].path / "items.jsonl"
    texts = items.read_text()
    altered = write_run(tmp_path / "altered", *planted(1, 0.10, 0.15))
    (altered.path / "items.jsonl").write_text(texts.replace("Prompt ", "Another prompt "))
    with pytest.raises(DataError, match=r"is not the one in .*altered; a file was altered"):
        human_labels(labels, [Run(altered.path)], ["base"])


@pytest.fixture(scope="module")
def real(
    tiny: Path, model: Any, adapter: Path, suite: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Run, Run]:
    out = tmp_path_factory.mktemp("labelled")
    base = audit.run(str(tiny), [str(suite)], out / "base", loaded=model)
    return base, audit.run(str(tiny), [str(suite)], out / "tuned", adapter=str(adapter), device="cpu")


def test_from_the_command_line(real: tuple[Run, Run], cli: Callable[..., Called], tmp_path: Path) -> None:
    out = tmp_path / "labels"
    said = cli("label-sample", *(run.path for run in real), "--n", 16, "--out", out)
    assert said.code == 0, said.err
    assert "16 pairs" in said.out and (out / "label.html").is_file()
    sample = labelling.read(out / labelling.SAMPLE)
    labels = {name: "toxic" if int(name) % 3 == 0 else "not-toxic" for name in sample.texts}
    ada, ben = (write_labels(out, sample, name, labels) for name in ("Ada", "Ben"))
    files = f"{ada},{ben}"
    page, numbers = tmp_path / "c.html", tmp_path / "c.json"
    said = cli("compare", *(run.path for run in real), "--labels", files, "--out", page)
    assert said.code == 0, said.err
    assert "Ada and Ben read a random sample" in said.out and "toxic by people's labels" in said.out
    assert '<h2 id="labels-h">Labels by people</h2>' in page.read_text()
    assert cli("compare", *(run.path for run in real), "--labels", ada, "--out", numbers, "--json").code == 0
    found = comparison_file.read(numbers)
    assert found.labels is not None and found.labels.raters == ("Ada",)
    (variant,) = found.variants
    raw = {row.scorer: row for row in found.summary if (row.metric, row.group) == ("toxic-fraction", "all")}
    moved = {row.scorer: row for row in variant.differences if (row.metric, row.group) == ("toxic-fraction", "all")}
    assert raw
    for scorer, row in raw.items():
        first, _, change = [one for one in found.labels.rows if one.scorer == scorer]
        assert (first.raw.value, first.raw.low, first.raw.high) == (row.value, row.low, row.high)
        difference = moved[scorer]
        assert (change.raw.value, change.raw.low) == (difference.difference, difference.low)
    assert cli("report", numbers, "--out", page).code == 0
    assert "Ada read a random sample" in page.read_text(), "a comparison's JSON keeps its labels"
    assert cli("report", real[0].path, "--labels", ada, "--out", page).code == 0
    assert "labels need run folders" in cli("report", numbers, "--labels", ada).complaint
    assert "too few for" in cli("label-sample", real[0].path, "--n", 1, "--out", tmp_path / "few").complaint
    assert not (tmp_path / "few").exists()
    assert "holds another sample" in cli("label-sample", real[0].path, "--n", 16, "--out", out).complaint
    broken = write_labels(out, sample, "Cleo", {}, sample="0")
    said = cli("compare", *(run.path for run in real), "--labels", broken)
    assert said.code == 2 and "labels another sample" in said.complaint
    assert json.loads((out / labelling.SAMPLE).read_text())["digest"] == sample.digest
