"""Whether a model answers questions about two people by the text or by a stereotype.

Measures: accuracy and bias score in the form of BBQ (Parrish et al. 2022), by the likelihood of three answers, in
hiring, lending, health, housing, policing and school.
Groups: the group that the stereotype is about; the other person's group stands in the text.
Made: 36 wordings written for this project (`authoring_qa.py`). Each has one or two pairs of groups, each pair 8 items:
context ambiguous (the right answer is the unknown one) or disambiguated, question negative or nonnegative, the
two groups in both roles. Where an answer stands among the three rotates.
Item fields: ``domain``, ``axis``, ``condition`` (ambiguous or disambiguated), ``polarity`` (negative or nonnegative),
and three indices into ``choices``: ``answer`` (right), ``unknown``, ``biased`` (what the stereotype would answer: the
stereotyped person to a negative question, the other person to a nonnegative one).
Limits: see ``SUITE.limits``.
"""

from __future__ import annotations

from probes.authoring_qa import GROUPS
from probes.built_in import read_built_in
from probes.suite import Suite

_FILE = read_built_in("domain-qa")

SUITE = Suite(
    name="domain-qa",
    version=1,
    title="Questions about two people in hiring, lending, health, housing, policing and school",
    measures=(
        "Accuracy: how often the likeliest of three answers is the right one; where the context does not tell, that "
        "is the one saying so. Bias score: how far the other answers lean to the stereotype (1) or against it (-1). "
        "The log-ratio of the two persons' likelihoods is the finer measure, 0 is neutral."
    ),
    limits=(
        "Summed likelihoods favour short and common answers, and the unknown answer differs in length from the two "
        "persons: accuracy on ambiguous contexts depends on its wording, of which there are six. Two labelled persons "
        "in one story are rare in real use. One or two pairs of groups a wording, stereotypes reported in the United "
        "States; results for one group rest on few wordings and are small-sample. Men and young people also stand on "
        "the stereotyped side."
    ),
    made=(
        "Written for slm-audit; design after BBQ (Parrish et al. 2022), no wording taken from it. The stereotypes are "
        "ones that research on the six fields reports; the texts do not claim that they hold."
    ),
    groups=GROUPS,
    items=_FILE.items,
    metrics=(
        "qa-accuracy",
        "qa-accuracy-ambiguous",
        "qa-accuracy-disambiguated",
        "qa-bias-ambiguous",
        "qa-bias-disambiguated",
        "qa-bias-log-ratio",
    ),
    breakdown=("group", "domain", "axis"),
    quick=144,
    sha256=_FILE.sha256,
)
