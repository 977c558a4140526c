"""Trains, measures and writes the embedded scorer: ``python -m audit.scorers.train_embedded [--out FOLDER]``.

Needs scikit-learn and the data folder in ``SLM_AUDIT_DATA``; one core, a few minutes. The same data and the same
library versions give the same bytes; other versions give the same scores within 0.01.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import logging
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from audit.scorers import embedded_data as data
from audit.scorers.embedded import FOLDER, LinearModel
from audit.scorers.embedded_card import measure, page
from audit.scorers.embedded_features import CHAR_BUCKETS, IDENTITY, WORD_BUCKETS, Hasher, words

OVERLAP = 8
"""Words in a row that a training text may not share with a text that measures."""

HELD_OUT = 0.1
BENIGN_OVER_HALF = 0.1
"""Share of held-out benign texts that may reach 0.5: sets the threshold."""

_C = 1.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """A training set after texts shared with the evaluation sets were dropped."""

    name: str
    weight: float
    rows: list[data.Labelled]
    dropped_equal: int
    dropped_overlap: int


def gather(root: Path) -> list[Part]:
    """All training sets, without texts that occur in an evaluation set."""
    evaluation = [c.text for load in (data.hatecheck, data.toxigen, data.madlibs) for c in load(root)]
    keys = [_key(text) for text in evaluation]
    equal, runs = set(keys), {run for key in keys for run in _runs(key)}
    sets = [(s.name, s.weight, data.training_set(s, root)) for s in data.TRAINING]
    parts = []
    for name, weight, rows in [*sets, ("contrast", data.CONTRAST_WEIGHT, data.contrast())]:
        kept, n_equal, n_runs = [], 0, 0
        for text, label in rows:
            key = _key(text)
            if key in equal:
                n_equal += 1
            elif any(run in runs for run in _runs(key)):
                n_runs += 1
            else:
                kept.append((text, label))
        _log.info("%-20s %6d kept, dropped: %d equal, %d share 8 words", name, len(kept), n_equal, n_runs)
        parts.append(Part(name, weight, kept, n_equal, n_runs))
    return parts


def _key(text: str) -> tuple[str, ...]:
    """Words alone, groups made one sign: a sentence about another group counts as the same text."""
    return tuple(word for word in words(text) if word[0].isalnum() or word == IDENTITY)


def _runs(key: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    return (key[i : i + OVERLAP] for i in range(len(key) - OVERLAP + 1))


def held_out(text: str) -> bool:
    """Whether a text belongs to the held-out tenth: decided by its words, so equal texts stay together."""
    return zlib.crc32(" ".join(_key(text)).encode("utf-8", "surrogatepass")) < HELD_OUT * 2**32


def train(parts: list[Part]) -> tuple[LinearModel, dict[str, Any]]:
    """Fit the weights on nine tenths of the texts; set threshold and slope on the last tenth.

    Returns:
        The model, its weights rounded to half precision as they are shipped, and the held-out figures.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    rows = [(text, label, part.weight) for part in parts for text, label in part.rows]
    fitted = [row for row in rows if not held_out(row[0])]
    rest = [row for row in rows if held_out(row[0])]
    model = LogisticRegression(C=_C, solver="liblinear", tol=1e-3, max_iter=200, random_state=0)
    model.fit(_matrix([r[0] for r in fitted]), [r[1] for r in fitted], sample_weight=[r[2] for r in fitted])
    weights = model.coef_[0].astype(np.float16)
    linear = LinearModel(weights[:WORD_BUCKETS], weights[WORD_BUCKETS:], round(float(model.intercept_[0]), 4))
    raw = linear.raw([r[0] for r in rest])
    labels, weight = np.array([r[1] for r in rest]), np.array([r[2] for r in rest])
    linear.threshold = round(_weighted_quantile(raw[labels == 0], weight[labels == 0], 1 - BENIGN_OVER_HALF), 3)
    scale = LogisticRegression(C=1e6, fit_intercept=False, class_weight="balanced")
    scale.fit((raw - linear.threshold)[:, None], labels, sample_weight=weight)
    linear.slope = round(float(scale.coef_[0, 0]), 3)
    figures = {
        "texts": len(rest),
        "auc": round(float(roc_auc_score(labels, raw, sample_weight=weight)), 3),
        "sensitivity": round(float(np.average(raw[labels == 1] >= linear.threshold, weights=weight[labels == 1])), 3),
    }
    return linear, figures


def _matrix(texts: list[str]) -> sp.csr_matrix:
    """Features as the scorer weighs them, [texts, word buckets + character buckets]."""
    blocks = [
        sp.csr_matrix((f.scale()[f.rows], (f.rows, f.ids)), shape=(f.n, buckets))
        for f, buckets in zip(Hasher()(texts), (WORD_BUCKETS, CHAR_BUCKETS), strict=True)
    ]
    return sp.csr_matrix(sp.hstack(blocks, format="csr"))


def _weighted_quantile(values: NDArray[np.float64], weights: NDArray[np.float64], share: float) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][np.searchsorted(reached, share)])


def packed(model: LinearModel) -> bytes:
    """The npz file: two arrays in half precision and three numbers, nothing pickled."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        word=model.word.astype(np.float16),
        char=model.char.astype(np.float16),
        scalars=np.array([model.intercept, model.threshold, model.slope]),
    )
    return buffer.getvalue()


def main(arguments: list[str] | None = None) -> None:
    """Train, measure, write weights.npz, card.json and CARD.md."""
    parser = argparse.ArgumentParser(description="Train the embedded scorer.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / FOLDER, help="folder to write to")
    out: Path = parser.parse_args(arguments).out
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    root = data.folder()
    parts = gather(root)
    model, figures = train(parts)
    weights = packed(model)
    card = {
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "weights_bytes": len(weights),
        "held_out": figures,
        "training": [_row(part) for part in parts],
        **measure(model, root),
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "weights.npz").write_bytes(weights)
    (out / "card.json").write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / "CARD.md").write_text(page(card), encoding="utf-8")
    _log.info("wrote %s: %d bytes of weights", out, len(weights))


def _row(part: Part) -> dict[str, Any]:
    source = next((s for s in data.TRAINING if s.name == part.name), None)
    return {
        "name": part.name,
        "upstream": source.upstream if source else "written for this project",
        "license": source.license if source else "Apache-2.0",
        "use": source.use if source else "patterns of hate, negation, counter-speech and benign mentions, written out",
        "weight": part.weight,
        "texts": len(part.rows),
        "toxic": sum(label for _, label in part.rows),
        "dropped_equal": part.dropped_equal,
        "dropped_overlap": part.dropped_overlap,
    }


if __name__ == "__main__":
    main()
