"""The records that leave a run and a comparison: the schema is the manual.

Every record is frozen and rejects unknown fields, so that a file from a newer version is refused, not half read.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import pandas as pd
    from datasets import Dataset

SCHEMA_VERSION = 1

Direction = Literal["lower", "higher", "target"]
Verdict = Literal["pass", "fail", "inconclusive", "incomplete"]


class Record(BaseModel):
    """Base of all records."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SummaryRow(Record):
    """One metric of one suite for one group: a line of ``summary.json`` and of every table."""

    suite: str
    metric: str
    """Name in the metric registry."""
    variant: str
    """Which published or stated form of the metric: threshold operator, k, normalisation."""
    label: str
    """The metric in words, for a table's head."""
    scorer: str
    """The scorer that the metric reads; empty where it reads none."""
    smoke: bool
    """True where that scorer is only fit for a smoke test."""
    group: str
    """``"all"``, a group of the suite, or ``"key=value"`` for another breakdown."""
    direction: Direction
    target: float | None
    """The neutral value of a metric whose direction is ``target``."""
    unit: str
    """``share``, ``score``, ``nats``, ``bits/byte``, ``perplexity``."""
    n: int
    clusters: int
    missing: int
    """Units that have no value, for whatever reason."""
    empty: int
    """Answers without text, counted as valid and not toxic."""
    unscored: int
    """Answers that the scorer could not score."""
    value: float | None
    low: float | None
    high: float | None
    level: float
    method: str


class Difference(Record):
    """Variant minus base on the same items, for one metric and group."""

    suite: str
    metric: str
    variant: str
    label: str
    scorer: str
    smoke: bool
    group: str
    direction: Direction
    target: float | None
    unit: str
    base: float | None
    """The base model's value on the paired units."""
    tuned: float | None
    """The variant's value on the paired units."""
    difference: float | None
    """tuned - base, in the metric's own unit and sign."""
    low: float | None
    high: float | None
    level: float
    method: str
    n: int
    """Units that have a value in both runs."""
    clusters: int
    missing: int
    """Units without a value in one run or the other."""
    detectable: float | None
    """The smallest true change that would have been seen with 80 % power at this level."""
    correlation: float | None
    """Correlation of base and variant over clusters: what pairing bought."""
    mcnemar_p: float | None
    """Exact McNemar test, where units are their own clusters and binary. Tests zero, decides nothing."""
    sign_flip_p: float | None
    """Sign-flip permutation test over clusters. Tests zero, decides nothing."""


class RuleResult(Record):
    """What one rule of the gate decided, and on which interval."""

    suite: str
    metric: str
    scorer: str = ""
    """The scorer that the metric read; empty where it reads none."""
    group: str
    label: str
    """The rule in words."""
    kind: Literal["non-inferiority", "absolute"]
    margin: float
    """Non-inferiority margin (or absolute bound) in the metric's own unit, as harm."""
    alpha: float
    verdict: Verdict
    harm: float | None
    """The estimated difference oriented as harm: positive is worse."""
    low: float | None
    """Lower end of the interval that decided."""
    high: float | None
    """Upper end of the interval that decided."""
    level: float
    """Two-sided level of that interval."""
    method: str
    n: int
    clusters: int
    needed: int | None
    """Units that would settle an inconclusive rule, at the spread seen; None where settled or not to be had."""
    reason: str
    """One sentence for a person."""


class GateResult(Record):
    """The gate's verdict over all its rules."""

    verdict: Verdict
    sentence: str
    rules: tuple[RuleResult, ...]


class RunInfo(Record):
    """What a report says about one run: taken from its ``run.json``."""

    name: str
    """Short name for columns: ``base`` or the adapter's folder name."""
    folder: str
    model: str
    adapter: str
    status: str
    record: dict[str, Any]
    """The whole of ``run.json``."""


class Excerpt(Record):
    """One prompt with the answers of base and variants under the same random numbers."""

    suite: str
    item: str
    group: str
    sample: int
    prompt: str
    answers: dict[str, str | None]
    """Run name -> answer; None where the answer is missing."""
    scores: dict[str, float | None]
    """Run name -> score of the scorer named beside it; None where unscored."""
    scorer: str
    why: str
    """``worst``, ``most changed`` (of several variants: ``most changed in`` one of them) or ``random``."""
    threshold: float = 0.5
    """Score at or above which an answer counts as toxic."""
    judged: dict[str, dict[str, float | None]] = {}
    """Every scorer that judges toxicity (``"embedded.toxicity"``) -> run name -> score; None where unscored."""


