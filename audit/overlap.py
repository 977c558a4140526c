"""How much of the suites stands in a variant's training data, and what the comparison says without those items."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from audit import provenance
from audit.errors import UnknownNameError, UsageError
from audit.exploration import described
from audit.finetuning.records import Record, read_records
from audit.gate_pairing import Table, pair_runs
from audit.metrics import registry
from audit.metrics.contamination import RUN, Contamination, contamination, without
from audit.metrics.paired import pair_units
from audit.metrics.power import smallest_change
from audit.results import Run
from audit.schema import (
    Comparison,
    Difference,
    Overlap,
    OverlappingItem,
    SuiteOverlap,
    TrainingFile,
)
from audit.summary import ALL, suite_metrics, values_of


@dataclass(frozen=True, slots=True)
class _Training:
    """One file's records, and what the record says of the file."""

    file: TrainingFile
    records: tuple[Record, ...]


def attach(found: Comparison, runs: Sequence[Run | str | Path], given: Sequence[str]) -> Comparison:
    """The comparison with each variant's overlap.

    Args:
        found: of these runs.
        runs: the base, then its variants, in the comparison's order.
        given: ``"NAME=FILE"`` for one variant, or ``"FILE"`` for all of them; several files of a variant are one set.

    Returns:
        The same comparison; variants without a file have no overlap.

    Raises:
        UnknownNameError: no variant has that name.
        UsageError: there is no variant.
        DataError: a file cannot be read, or a line of it is no training record.
    """
    names = [one.run.name for one in found.variants]
    files = _files(given, names)
    read = {path: _read(path) for paths in files.values() for path in paths}
    base, *others = (run if isinstance(run, Run) else Run(run) for run in runs)
    variants = [
        one.model_copy(update={"overlap": overlap(base, other, [read[path] for path in files[one.run.name]])})
        if files[one.run.name] else one
        for one, other in zip(found.variants, others, strict=True)
    ]  # fmt: skip
    return found.model_copy(update={"variants": tuple(variants)})


def _files(given: Sequence[str], names: Sequence[str]) -> dict[str, list[Path]]:
    """Variant -> its files, each once."""
    if given and not names:
        raise UsageError("--training-data is a variant's: give a variant to compare with the base")
    files: dict[str, list[Path]] = {name: [] for name in names}
    for words in given:
        name, parted, path = words.partition("=")
        if not parted or (name not in names and Path(words).is_file()):
            whom, path = list(names), words
        elif name in names:
            whom = [name]
        else:
            raise UnknownNameError("variant", name, names)
        if not path:
            raise UsageError(f"--training-data {words!r} names no file; write NAME=FILE or FILE")
        for one in whom:
            if Path(path) not in files[one]:
                files[one].append(Path(path))
    return files


def _read(path: Path) -> _Training:
    records = read_records(path)
    file = TrainingFile(name=path.name, sha256=provenance.sha256_file(path), texts=len(records))
    return _Training(file, records)


def overlap(base: Run, tuned: Run, training: Sequence[_Training]) -> Overlap:
    """The overlap of every suite of a variant with its training data.

    Args:
        base: of the comparison.
        tuned: the variant.
        training: its files.

    Returns:
        Per suite what overlaps, and, where it is compared with the base, all metrics without that.
    """
    places = [f"{one.file.name}, line {record.line}" for one in training for record in one.records]
    texts = [record.prompt + record.completion for one in training for record in one.records]
    found = {name: contamination([one.item for one in tuned.answers.get(name, ())], texts) for name in tuned.suites}
    pair = pair_runs(base, tuned)
    touched = {name: one.ids for name, one in found.items() if one.found and name in pair.shared}
    before, after = (_left(run, touched) for run in (base, tuned))
    rows = [_difference(base, key, before, after) for key in before if key in after and key not in pair.apart]
    return Overlap(
        words=RUN, files=tuple(one.file for one in training),
        suites=tuple(_suite(name, tuned, one, places, rows) for name, one in found.items()),
    )  # fmt: skip


def _left(run: Run, touched: Mapping[str, Collection[str]]) -> Table:
    """Units of a run by (suite, metric, scorer) without the items that overlap, for the suites that have some."""
    return {
        (name, metric.name, metric.scorer): metric.units(without(run.answers[name], ids))
        for name, ids in touched.items()
        for metric in suite_metrics(run.suites[name], values_of(run.record["scorers"]))[0]
    }


def _difference(base: Run, key: tuple[str, str, str], before: Table, after: Table) -> Difference:
    """The paired difference over all groups, of what is left."""
    found = registry.paired_difference(before[key], after[key], level=0.95, seed=base.seed)
    detectable = smallest_change(pair_units(before[key], after[key]), found)
    return Difference(**described(base, key), group=ALL, detectable=detectable, **asdict(found))


def _suite(
    name: str, tuned: Run, found: Contamination, places: Sequence[str], rows: Sequence[Difference]
) -> SuiteOverlap:
    answers = tuned.answers.get(name, ())

    def place(number: int | None) -> str:
        return "" if number is None else places[number]

    return SuiteOverlap(
        suite=name, items=found.items, exact=found.exact, run=found.run, short=found.short,
        found=tuple(
            OverlappingItem(item=one.item, exact=place(one.exact), run=place(one.run)) for one in found.found
        ),
        left_out=len(answers) - len(without(answers, found.ids)),
        differences=tuple(row for row in rows if row.suite == name),
    )  # fmt: skip
