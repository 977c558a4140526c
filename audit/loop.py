"""The loop: plan -> journal -> scores -> summary, all of it resumable.

Running the same command on the same folder again goes on where it stopped; batches that were not finished are done
again whole and in the same composition.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit import provenance, scorers, store
from audit.beside import Beside
from audit.chosen import Chosen, choose
from audit.errors import AuditError, IncompleteError
from audit.forecast import forecast
from audit.journal import JOURNAL, Batch, Mode, read_batches, remaining
from audit.judging import Judging
from audit.opening import begin, header
from audit.plan import PROFILES, Plan, make_plan
from audit.progress import Named, Progress, Silent
from audit.results import Run, owed, read_items
from audit.schema import SCHEMA_VERSION
from audit.summary import LEFT_OUT, left_out_notes, summarise
from probes.sources import without_network
from probes.suite import Item

if TYPE_CHECKING:
    from audit.models import Model, Weights
    from audit.models.halving import Halved

# How the note on batches that were done in parts begins.
_SHORT = "Memory ran short:"


def run(
    model: str,
    suites: Sequence[str] = (),
    out: str | Path = "run",
    *,
    loaded: Model | None = None,
    progress: Progress | None = None,
    offline: bool = False,
    **keys: Any,
) -> Run:
    """Audit one model.

    Args:
        model: ``smollm2``, a GGUF file, a folder or a hub id.
        suites: names, or paths of TOML declarations; none means all.
        out: run folder; a run begun there with the same plan is continued.
        loaded: a model in memory that answers to this plan; saves loading it again.
        progress: told how far the work is.
        offline: never ask the network.
        **keys: any other key of :class:`audit.plan.Plan`.

    Returns:
        The finished run. Its ``status`` is ``incomplete`` where more answers are missing than tolerated.

    Raises:
        audit.errors.AuditError: what was asked cannot be done; everything finished is kept on disk.
    """
    plan = make_plan({**keys, "model": model, "suites": tuple(suites)})
    return execute(plan, out, loaded=loaded, progress=progress, offline=offline)


def execute(
    plan: Plan,
    out: str | Path,
    *,
    loaded: Model | None = None,
    progress: Progress | None = None,
    offline: bool = False,
    argv: Sequence[str] | None = None,
) -> Run:
    """Carry out a validated plan; see :func:`run`."""
    progress = progress or Silent()
    with without_network() if offline else nullcontext():
        chosen = choose(plan)
        judges = [scorers.get(name) for name in _scorer_names(plan, chosen)]
    folder = store.Folder(out)
    with folder.locked():
        model = loaded or load(plan, offline, progress)
        record = header(plan, chosen, judges, model, list(sys.argv if argv is None else argv))
        begin(folder, record, chosen, model, plan)
        with _status_kept(folder):
            left = _left(folder, progress)
            with Judging(folder, judges, beside=_judged_beside(model), say=progress.say) as judging:
                _answer(folder, chosen, left, model, plan, judging, progress)
                judging.finish(progress)
            finish(folder, plan)
    return Run(folder.path)


def execute_all(
    plans: Mapping[str, Plan],
    out: str | Path,
    *,
    weights: Weights | None = None,
    progress: Progress | None = None,
    offline: bool = False,
    argv: Sequence[str] | None = None,
) -> list[Run]:
    """Carry out several plans, each in the folder ``out/name``; plans of one base share one set of loaded weights.

    Args:
        plans: by name.
        out: folder that holds the run folders.
        weights: of the first plan's base, where they are in memory already.
        progress: told how far the work is, with the run's name in front.
        offline: never ask the network.
        argv: the command line to be recorded.

    Returns:
        The runs, in order.

    Raises:
        audit.errors.AuditError: as for :func:`run`; runs finished before are kept.
    """
    from audit.models import Model

    progress = progress or Silent()
    runs: list[Run] = []
    of: tuple[str | None, ...] | None = None
    for name, plan in plans.items():
        told = Named(progress, name)
        base = (plan.model, plan.revision, plan.dtype, plan.device)
        if weights is None or (of is not None and of != base):
            weights = load(plan.model_copy(update={"adapter": None}), offline, told).weights
        of = base
        loaded = Model(weights, Path(plan.adapter) if plan.adapter else None, prompt_format=plan.prompt_format)
        runs.append(execute(plan, Path(out) / name, loaded=loaded, progress=told, argv=argv))
    return runs


def load(plan: Plan, offline: bool, progress: Progress) -> Model:
    """The model of a plan, with its adapter.

    Raises:
        ModelError: it cannot be loaded.
    """
    from audit.models import load_model

    progress.stage(f"loading {plan.model}", 1, "model")
    model = load_model(
        plan.model, revision=plan.revision, adapter=plan.adapter, dtype=plan.dtype, device=plan.device,
        prompt_format=plan.prompt_format, offline=offline,
    )  # fmt: skip
    progress.advance(1)
    return model


def _scorer_names(plan: Plan, chosen: Sequence[Chosen]) -> list[str]:
    if plan.scorers:
        return list(dict.fromkeys(plan.scorers))
    return list(dict.fromkeys(name for one in chosen for name in one.suite.scorers))


@contextmanager
def _status_kept(folder: store.Folder) -> Iterator[None]:
    """Whatever stops a run, its folder says so and stays fit to go on from."""
    try:
        yield
    except KeyboardInterrupt:
        _set_status(folder, "interrupted")
        raise IncompleteError(
            f"stopped on request; everything finished is in {folder.path}: run the same command again to go on"
        ) from None
    except AuditError as error:
        _set_status(folder, "stopped", str(error))
        raise


def _set_status(folder: store.Folder, status: str, why: str | None = None) -> None:
    try:
        record = Run(folder.path).record
        folder.write_run(record | {"status": status} | ({} if why is None else {"stopped_by": why}))
    except AuditError:
        # The disk may be the very thing that failed; the journals are whole and the old run.json still says "running".
        return


def _judged_beside(model: Model) -> bool:
    """Whether answers are judged while the model works.

    On a GPU the processor is free for the scorers, and what they ask of the GPU fills the gaps between the model's
    kernels. On a CPU both want the same cores, all of them: nothing is won, two pools of threads get into each
    other's way, and the memory of both would be needed at once. There the answers are judged at the end.
    """
    return bool(model.weights.device.type == "cuda")


def _left(folder: store.Folder, progress: Progress) -> list[Batch]:
    """The batches still to be done, after cutting unfinished ones off the journals."""
    batches = read_batches(folder)
    left = remaining(folder, batches, progress.say)
    if len(left) < len(batches):
        progress.say(f"going on in {folder.path}: {len(batches) - len(left)} of {len(batches)} batches are done")
    return left


def _answer(
    folder: store.Folder, chosen: Sequence[Chosen], left: Sequence[Batch], model: Model, plan: Plan, judging: Judging,
    progress: Progress,
) -> None:  # fmt: skip
    """Put every batch that is left to the model; each is journalled while the next one is worked on."""
    items = {name: item for name, (_, item) in read_items(folder).items()}
    if left:
        for line in forecast(model, [one.suite for one in chosen], left, items):
            progress.say(line)
    # What the model gave is written whatever happens to the rest.
    with Beside("journal", drop=False) as writer:
        for one in chosen:
            for mode in JOURNAL:
                mine = [batch for batch in left if batch.suite == one.suite.name and batch.mode == mode]
                if not mine:
                    continue
                _begin_part(one, mode, mine, progress)
                for results in _answers(one, mode, mine, items, model, plan, progress, partial(_keep_halved, folder)):
                    writer.call(_keep, folder, mode, [result.record() for result in results], judging)
                    progress.advance(len(results))


def _begin_part(one: Chosen, mode: Mode, batches: Sequence[Batch], progress: Progress) -> None:
    rows = sum(len(batch.keys) for batch in batches)
    verb, unit = ("answering", "answers") if mode == "generate" else ("scoring", "likelihoods")
    progress.stage(f"{verb} {one.suite.name}", rows, unit)


def _answers(
    one: Chosen, mode: Mode, batches: Sequence[Batch], items: Mapping[str, Item], model: Model, plan: Plan,
    progress: Progress, halved: Callable[[Halved], None],
) -> Iterator[Sequence[Any]]:  # fmt: skip
    """What the model gives, batch by batch."""
    suite, entries = one.suite, [batch.entries for batch in batches]
    if mode == "generate":
        return model.generate(items, entries, suite.decoding, plan.seed, say=progress.say, halved=halved)
    return model.loglikelihood(
        items, entries, begin=suite.begin, per_token=suite.per_token, say=progress.say, halved=halved
    )


def _keep_halved(folder: store.Folder, found: Halved) -> None:
    """Count in ``run.json`` a batch that was done in parts; one that is done again after a crash counts again."""
    record = Run(folder.path).record
    had = record.get("halved") or {"batches": 0, "rows": 0, "parts": 0, "ceiling_bytes": found.ceiling}
    record["halved"] = {
        "batches": had["batches"] + 1, "rows": had["rows"] + found.rows, "parts": had["parts"] + found.parts,
        "ceiling_bytes": min(had["ceiling_bytes"], found.ceiling),
    }  # fmt: skip
    folder.write_run(record)


def _halved_notes(record: Mapping[str, Any]) -> list[str]:
    """One sentence where memory ran short, else none."""
    found = record.get("halved")
    if not found:
        return []
    what = "1 planned batch was" if found["batches"] == 1 else f"{found['batches']:,} planned batches were"
    return [
        f"{_SHORT} {what} done in parts, {found['rows']:,} rows in {found['parts']:,} parts, since a batch that takes "
        f"{found['ceiling_bytes'] / 1e6:,.0f} MB by prediction was too much; other batches round otherwise."
    ]


def _keep(folder: store.Folder, mode: Mode, rows: Sequence[dict[str, Any]], judging: Judging) -> None:
    """Journal a batch; only then may its answers be judged."""
    folder.append(JOURNAL[mode][0], rows)
    if mode == "generate":
        judging.take(rows)


def finish(folder: store.Folder, plan: Plan) -> None:
    """Compute the summary, hash the files, and say whether the run is complete."""
    reader = Run(folder.path)
    answers = reader.answers
    rows = summarise(reader.record["suites"], answers, reader.record["scorers"], seed=plan.seed)
    asked = sum(owed(reader, one.item, suite) for suite, part in answers.items() for one in part)
    given = sum(
        sum(sample.text is not None for sample in one.samples) + len(one.likelihoods)
        for part in answers.values()
        for one in part
    )
    missing = asked - given
    folder.write_json(store.SUMMARY, {"schema_version": SCHEMA_VERSION, "rows": [row.model_dump() for row in rows]})
    record = reader.record
    record["counts"] = {
        "items": sum(len(part) for part in answers.values()),
        "samples": sum(len(one.samples) for part in answers.values() for one in part),
        "likelihoods": sum(len(one.likelihoods) for part in answers.values() for one in part),
        "missing": missing,
    }
    record["files"] = provenance.sha256_files(
        folder.path, [store.ITEMS, store.BATCHES, store.SAMPLES, store.LIKELIHOODS, store.SCORES, store.SUMMARY]
    )
    record["notes"] = [note for note in record["notes"] if not note.endswith(LEFT_OUT) and not note.startswith(_SHORT)]
    record["notes"] += [*left_out_notes(record["suites"], record["scorers"]), *_halved_notes(record)]
    record.pop("stopped_by", None)
    record["status"] = "complete" if missing <= plan.missing_tolerance * max(asked, 1) else "incomplete"
    record["ended"] = record["ended"] or provenance.now()
    folder.write_run(record)


__all__ = ["PROFILES", "Chosen", "choose", "execute", "execute_all", "finish", "load", "run"]