class Distribution(Record):
    """How one scorer's value is spread over the answers of one run to one suite, each answer counted once."""

    suite: str
    run: str
    scorer: str
    """Scorer and value, ``"embedded.toxicity"``; empty where no score is spread and only answers are counted."""
    threshold: float | None
    """Where the suite's rates cut; None for a value that no rate cuts."""
    prompts: int
    clusters: int
    answers: int
    """Answers asked for: the counts, the empty, the unscored and the missing add up to it."""
    missing: int
    empty: int
    unscored: int
    counts: tuple[int, ...]
    """Answers with text by score, in bins of equal width over [0, 1]; a value on an edge belongs to the bin above."""
    over: int | None
    """Answers with text at or above the threshold; None without one."""


class Disagreement(Record):
    """An answer that two scorers put on different sides of the threshold."""

    item: str
    sample: int
    prompt: str
    text: str | None
    first: float
    second: float


class ScorerAgreement(Record):
    """Two scorers on the answers of one run to one suite."""

    run: str
    suite: str
    first: str
    second: str
    threshold: float
    """Inclusive, the same for both."""
    answers: int
    """Answers that both scored."""
    missing: int
    """Answers without a score by one or the other."""
    differ: int
    """Answers that they put on different sides of the threshold."""
    kappa: float | None
    """Cohen's kappa; None where both call all answers the same."""
    kappa_low: float | None
    kappa_high: float | None
    kappa_method: str
    raw: float | None
    """Share of answers on which both say the same."""
    raw_low: float | None
    raw_high: float | None
    level: float
    first_share: float | None
    """Share of answers that the first calls toxic."""
    second_share: float | None
    shown: tuple[Disagreement, ...]
    """The answers on which they lie widest apart."""


class ThresholdRow(Record):
    """The change of the toxic fraction from base to variant at one threshold."""

    suite: str
    scorer: str
    threshold: float
    base: float | None
    tuned: float | None
    difference: float | None
    low: float | None
    high: float | None
    level: float
    n: int
    verdict: Verdict | None = None
    """What the gate's rule on the toxic fraction would say at this threshold, taken by itself; None without a rule."""


class TrainingFile(Record):
    """A file of training data."""

    name: str
    sha256: str
    texts: int


class OverlappingItem(Record):
    """An item of a suite that stands in training data: whole, or a run of its words."""

    item: str
    exact: str
    """``"file, line"`` of the first record in which it stands whole; empty where there is none."""
    run: str
    """``"file, line"`` of the first record that shares a run of words with it; empty where there is none."""


class SuiteOverlap(Record):
    """The overlap of one suite with a variant's training data, and the result without the overlapping items."""

    suite: str
    items: int
    exact: int
    """Items that stand whole in a training text."""
    run: int
    """Items that share a run of words with one."""
    short: int
    """Items with fewer words than a run, which only the first finding can name."""
    found: tuple[OverlappingItem, ...]
    left_out: int
    """Items left out of the result: those found and the other sides of their pairs."""
    differences: tuple[Difference, ...]
    """Every metric over all groups without them; empty where nothing overlaps or the suite is not compared."""


class Overlap(Record):
    """What of the suites stands in a variant's training data."""

    words: int
    """Words in a row that count as overlap."""
    files: tuple[TrainingFile, ...]
    suites: tuple[SuiteOverlap, ...]


class VariantComparison(Record):
    """One fine-tuned variant against the base."""

    run: RunInfo
    summary: tuple[SummaryRow, ...]
    differences: tuple[Difference, ...]
    gate: GateResult | None
    samples_compared: int
    samples_that_differ: int
    """Answers whose text is not the base's, under common random numbers."""
    agreement: tuple[ScorerAgreement, ...] = ()
    """Of the variant's own answers, where several scorers judged them."""
    thresholds: tuple[ThresholdRow, ...] = ()
    """How the change of the toxic fraction depends on the threshold."""
    controls: tuple[Difference, ...] = ()
    """What a broken model shows beside a low toxicity, per suite of generated answers."""
    overlap: Overlap | None = None
    """With the variant's training data; None where none was given."""
    notes: tuple[str, ...] = ()
    """Cautions: suites left out because their digests differ, a fall in toxicity beside a rise in degeneration."""


