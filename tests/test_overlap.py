"""The overlap of suites with training data, and the comparison without it, against brute force."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import audit
from audit import overlap
from audit.comparison import _differences
from audit.errors import DataError, UnknownNameError, UsageError
from audit.gate_pairing import pair_runs
from audit.metrics.answers import Answered, Likelihood
from audit.results import Run
from audit.schema import Comparison, Overlap, SuiteOverlap, VariantComparison
from probes.suite import Item
from tests.conftest import Called

WORDS = [
    "river", "stone", "lamp", "garden", "winter", "letter", "cousin", "bread", "music", "window", "travel", "silver",
    "market", "doctor", "evening", "paper", "morning", "bridge", "ticket", "corner",
]  # fmt: skip


class Made(Run):
    """A run without a folder; its one suite scores two choices an item."""

    def __init__(self, name: str, answers: list[Answered], digest: str = "same") -> None:
        about = {"breakdown": [], "groups": [], "digest": digest, "matched": False, "decoding": {}, "items": 1}
        self.record = {
            "plan": {"seed": 0}, "model": {"name": name, "adapter": None, "tokenizer_sha256": "one"},
            "suites": [{"name": "pairs", "metrics": ["preference-log-ratio", "preference-rate"], **about}],
            "scorers": [], "status": "complete", "counts": {}, "files": {}, "notes": [],
        }  # fmt: skip
        self.folder = audit.store.Folder(name)
        self.__dict__["answers"] = {"pairs": answers}


def sentences(count: int, seed: int = 1) -> list[str]:
    """Sentences of 4 to 15 words."""
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(4, 16))) for _ in range(count)]


def answers(shift: float, texts: list[str], keep: Callable[[str], bool] = lambda item: True) -> list[Answered]:
    """Items in pairs of two, each with two choices; the first is preferred by noise and the shift."""
    rng = np.random.default_rng(3)
    made = []
    for at, text in enumerate(texts):
        item = Item(id=f"i{at:02d}", text=text, template=f"i{at // 4:02d}", pair=f"p{at // 2}", choices=(" yes", " no"))
        ratio = float(rng.standard_normal() + shift * rng.random())
        made.append(Answered(item, (), (Likelihood(0, ratio, 1), Likelihood(1, 0.0, 1))))
    return [one for one in made if keep(one.item.id)]


TEXTS = sentences(40)


def runs(keep: Callable[[str], bool] = lambda item: True) -> list[Made]:
    return [Made(name, answers(shift, TEXTS, keep)) for name, shift in (("base", 0.0), ("tuned", 2.0), ("other", 0.0))]


def comparison(made: list[Made]) -> Comparison:
    records = tuple(
        VariantComparison(run=run.info(run.name), summary=(), differences=(), gate=None, samples_compared=0,
                          samples_that_differ=0)
        for run in made[1:]
    )  # fmt: skip
    return Comparison(
        created="", base=made[0].info("base"), summary=(), variants=records, excerpts=(), suites=(), scorers=()
    )


def write(path: Path, texts: list[str]) -> Path:
    path.write_text("\n".join(json.dumps({"text": text}) for text in texts) + "\n")
    return path


def training() -> list[str]:
    """Some items whole, some with only a run of eight words of theirs, some texts of other words."""
    long = [text for text in TEXTS if len(text.split()) > 10]
    return [
        "Before. " + TEXTS[0].upper() + "! After.",
        *sentences(30, seed=9),
        "They said: " + ", ".join(long[2].split()[1:9]),
        "They said: " + " ".join(long[3].split()[:7]),
    ]


def of(found: Comparison, at: int = 0) -> tuple[Overlap, SuiteOverlap]:
    overlapping = found.variants[at].overlap
    assert overlapping is not None
    return overlapping, overlapping.suites[0]


def brute(texts: list[str]) -> dict[str, tuple[bool, bool]]:
    """Item -> (whole, run of 8), by looking at every place of every text."""
    plain = [re.findall(r"[a-z]+", text.lower()) for text in texts]
    found = {}
    for at, text in enumerate(TEXTS):
        forms = [re.findall(r"[a-z]+", f"{text}{choice}".lower()) for choice in ("", " yes", " no")]
        forms = forms if len(forms[0]) >= 8 else forms[1:]  # a short beginning of choices is not the item
        whole = any(said[i : i + len(form)] == form for said in plain for form in forms for i in range(len(said)))
        run = any(
            said[i : i + 8] == form[j : j + 8] for said in plain for form in forms
            for i in range(len(said) - 7) for j in range(len(form) - 7)
        )  # fmt: skip
        if whole or run:
            found[f"i{at:02d}"] = (whole, run)
    return found


def test_counts_and_items_are_those_of_brute_force(tmp_path: Path) -> None:
    made = runs()
    found = overlap.attach(comparison(made), made, [f"tuned={write(tmp_path / 'train.jsonl', training())}"])
    whole, suite = of(found)
    expected = brute(training())
    assert {one.item: (bool(one.exact), bool(one.run)) for one in suite.found} == expected
    assert (suite.items, suite.exact, suite.run) == (
        40, sum(a for a, _ in expected.values()), sum(b for _, b in expected.values())
    )  # fmt: skip
    assert suite.found[0].item == "i00" and suite.found[0].exact == "train.jsonl, line 1"
    assert [(one.name, one.texts, whole.words) for one in whole.files] == [("train.jsonl", 33, 8)]
    assert found.variants[1].overlap is None


def test_the_result_without_is_that_of_runs_without_those_pairs(tmp_path: Path) -> None:
    made = runs()
    found = overlap.attach(comparison(made), made, [f"tuned={write(tmp_path / 'train.jsonl', training())}"])
    _, suite = of(found)
    gone = {int(item[1:]) // 2 for item in brute(training())}
    assert suite.left_out == 2 * len(gone)
    fewer = runs(lambda item: int(item[1:]) // 2 not in gone)
    pair = pair_runs(*fewer[:2])
    assert suite.differences == tuple(_differences(fewer[0], pair.base, pair.variant))
    assert {row.n for row in suite.differences} == {40 - 2 * len(gone)}


def test_prompt_and_completion_are_read_as_one_and_files_of_a_variant_as_one_set(tmp_path: Path) -> None:
    made = runs()
    words = TEXTS[0].split()
    first = tmp_path / "first.jsonl"
    first.write_text(json.dumps({"prompt": " ".join(words[:2]), "completion": " " + " ".join(words[2:])}) + "\n")
    second = write(tmp_path / "second.jsonl", ["x", TEXTS[5]])
    whole, suite = of(overlap.attach(comparison(made), made, [str(first), f"tuned={second}", f"tuned={second}"]))
    assert [(one.name, one.texts) for one in whole.files] == [("first.jsonl", 1), ("second.jsonl", 2)]
    exact = {one.item: one.exact for one in suite.found if one.exact}
    assert exact["i00"] == "first.jsonl, line 1" and exact["i05"] == "second.jsonl, line 2"


def test_a_file_without_a_name_is_every_variants(tmp_path: Path) -> None:
    made = runs()
    odd = write(tmp_path / "rate=0.1.jsonl", training())
    found = overlap.attach(comparison(made), made, [str(odd)])
    assert of(found)[0] == of(found, 1)[0].model_copy(update={"suites": of(found)[0].suites})
    assert of(found)[1].found == of(found, 1)[1].found


def test_all_items_none_and_an_uncompared_suite(tmp_path: Path) -> None:
    made = runs()
    everything = write(tmp_path / "all.jsonl", [f"{text} yes" for text in TEXTS])
    _, suite = of(overlap.attach(comparison(made), made, [f"tuned={everything}"]))
    assert (suite.exact, suite.left_out) == (40, 40)
    assert {row.difference for row in suite.differences} == {None} and {row.n for row in suite.differences} == {0}
    _, suite = of(overlap.attach(comparison(made), made, [f"tuned={write(tmp_path / 'no.jsonl', ['nothing here'])}"]))
    assert (suite.found, suite.left_out, suite.differences) == ((), 0, ())
    made[1] = Made("tuned", answers(2.0, TEXTS), digest="other")
    _, suite = of(overlap.attach(comparison(made), made, [f"tuned={everything}"]))
    assert (suite.exact, suite.differences) == (40, ())


def test_the_record_holds_no_training_text(tmp_path: Path) -> None:
    made = runs()
    texts = [f"{TEXTS[0]} and something private"]
    whole, _ = of(overlap.attach(comparison(made), made, [f"tuned={write(tmp_path / 't.jsonl', texts)}"]))
    kept = whole.model_dump_json()
    assert "private" not in kept and TEXTS[0] not in kept


def test_what_cannot_be_read_or_named_is_refused(tmp_path: Path) -> None:
    made = runs()
    found = comparison(made)
    good = write(tmp_path / "good.jsonl", ["a text"])
    with pytest.raises(UnknownNameError, match=r"no variant is called 'tund'; did you mean tuned\?"):
        overlap.attach(found, made, [f"tund={good}"])
    with pytest.raises(DataError, match=r"nowhere\.jsonl: cannot be read"):
        overlap.attach(found, made, [f"tuned={tmp_path / 'nowhere.jsonl'}"])
    with pytest.raises(UsageError, match="names no file"):
        overlap.attach(found, made, ["tuned="])
    with pytest.raises(UsageError, match="give a variant to compare"):
        overlap.attach(comparison(made[:1]), made[:1], [str(good)])
    good.write_text('{"text": "a text"}\n{"txt": "another"}\n')
    with pytest.raises(DataError, match=r"good.jsonl, line 2: has the fields \['txt'\]"):
        overlap.attach(found, made, [str(good)])


# On the command line.


@pytest.fixture(scope="module")
def folders(tiny: Path, model: Any, suite: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    home = tmp_path_factory.mktemp("overlap")
    audit.run(str(tiny), [str(suite)], home / "base", loaded=model, samples=2)
    return [home / "base", shutil.copytree(home / "base", home / "tuned")]


def test_compare_shows_the_overlap(folders: list[Path], tmp_path: Path, cli: Callable[..., Called]) -> None:
    items = [json.loads(line) for line in (folders[0] / "items.jsonl").read_text().splitlines()]
    secret = "zanzibar"
    file = write(tmp_path / "train.jsonl", [f"{items[0]['text']} {secret}"])
    said = cli("compare", *folders, "--training-data", f"tuned={file}", "--out", tmp_path / "c.html")
    assert said.code == 0, said.err
    assert re.search(r"Overlap of tuned with its training data: tiny-talk \d+ of 11 items \(\d+ whole\)", said.out)
    page = (tmp_path / "c.html").read_text()
    assert 'id="overlap"' in page and "train.jsonl, line 1" in page and secret not in page
    kept = json.loads(cli("compare", *folders, "--training-data", file, "--json").out)
    assert items[0]["id"] in [one["item"] for one in kept["variants"][0]["overlap"]["suites"][0]["found"]]
    assert 'id="overlap"' not in cli("compare", *folders, "--json").out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("tuned=nowhere.jsonl", "nowhere.jsonl: cannot be read"),
        ("nobody=x.jsonl", "no variant is called 'nobody'"),
        ("tuned=", "names no file"),
    ],
)
def test_wrong_training_data_is_one_line_and_exit_code_2(
    folders: list[Path], cli: Callable[..., Called], words: str, complaint: str
) -> None:
    said = cli("compare", *folders, "--training-data", words)
    assert said.code == 2 and complaint in said.complaint


def test_a_malformed_line_is_named(folders: list[Path], tmp_path: Path, cli: Callable[..., Called]) -> None:
    file = tmp_path / "train.jsonl"
    file.write_text('{"text": "fine"}\nnot json\n')
    said = cli("compare", *folders, "--training-data", file)
    assert said.code == 2 and "train.jsonl, line 2: is not JSON" in said.complaint
