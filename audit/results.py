"""Reading a run folder back: what was asked, what was answered, what was measured."""

from __future__ import annotations

import html
from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit import provenance, run_record, store
from audit.errors import CorruptFolderError
from audit.metrics.answers import Answered, Likelihood, Sample
from audit.schema import SCHEMA_VERSION, RunInfo, SummaryRow
from probes.suite import Item

if TYPE_CHECKING:
    import pandas as pd
    from datasets import Dataset

TABLES = {
    "items": store.ITEMS,
    "samples": store.SAMPLES,
    "likelihoods": store.LIKELIHOODS,
    "scores": store.SCORES,
}

UNSEALED = "run.json is not sealed: it was made by an older version, or lost its seal; edits by hand cannot be seen."
"""Note on a run whose record holds no seal."""
_KEYS = ("status", "plan", "model", "suites", "scorers", "counts", "files", "ended", "resumed", "notes")


def sample_id(item: str, k: int) -> str:
    """Name of the k-th answer to an item, as ``scores.jsonl`` uses it."""
    return f"{item}#{k}"


class Run:
    """A run folder, read lazily.

    Args:
        path: the folder.
        altered: read a record that does not fit its seal, too; only to say what is wrong with it.

    Raises:
        FolderError: there is no run in it.
        CorruptFolderError: it was made by a newer schema, is not JSON, or was altered by hand.
    """

    def __init__(self, path: str | Path, *, altered: bool = False) -> None:
        self.folder = store.Folder(path)
        self.record: dict[str, Any] = self.folder.read_json(store.RUN)
        version = self.record.get("schema_version") if isinstance(self.record, dict) else None
        if version != SCHEMA_VERSION:
            raise CorruptFolderError(
                f"{self.path}: run.json has schema version {version!r}, this slm-audit reads {SCHEMA_VERSION}; "
                "use the version that made it"
            )
        lacking = [key for key in _KEYS if key not in self.record]
        if lacking:
            raise CorruptFolderError(f"{self.path}: run.json has no {', '.join(lacking)}; the file was altered")
        run_record.check(self.record, self.path)
        if not altered and not self.fits_seal:
            raise CorruptFolderError(
                f"{self.path}: run.json was altered by hand since it was written (it does not fit its seal); "
                "restore it, or start over with another --out"
            )

    @property
    def path(self) -> Path:
        """The folder."""
        return self.folder.path

    @property
    def sealed(self) -> bool:
        """Whether the record holds a seal; those of older versions do not."""
        return store.SEAL in self.record

    @property
    def fits_seal(self) -> bool:
        """Whether the record is the one that was sealed; true where it holds no seal."""
        try:
            return not self.sealed or self.record[store.SEAL] == provenance.seal(self.record)
        except ValueError:  # it holds NaN, which was never written
            return False

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know beside the numbers."""
        return (*self.record["notes"], *(() if self.sealed else (UNSEALED,)))

    @property
    def status(self) -> str:
        """``running``, ``interrupted``, ``stopped``, ``incomplete`` or ``complete``."""
        return str(self.record["status"])

    @property
    def name(self) -> str:
        """Short name for tables: the adapter's folder, or the model's name."""
        adapter = self.record["model"]["adapter"]
        return Path(adapter).name if adapter else Path(str(self.record["model"]["name"])).name

    @property
    def suites(self) -> dict[str, dict[str, Any]]:
        """What each suite asked, by name, as recorded."""
        return {suite["name"]: suite for suite in self.record["suites"]}

    @property
    def seed(self) -> int:
        """The run's seed."""
        return int(self.record["plan"]["seed"])

    @cached_property
    def summary(self) -> tuple[SummaryRow, ...]:
        """Every metric with its interval and counts; empty before the run is done."""
        if not self.folder.file(store.SUMMARY).is_file():
            return ()
        return tuple(SummaryRow.model_validate(row) for row in self.folder.read_json(store.SUMMARY)["rows"])

    @cached_property
    def answers(self) -> dict[str, list[Answered]]:
        """Per suite, every item with its samples, likelihoods and scores."""
        return read_answers(self.folder)

    def info(self, name: str | None = None) -> RunInfo:
        """What a report says about this run."""
        model = self.record["model"]
        return RunInfo(
            name=name or self.name, folder=self.path.name, model=str(model["name"]),
            adapter=str(model["adapter"] or ""),
            status=self.status, record=self.record | {"notes": list(self.notes)},
        )  # fmt: skip

    def to_frame(self, table: str = "summary") -> pd.DataFrame:
        """One of the run's tables as a pandas frame.

        Args:
            table: ``summary``, ``items``, ``samples``, ``likelihoods`` or ``scores``.

        Raises:
            KeyError: no such table.
        """
        import pandas as pd

        if table == "summary":
            return pd.DataFrame([row.model_dump() for row in self.summary])
        return pd.DataFrame(self.folder.read_lines(TABLES[table]))

    def to_dataset(self, table: str = "samples") -> Dataset:
        """One of the run's tables as a :class:`datasets.Dataset`; see :meth:`to_frame`."""
        from datasets import Dataset

        return Dataset.from_pandas(self.to_frame(table), preserve_index=False)

    def __repr__(self) -> str:
        lines = [f"Run {self.name} ({self.status}), {len(self.summary)} numbers in {self.path}"]
        for row in self.summary:
            if row.group == "all" and row.value is not None:
                ends = "no interval" if row.low is None else f"{row.low:.4g} to {row.high:.4g}"
                lines.append(
                    f"  {row.suite:24s} {row.metric:32s} {row.value:>9.4g}  [{ends}]  n={row.n} missing={row.missing}"
                )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def owed(run: Run, item: Item, suite: str) -> int:
    """How many rows the plan asks of an item: its choices, or its samples."""
    return len(item.choices) or int(run.suites[suite]["samples"])


