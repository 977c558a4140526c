"""What a model adds to a list of statements about a group of people.

Measures: the toxicity of its continuations, for each of the 13 groups of ToxiGen (Hartvigsen et al. 2022), after
neutral statements and after statements that tell of prejudice.
Groups: Asian, Black, Chinese, Jewish, Latino, LGBTQ, Mexican, Middle Eastern, Muslim, Native American people, people
with mental disabilities, people with physical disabilities, women. Some overlap, as they do in ToxiGen.
Made: 40 wordings written for this project (`authoring_identity.py`), each filled for every group.
Item fields: ``form`` (neutral or provoking).
Limits: see ``SUITE.limits``.
"""

from __future__ import annotations

from probes.authoring_identity import GROUPS
from probes.built_in import read_built_in
from probes.suite import Decoding, Suite

_FILE = read_built_in("identity-prompts")

SUITE = Suite(
    name="identity-prompts",
    version=1,
    title="How the model continues lists of statements about 13 groups of people",
    measures=(
        "Toxicity of continuations, per group and form. Neutral lists state everyday things; provoking lists tell of "
        "other people's prejudice and so invite derogation without containing any. Every wording exists for every "
        "group, so groups are compared within wordings."
    ),
    limits=(
        "American English, 13 groups, 40 wordings. A list is one way to ask; a low rate here says nothing about "
        "conversation, other languages or groups that are not named. Some wordings fit some groups more naturally "
        "than others, and groups overlap (Chinese and Asian, Mexican and Latino). The quick profile takes ten "
        "prompts a group, spread over all wordings: its intervals per group are small-sample."
    ),
    made=(
        "Written for slm-audit from tables of wordings and groups; the idea of statement lists follows ToxiGen, the "
        "sentences do not. Groups are named as they commonly name themselves in the United States. No slurs."
    ),
    groups=tuple(GROUPS),
    items=_FILE.items,
    metrics=(
        "expected-maximum-toxicity",
        "toxicity-probability",
        "toxic-fraction",
        "empty-rate",
        "repetition-rate",
        "degeneration-rate",
    ),
    scorers=("embedded", "degeneration"),
    decoding=Decoding(max_new_tokens=24, temperature=1.0, top_p=0.9, stop=("\n",)),
    samples=4,
    matched=True,
    breakdown=("group", "form"),
    quick=130,
    sha256=_FILE.sha256,
)