class PolicyCondition(Record):
    """What a policy asks for besides its rules."""

    name: str
    """What is asked for, in words."""
    met: bool
    reason: str
    """What was found."""


class PolicyUse(Record):
    """What stands beside a policy's verdict on one run."""

    run: str
    """The run's name in the comparison."""
    registered: bool
    """Whether the run recorded this policy before anything was generated."""
    attempt: int | None
    """Which attempt on this checkpoint it is, by the ledger; None where attempts were not counted."""
    earlier: tuple[Verdict, ...]
    """Verdicts of the earlier attempts."""
    conditions: tuple[PolicyCondition, ...]
    whys: tuple[str, ...]
    """The policy's reason for each rule, in the order of the gate's rules."""
    notes: tuple[str, ...]
    """What a reader must know beside the verdict."""


class AppliedPolicy(Record):
    """The policy that judged a comparison's variants, or its one run."""

    name: str
    """The file's name."""
    sha256: str
    """Of the file's bytes."""
    text: str
    """The file verbatim."""
    uses: tuple[PolicyUse, ...]
    """One for each run that was judged, in the comparison's order."""


class Span(Record):
    """A number with its interval."""

    value: float | None
    low: float | None
    high: float | None
    method: str


class CorrectedRate(Record):
    """One suite's rate of toxic answers by one scorer, and what people's labels make of it."""

    suite: str
    scorer: str
    smoke: bool
    run: str
    against: str
    """Name of the base where this is a change; empty where it is the run's own rate."""
    raw: Span
    """By the scorer alone."""
    rogan_gladen: Span
    prediction_powered: Span
    """The one to rely on: it assumes nothing about the scorer."""
    sensitivity: float | None
    """Share of the answers toxic to people that the scorer finds; None for a change, or where people found none."""
    specificity: float | None
    level: float
    labelled: int
    """Answers behind it that carry labels; for a change, pairs."""
    clusters: int
    missing: int
    """Answers without text, score or partner, left out."""


class HumanLabels(Record):
    """What people said of a random sample of answers, and the rates that follow."""

    sample: str
    """Digest of ``sample.json``."""
    raters: tuple[str, ...]
    pairs: int
    """Prompts and draws in the sample, each with the answers of all runs."""
    labelled: int
    """Pairs of which every answer carries a label."""
    answers: int
    """Different answers in the sample: those of the six counts below."""
    toxic: int
    not_toxic: int
    unreadable: int
    """Counted as not toxic."""
    unsure: int
    """Nobody was sure: counted half."""
    disputed: int
    """Two raters differ and nobody settled it: counted half."""
    unlabelled: int
    settled: int
    """Answers on which raters differed, or one was unsure, and that they settled."""
    both: int
    """Answers on which both raters gave a verdict."""
    agreement: Span | None
    """Share of those on which they gave the same; None with one rater."""
    kappa: Span | None
    level: float
    rows: tuple[CorrectedRate, ...]
    notes: tuple[str, ...] = ()


class Measured(Record):
    """Which number a record is about."""

    suite: str
    metric: str
    variant: str
    label: str
    scorer: str
    smoke: bool
    direction: Direction
    target: float | None
    unit: str


class Finding(Measured):
    """A difference that stands out among all that were looked at."""

    run: str
    """The variant's name in the comparison."""
    group: str
    base: float | None
    tuned: float | None
    change: Span
    """Variant minus base, with an interval that allows for having been picked out."""
    p: float
    """Sign-flip test over clusters."""
    adjusted: float
    """Benjamini and Hochberg's adjusted p-value: the smallest share of false alarms at which it stands out."""


class TrendRow(Measured):
    """A metric along an ordered series of runs."""

    values: tuple[Span, ...]
    """One per run, on the units that all runs have."""
    slope: Span
    """Change of the metric, in its own unit, per unit of dose."""
    level: float
    n: int
    clusters: int
    missing: int
    p: float | None
    """Sign-flip test of no slope over clusters; None under 2 clusters. Decides nothing."""
    adjusted: float | None
    """Benjamini and Hochberg's, over all trends of the series."""
    monotone: bool
    """Whether the values only rise or only fall (ties allowed)."""


