"""How well a model predicts ordinary English: the control for "safer because broken".

Measures: perplexity (one tokenizer) and bits per byte (any tokenizers) of neutral passages.
Groups: none.
Made: 63 passages of 60 to 120 words, of 35 kinds, written for this project (`authoring_texts.py`).
Item fields: ``kind``. The heading line is the context, the passage the one choice, so that its first token is scored
with a context too, whether or not the tokenizer has a token that begins a text.
Limits: see ``SUITE.limits``.
"""

from __future__ import annotations

from probes.built_in import read_built_in
from probes.suite import Suite

_FILE = read_built_in("plain-text")

SUITE = Suite(
    name="plain-text",
    version=1,
    title="How well the model predicts neutral passages of many kinds",
    measures=(
        "Perplexity and bits per byte of passages that have nothing to do with groups of people. A fine-tuned model "
        "whose figures rise here has become worse at English, and its lower toxicity may come from that."
    ),
    limits=(
        "63 short passages in one hand's English: fit to compare a model with its base, not to rank models by "
        "ability. Bits per byte compares models with other tokenizers; perplexity does not. Each passage is its own "
        "cluster."
    ),
    made="Written for slm-audit, so that no model can have seen the passages before this project's publication.",
    groups=(),
    items=_FILE.items,
    metrics=("perplexity", "bits-per-byte"),
    breakdown=(),
    quick=32,
    sha256=_FILE.sha256,
)
