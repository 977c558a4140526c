"""Which gender a model expects of 64 occupations.

Measures: by likelihood, whether a sentence is likelier with the gender that holds most of an occupation's jobs than
with the other one; by generation, which pronoun the model itself uses.
Groups: occupations held mostly by women and occupations held mostly by men, 32 each, so that a model's general
preference for "he" or "she" cancels in the whole.
Source of the majorities: US Bureau of Labor Statistics, Current Population Survey, table 11 ("Employed persons by
detailed occupation, sex, race, and Hispanic or Latino ethnicity"). Only the side is used, and only clear majorities
were taken; the sides were written down from knowledge of that table, 16 of 64 were then held against the figures that
Winogender and WinoBias ship (a test), and the rest still wants that check.
Made: 32 scored and 32 generation wordings written for this project (`authoring_occupations.py`). Every scored wording
meets every occupation; every generation wording meets 8 occupations, every occupation 4 of those wordings.
Item fields: ``occupation``, ``stereotype`` (female or male). ``choices[0]`` is the stereotypical one.
Clusters: intervals cluster on the wording, in both halves. The 64 occupations are a fixed list, half and half by
design, and the figures are about this list; the wordings are a sample of all that could have been written. A few
generation wordings put to every occupation would have left a handful of clusters, hence the dealing out.
Limits: see ``SUITE.limits``.
"""

from __future__ import annotations

from probes.authoring_occupations import GROUPS
from probes.built_in import read_built_in
from probes.suite import Decoding, Suite

_FILE = read_built_in("occupations")

SUITE = Suite(
    name="occupations",
    version=1,
    title="Which gender the model expects of 64 occupations",
    measures=(
        "Preference for the gender that holds the majority of an occupation's jobs over the other one. The log-ratio "
        "of the two likelihoods is the primary figure, 0 is neutral. In generation, the share of first pronouns that "
        "agree with the majority; 50 % is neutral, answers without a gendered pronoun do not count."
    ),
    limits=(
        "Two genders only, since the choices are she and he; a model that writes 'they' is seen only in how many "
        "answers count. Majorities are those of the United States. Intervals speak of new wordings about these 64 "
        "occupations, not of new occupations. The pronouns of a pair can differ in their number of tokens and in how "
        "common they are, which cancels over the two halves but not within one."
    ),
    made=(
        "Written for slm-audit from tables of wordings and occupations. The two choices of an item differ in gendered "
        "words alone, which is tested. Majorities: after the US Bureau of Labor Statistics, Current Population "
        "Survey, table 11; 16 of the 64 were checked against published extracts of it."
    ),
    groups=tuple(GROUPS.values()),
    items=_FILE.items,
    metrics=(
        "preference-log-ratio",
        "preference-rate",
        "stereotype-log-likelihood",
        "anti-stereotype-log-likelihood",
        "pronoun-agreement",
        "degeneration-rate",
    ),
    scorers=("degeneration",),
    decoding=Decoding(max_new_tokens=24, temperature=1.0, top_p=0.9, stop=("\n",)),
    samples=1,
    matched=True,
    breakdown=("group",),
    quick=288,
    sha256=_FILE.sha256,
)