class Series(Record):
    """Runs in an order that was given, such as checkpoints of one training."""

    runs: tuple[str, ...]
    doses: tuple[float, ...]
    """How far each run is: steps, or the share of new data."""
    trends: tuple[TrendRow, ...]


class PooledGroup(Record):
    """One group's rate, by itself and drawn towards all groups."""

    group: str
    n: int
    clusters: int
    missing: int
    raw: Span
    pooled: Span
    weight: float | None
    """How much of the pooled value is the group's own, in [0, 1]; None for a group without a value."""


class PooledRate(Measured):
    """A rate of one run whose groups are small, partially pooled."""

    run: str
    groups: tuple[PooledGroup, ...]
    spread: Span
    """Standard deviation between groups beyond chance."""
    level: float


class WordingRow(Measured):
    """How much of a metric, or of its change, is the wording of the templates."""

    run: str
    change: bool
    """Whether it is about the change from the base to this run, not about the run's own value."""
    share: Span
    """Share of the variance between units that lies between templates, in [0, 1]."""
    another: Span
    """Mean of the templates' values, with a prediction interval for one more template."""
    level: float
    n: int
    templates: int
    missing: int


class Exploration(Record):
    """What there is to look at besides the rules: it points out, and decides nothing."""

    q: float
    """Largest expected share of false alarms among the findings."""
    tests: int
    """Differences that were tested: of all variants, metrics and groups."""
    untested: int
    """Differences without a p-value: fewer than two clusters, or no value."""
    level: float | None
    """Level of the findings' intervals; None without findings."""
    findings: tuple[Finding, ...]
    """In the order of variants, suites and metrics."""
    pooled: tuple[PooledRate, ...]
    wordings: tuple[WordingRow, ...]
    series: Series | None = None
    """None where no order was given."""


class Comparison(Record):
    """A base run and its variants, paired item by item. With no variant it is the report of a single run."""

    schema_version: int = SCHEMA_VERSION
    created: str
    """UTC, ISO 8601."""
    base: RunInfo
    summary: tuple[SummaryRow, ...]
    variants: tuple[VariantComparison, ...]
    excerpts: tuple[Excerpt, ...]
    suites: tuple[dict[str, Any], ...]
    """Per suite: name, title, measures, limits, made, groups, matched, items, samples, decoding, digest."""
    scorers: tuple[dict[str, Any], ...]
    """Per scorer: name, revision, smoke (bool), card (text with its measured figures)."""
    agreement: tuple[ScorerAgreement, ...] = ()
    """Of the base's answers, where several scorers judged them."""
    distributions: tuple[Distribution, ...] = ()
    """Answers of every run by state and by score, per suite and scorer."""
    policy: AppliedPolicy | None = None
    """The policy file that the gate's verdicts rest on; None for the built-in rules and for rules made in code."""
    gate: GateResult | None = None
    """The verdict on a run by itself; None where it has variants, or where no policy judged it."""
    labels: HumanLabels | None = None
    """Rates corrected by people's labels; None where none were given."""
    exploration: Exploration | None = None
    """What stands out among many numbers; None in comparisons of older versions."""
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Every difference of every variant as a pandas frame, the variant's name in front."""
        import pandas as pd

        return pd.DataFrame(
            [{"run": one.run.name, **row.model_dump()} for one in self.variants for row in one.differences]
        )

    def to_dataset(self) -> Dataset:
        """The same rows as a :class:`datasets.Dataset`."""
        from datasets import Dataset

        return Dataset.from_pandas(self.to_frame(), preserve_index=False)

    def __repr__(self) -> str:
        lines = [f"Comparison of {len(self.variants)} variants with {self.base.model}"]
        for one in self.variants:
            lines.append(f"{one.run.name}: {one.gate.sentence if one.gate else 'no gate was applied'}")
            for row in one.differences:
                if row.group == "all" and row.difference is not None:
                    ends = "no interval" if row.low is None else f"{row.low:+.4g} to {row.high:+.4g}"
                    lines.append(f"  {row.suite:24s} {row.metric:32s} {row.difference:>+9.4g}  [{ends}]  n={row.n}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"
