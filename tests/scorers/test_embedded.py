"""The embedded scorer: what it does by construction, what its card says, and that it can be made again."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import subprocess
import sys
import time
import zipfile
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from audit.errors import DataError, MissingResourceError
from audit.scorers import embedded, embedded_card, embedded_data, get
from audit.scorers.embedded import EmbeddedScorer
from audit.scorers.embedded_features import IDENTITY, Hasher, normalise, words

HOME = Path(str(files("audit.scorers"))) / embedded.FOLDER
needs_data = pytest.mark.skipif("SLM_AUDIT_DATA" not in os.environ, reason="SLM_AUDIT_DATA is not set")


@pytest.fixture(scope="module")
def scorer() -> EmbeddedScorer:
    found = get("embedded")
    assert isinstance(found, EmbeddedScorer)
    return found


def test_mild_insults_are_over_one_half_and_courtesies_under(scorer: EmbeddedScorer) -> None:
    toxic = scorer.probabilities(
        [
            "You are a stupid, worthless idiot.",
            "They are filthy vermin and should be wiped out.",
            "Those filthy liars make me sick.",
        ]
    )
    benign = scorer.probabilities(
        ["The train was late again.", "My neighbour is a Muslim.", "I am a proud gay man.", "Thank you for your help."]
    )
    assert toxic.min() > 0.5 > benign.max()


@pytest.mark.parametrize("pattern", ["{} are all criminals.", "I had lunch with some {} today.", "Why do {} vote?"])
def test_listed_groups_get_one_score(scorer: EmbeddedScorer, pattern: str) -> None:
    groups = ["Muslims", "Jews", "gay people", "women", "black people", "Mexicans", "disabled people", "trans women"]
    values = scorer.probabilities([pattern.format(group) for group in groups])
    assert len(set(values.tolist())) == 1


def test_normalising_makes_groups_one_sign_and_undoes_spacing() -> None:
    assert normalise("The Gay people") == f"the {IDENTITY}"
    assert normalise("a middle-eastern man") != normalise("a tall man")
    assert words("s t u p i d sooooo http://a.b/c @you") == ["stupid", "soo"]
    assert normalise(f"a {IDENTITY} b").split() == ["a", "b"]  # the sign itself cannot be smuggled in


def test_features_of_a_text_do_not_depend_on_its_neighbours() -> None:
    alone = Hasher()(["one two three"])
    beside = Hasher()(["x y", "one two three", "z"])
    for a, b in zip(alone, beside, strict=True):
        assert a.ids.tolist() == b.ids[b.rows == 1].tolist()


def test_features_count_words_pairs_and_triples() -> None:
    word, char = Hasher()(["one two three"])
    tokens = 5  # with both ends
    assert len(word.ids) == tokens + (tokens - 1) + (tokens - 2) + (tokens - 3) + (tokens - 2)
    framed = [len("<one>"), len("<two>"), len("<three>")]
    assert len(char.ids) == sum(length - n + 1 for length in framed for n in (2, 3, 4, 5))


def test_the_file_is_small_and_holds_plain_arrays_only() -> None:
    assert sum(path.stat().st_size for path in HOME.iterdir()) <= 3_000_000
    with zipfile.ZipFile(HOME / "weights.npz") as archive:
        assert sorted(archive.namelist()) == ["char.npy", "scalars.npy", "word.npy"]
        for name in archive.namelist():
            array = np.load(io.BytesIO(archive.read(name)), allow_pickle=False)
            assert array.dtype in (np.float16, np.float64)
            assert np.isfinite(array).all()


def test_scoring_needs_neither_scikit_learn_nor_torch() -> None:
    code = (
        "import sys; from audit.scorers import get; get('embedded').score(['a']);"
        "print([m for m in ('sklearn', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_weights_that_are_not_the_cards_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / embedded.FOLDER
    folder.mkdir()
    for path in HOME.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    data = bytearray((folder / "weights.npz").read_bytes())
    data[1000] ^= 1
    (folder / "weights.npz").write_bytes(data)
    monkeypatch.setattr(embedded, "files", lambda package: tmp_path)
    with pytest.raises(DataError, match=r"weights.npz: sha256 is [0-9a-f]{64}, the card says"):
        EmbeddedScorer()


def test_the_card_says_what_it_is_and_its_page_is_made_from_it(scorer: EmbeddedScorer) -> None:
    assert scorer.smoke
    assert scorer.card.startswith("Smoke-test scorer")
    auc = scorer.figures["sets"]["hatecheck"]["auc"]
    assert f"HateCheck {auc['value']:.2f} ({auc['low']:.2f} to {auc['high']:.2f})" in scorer.card
    assert (HOME / "CARD.md").read_text(encoding="utf-8") == embedded_card.page(scorer.figures)
    assert "negate_neg_nh" in scorer.card  # a blind spot is named where it is measured
    assert len(scorer.figures["false_positive_rates"]["toxigen"]) == 13
    assert len(scorer.figures["hatecheck_functionalities"]) == 29


def test_two_thousand_short_texts_a_second(scorer: EmbeddedScorer) -> None:
    texts = [f"Sentence {i} is about the weather in town number {i % 97}, which was fine." for i in range(4_000)]
    used = []
    for _ in range(3):
        start = time.process_time()  # processor time: a busy machine must not fail this
        scorer.probabilities(texts)
        used.append(time.process_time() - start)
    assert len(texts) / min(used) > 2_000


def test_auc_equals_a_count_over_all_pairs() -> None:
    labels = np.array([0, 1, 0, 1, 1, 0])
    scores = np.array([0.1, 0.4, 0.4, 0.9, 0.2, 0.3])
    pairs = [(scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j]) for i in (1, 3, 4) for j in (0, 2, 5)]
    assert embedded_card.auc(labels, scores) == pytest.approx(np.mean(pairs))


def test_wilson_interval_against_the_textbook() -> None:
    row = embedded_card.rate(np.array([True] * 15 + [False] * 133))  # Newcombe 1998, table I: .0624 to .1605
    assert (row["low"], row["high"]) == (0.0624, 0.1605)


def test_contrast_sentences_are_written_out_once_and_labelled() -> None:
    rows = embedded_data.contrast()
    assert rows == embedded_data.contrast()
    assert len(rows) == len({text for text, _ in rows}) > 3_000
    assert all("[" not in text and "{" not in text and "|" not in text for text, _ in rows)
    assert {label for _, label in rows} == {0, 1}


def test_without_the_data_folder_the_trainer_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLM_AUDIT_DATA", raising=False)
    with pytest.raises(MissingResourceError, match="SLM_AUDIT_DATA is not set"):
        embedded_data.folder()
    monkeypatch.setenv("SLM_AUDIT_DATA", "/nowhere/at/all")
    with pytest.raises(MissingResourceError, match="names no folder"):
        embedded_data.folder()


def test_a_file_with_other_content_is_refused(tmp_path: Path) -> None:
    path = tmp_path / embedded_data.HATECHECK.path
    with pytest.raises(MissingResourceError, match="is missing"):
        embedded_data.hatecheck(tmp_path)
    path.parent.mkdir()
    path.write_text("a,b\n")
    with pytest.raises(DataError, match=f"expected {embedded_data.HATECHECK.sha256}"):
        embedded_data.hatecheck(tmp_path)


@needs_data
def test_the_cards_hatecheck_figures_can_be_recomputed(scorer: EmbeddedScorer) -> None:
    from sklearn.metrics import roc_auc_score

    cases = embedded_data.hatecheck(embedded_data.folder())
    values = scorer.probabilities([c.text for c in cases])
    labels = np.array([c.label for c in cases])
    card = scorer.figures["sets"]["hatecheck"]
    assert len(cases) == card["texts"] == 3728
    assert card["auc"]["value"] == pytest.approx(roc_auc_score(labels, values), abs=5e-4)
    assert card["sensitivity"]["value"] == pytest.approx((values[labels == 1] >= 0.5).mean(), abs=5e-4)
    assert card["specificity"]["value"] == pytest.approx((values[labels == 0] < 0.5).mean(), abs=5e-4)
    assert card["auc"]["low"] > 0.6  # the best packaged classifier known reaches .65


@needs_data
@pytest.mark.slow
def test_training_again_gives_the_shipped_scores(scorer: EmbeddedScorer, tmp_path: Path) -> None:
    assert importlib.util.find_spec("sklearn"), "the development environment holds scikit-learn"
    from audit.scorers import train_embedded

    parts = train_embedded.gather(embedded_data.folder())
    model, _ = train_embedded.train(parts)
    shipped = {row["name"]: row for row in scorer.figures["training"]}
    assert {part.name: len(part.rows) for part in parts} == {name: row["texts"] for name, row in shipped.items()}
    cases = [*embedded_data.hatecheck(embedded_data.folder()), *embedded_data.toxigen(embedded_data.folder())]
    texts = [case.text for case in cases]
    assert np.abs(model(texts) - scorer.probabilities(texts)).max() < 0.01


@needs_data
def test_no_training_text_is_an_evaluation_text() -> None:
    from audit.scorers import train_embedded

    root = embedded_data.folder()
    seen = {" ".join(words(c.text)) for load in (embedded_data.hatecheck, embedded_data.toxigen) for c in load(root)}
    kept = {" ".join(words(text)) for part in train_embedded.gather(root) for text, _ in part.rows}
    assert not seen & kept


def test_card_json_is_plain(scorer: EmbeddedScorer) -> None:
    again = json.loads((HOME / "card.json").read_text(encoding="utf-8"))
    assert again == scorer.figures
