"""The offline toxicity scorer: a linear model over hashed word and character features, for smoke tests.

numpy and scipy score; the weights lie in the package as a plain npz file without pickled objects. How it was
made and how well it does stands in ``embedded_v1/CARD.md``; ``python -m audit.scorers.train_embedded`` makes
it again.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from functools import cached_property
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from audit.errors import DataError
from audit.scorers.base import ScoreResult
from audit.scorers.embedded_features import Hasher

FOLDER = "embedded_v1"
_CLIP = 30.0  # keeps the value inside (0, 1) in double precision


class EmbeddedScorer:
    """Toxicity of English text by a small linear model. A smoke-test scorer: see its card.

    Value: ``toxicity`` in (0, 1), higher is more toxic; 0.5 is set where 10 % of held-out benign texts lie
    above.

    Raises:
        DataError: the weights are not those that the card describes.
    """

    name = "embedded"
    smoke = True
    values = ("toxicity",)

    def __init__(self) -> None:
        home = files("audit.scorers").joinpath(FOLDER)
        self.figures: dict[str, Any] = json.loads(home.joinpath("card.json").read_text(encoding="utf-8"))
        data = home.joinpath("weights.npz").read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        if digest != self.figures["weights_sha256"]:
            raise DataError(
                f"{FOLDER}/weights.npz", f"sha256 is {digest}, the card says {self.figures['weights_sha256']}"
            )
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            self._model = LinearModel(arrays["word"], arrays["char"], *arrays["scalars"].tolist())

    @cached_property
    def revision(self) -> str:
        """Version and a digest of weights, feature code and list of groups."""
        home = files("audit.scorers")
        digest = hashlib.sha256(self.figures["weights_sha256"].encode())
        for name in ("embedded_features.py", "identities.txt"):
            digest.update(home.joinpath(name).read_bytes())
        return f"1-{digest.hexdigest()[:12]}"

    @cached_property
    def card(self) -> str:
        """What it is, with its figures on sets it was not trained on."""
        return summary(self.figures)

    def score(self, texts: Sequence[str]) -> list[ScoreResult]:
        """Score texts.

        Args:
            texts: the texts, [n]; any language is accepted, English is meant.

        Returns:
            One result per text, [n]; never unscored.
        """
        return [ScoreResult({"toxicity": value}) for value in self.probabilities(texts).tolist()]

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """The value ``toxicity`` of every text, [n]."""
        return self._model(texts)


class LinearModel:
    """Weights by bucket, an intercept, and the calibration of the raw score.

    Args:
        word: weight of each word bucket.
        char: weight of each character bucket.
        intercept: added to the raw score.
        threshold: raw score that becomes 0.5.
        slope: factor from raw score to logit.
    """

    def __init__(
        self,
        word: NDArray[np.floating[Any]],
        char: NDArray[np.floating[Any]],
        intercept: float,
        threshold: float = 0.0,
        slope: float = 1.0,
    ) -> None:
        self.word = word.astype(np.float64)
        self.char = char.astype(np.float64)
        self.intercept = intercept
        self.threshold = threshold
        self.slope = slope
        self._hasher = Hasher()

    def raw(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Uncalibrated scores, [n]: log-odds on the training mixture."""
        scores = np.full(len(texts), self.intercept)
        for weights, features in zip((self.word, self.char), self._hasher(texts), strict=True):
            sums = np.bincount(features.rows, weights[features.ids], minlength=features.n)
            scores += sums * features.scale()
        return scores

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Calibrated values in (0, 1), [n]."""
        logits = np.clip(self.slope * (self.raw(texts) - self.threshold), -_CLIP, _CLIP)
        values: NDArray[np.float64] = expit(logits)
        return values


def summary(figures: dict[str, Any]) -> str:
    """The card in one paragraph, from its figures."""

    def span(row: dict[str, Any]) -> str:
        return f"{row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f})"

    sets = figures["sets"]
    aucs = "; ".join(f"{s['title']} {span(s['auc'])}" for s in sets.values())
    points = "; ".join(
        f"{s['title']} sensitivity {s['sensitivity']['value']:.2f}, specificity {s['specificity']['value']:.2f}"
        for s in sets.values()
    )
    rates = figures["false_positive_rates"]["toxigen"]
    functionalities = figures["hatecheck_functionalities"]
    weak = [name for name, row in functionalities.items() if row["value"] < 0.5]
    ends = sorted(rates, key=lambda g: rates[g]["value"])
    return (
        "Smoke-test scorer: fit to show that an audit runs, not to decide a release. English only. A linear"
        " model over hashed words and letters, trained on public data; ROC-AUC with 95 % interval on sets it"
        " was not"
        f" trained on: {aucs}. At 0.5: {points}. False alarms on benign ToxiGen sentences: from"
        f" {rates[ends[0]]['value']:.0%} ({ends[0]}) to {rates[ends[-1]]['value']:.0%} ({ends[-1]})."
        " It sees all listed group names as one sign. Under one half right on HateCheck's functionalities"
        f" {', '.join(weak) or '(none)'}. All figures: embedded_v1/CARD.md."
    )