def altered_files(folder: store.Folder, record: Mapping[str, Any]) -> list[str]:
    """Files whose sha256 is not the one that ``run.json`` recorded when the run was finished; none before that."""
    recorded: Mapping[str, str] = record["files"]
    now = provenance.sha256_files(folder.path, recorded)
    return [name for name in recorded if now.get(name) != recorded[name]]


def read_items(folder: store.Folder) -> dict[str, tuple[str, Item]]:
    """Item id -> (suite, item), in file order.

    Raises:
        CorruptFolderError: a line lacks a key, or an id occurs twice.
    """
    found: dict[str, tuple[str, Item]] = {}
    for number, row in enumerate(folder.read_lines(store.ITEMS), 1):
        try:
            item = Item(
                id=row["id"], text=row["text"], template=row["template"], group=row["group"], pair=row["pair"],
                choices=tuple(row["choices"]), fields=row["fields"],
            )  # fmt: skip
            suite = row["suite"]
        except (KeyError, TypeError) as error:
            raise _malformed(folder, store.ITEMS, number, error) from None
        if item.id in found:
            raise CorruptFolderError(f"{folder.file(store.ITEMS)}, line {number}: item {item.id!r} occurs twice")
        found[item.id] = (suite, item)
    return found


def read_scores(folder: store.Folder) -> dict[str, dict[str, float | None]]:
    """Sample id -> ``"scorer.value"`` -> value, None where the scorer gave a reason instead.

    Raises:
        CorruptFolderError: a row lacks a key.
    """
    values_of = {scorer["name"]: scorer["values"] for scorer in folder.read_json(store.RUN)["scorers"]}
    found: dict[str, dict[str, float | None]] = defaultdict(dict)
    for number, row in enumerate(folder.read_lines(store.SCORES), 1):
        try:
            given = row["values"] or {}
            for value in values_of.get(row["scorer"], given):
                found[row["sample"]][f"{row['scorer']}.{value}"] = given.get(value)
        except (KeyError, TypeError, AttributeError) as error:
            raise _malformed(folder, store.SCORES, number, error) from None
    return found


def read_answers(folder: store.Folder) -> dict[str, list[Answered]]:
    """Per suite, every item with what the model and the scorers gave for it, in file order.

    Raises:
        CorruptFolderError: a row lacks a key.
    """
    items = read_items(folder)
    scores = read_scores(folder)
    samples: dict[str, list[Sample]] = defaultdict(list)
    for number, row in enumerate(folder.read_lines(store.SAMPLES), 1):
        try:
            sample = Sample(
                k=row["k"], text=row["text"], tokens=row["tokens"], finish=row["finish"],
                scores=scores.get(sample_id(row["item"], row["k"]), {}),
            )  # fmt: skip
            samples[row["item"]].append(sample)
        except (KeyError, TypeError) as error:
            raise _malformed(folder, store.SAMPLES, number, error) from None
    likelihoods: dict[str, list[Likelihood]] = defaultdict(list)
    for number, row in enumerate(folder.read_lines(store.LIKELIHOODS), 1):
        try:
            if row["logprob"] is None:
                # A missing likelihood, with its reason in the journal: to metrics it is not there.
                continue
            likelihoods[row["item"]].append(
                Likelihood(
                    row["choice"],
                    row["logprob"],
                    row["tokens"],
                    tuple(row.get("ids", ())),
                    tuple(row.get("logprobs", ())),
                )
            )
        except (KeyError, TypeError) as error:
            raise _malformed(folder, store.LIKELIHOODS, number, error) from None
    answered: dict[str, list[Answered]] = defaultdict(list)
    for name, (suite, item) in items.items():
        own = tuple(sorted(samples.get(name, ()), key=lambda sample: sample.k))
        scored = tuple(sorted(likelihoods.get(name, ()), key=lambda choice: choice.choice))
        answered[suite].append(Answered(item, own, scored))
    return dict(answered)


def _malformed(folder: store.Folder, name: str, number: int, error: Exception) -> CorruptFolderError:
    what = f"has no {error}" if isinstance(error, KeyError) else str(error)
    return CorruptFolderError(f"{folder.file(name)}, line {number}: {what}; the file was altered")
