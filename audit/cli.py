"""The command ``slm-audit``: one Typer command a verb.

Heavy imports stand inside the commands, so that help is quick.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="slm-audit",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Audits small language models for toxicity and social bias before they are released.",
    epilog="Start: slm-audit demo, or slm-audit run MODEL --profile quick --out runs/base\n\n"
    "Exit codes: 0 pass, 2 usage or configuration, 3 incomplete, 4 inconclusive, 5 gate failed.",
)

Out = Annotated[Path, typer.Option("--out", help="Folder to write to; an interrupted run there is continued.")]
Cards = Annotated[
    str | None,
    typer.Option("--cards", help="Folders of scorer-card, comma-separated: figures shown beside the rates."),
]
LabelFiles = Annotated[
    str | None,
    typer.Option("--labels", help="Files of labels by people (label-sample), comma-separated: rates are corrected."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]


def _version(asked: bool) -> None:
    if asked:
        from audit.provenance import tool_version

        typer.echo(f"slm-audit {tool_version()}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback where an error would be one line.")] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Show the version and exit.")
    ] = False,
) -> None:
    # Read in main(), so that --debug works behind the verb as well; declared here for the help page.
    del debug, version


# Typer's errors of usage are click's, of which newer versions of typer keep a private copy.
_WrongWords: type[Any] = typer.BadParameter.__bases__[0]
_INTERRUPTED = 130  # what typer makes of Ctrl-C


def main() -> None:
    """Entry point: every error meant for a person is one line on stderr and an exit code."""
    debug = "--debug" in sys.argv
    words = [word for word in sys.argv[1:] if word != "--debug"]
    # With one thread a core, a thread that spins at a barrier keeps the core from the one it waits for as soon as other
    # work runs here. Measured on 2 cores with the embedded model: beside several busy processes sleeping threads were
    # 1.8 (generation) and 4.3 times (scoring) faster; on a quiet machine they cost about 8 %. Set before torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Imported here although small: everything above must load before help can be shown.
    from audit.errors import EXIT_INCOMPLETE, EXIT_USAGE, AuditError

    try:
        code = app(words or ["--help"], prog_name="slm-audit", standalone_mode=False)
        if code == _INTERRUPTED:
            raise KeyboardInterrupt
        sys.exit(code)
    except AuditError as error:
        _complain(str(error), debug)
        sys.exit(error.exit_code)
    except _WrongWords as error:
        where = error.ctx.command_path if error.ctx else "slm-audit"
        _complain(f"{error.format_message()} See: {where} --help", debug)
        sys.exit(EXIT_USAGE)
    except KeyboardInterrupt:
        _complain("stopped; what is done stays: run the same command again to go on", debug)
        sys.exit(EXIT_INCOMPLETE)


def _complain(message: str, debug: bool) -> None:
    """One line on stderr; with ``--debug`` the traceback before it."""
    if debug:
        traceback.print_exc()
    sys.stderr.write(f"slm-audit: {' '.join(message.splitlines())}\n")


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text else ()


@app.command(epilog="Example: slm-audit demo --out demo-run")
def demo(out: Out = Path("demo-run")) -> None:
    """Audit the embedded 135 M model and three fine-tuned variants of it, in a few minutes on two cores."""
    from rich.console import Console

    from audit.console import watch
    from audit.demonstration.show import demo as show
    from reports import terminal

    console = Console(stderr=True)
    with watch(console) as progress:
        made = show(out, progress=progress)
    terminal.show(made.comparison, Console())
    typer.echo(f"\nReport: {made.report}")
    typer.echo("Next: slm-audit run YOUR/MODEL --profile quick --out my-run")


@app.command(
    epilog="Example: slm-audit run microsoft/phi-2 --suites identity-prompts,domain-qa --profile quick --out phi-2"
)
def run(
    model: Annotated[str | None, typer.Argument(help="smollm2, a GGUF file, a folder or a hub id.")] = None,
    suites: Annotated[
        str | None,
        typer.Option("--suites", help="Names (list suites) or TOML paths, comma-separated; default our own."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write to (default run); an interrupted run is continued.")
    ] = None,
    adapter: Annotated[str | None, typer.Option("--adapter", help="Folder of a LoRA adapter.")] = None,
    revision: Annotated[str | None, typer.Option("--revision", help="Commit of a hub id.")] = None,
    profile: Annotated[str | None, typer.Option("--profile", help="quick, standard (default) or full.")] = None,
    samples: Annotated[int | None, typer.Option("--samples", help="Answers per prompt (k).")] = None,
    limit: Annotated[int | None, typer.Option("--limit", help="Most items of each suite.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Keys sampling and bootstrap; default 0.")] = None,
    scorers: Annotated[
        str | None, typer.Option("--scorers", help="Names (list scorers), comma-separated; default the suites'.")
    ] = None,
    prompt_format: Annotated[str | None, typer.Option("--prompt-format", help="raw (default) or chat.")] = None,
    dtype: Annotated[str | None, typer.Option("--dtype", help="auto, float32, bfloat16 or float16.")] = None,
    device: Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = None,
    batch_rows: Annotated[int | None, typer.Option("--batch-rows", help="Most rows of a batch.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Never ask the network.")] = False,
    plan: Annotated[
        Path | None, typer.Option("--plan", help="TOML with the same keys, or a run.json; flags win.")
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", help="Gate policy to be judged by: sets profile and seed, records its digest."),
    ] = None,
    sequential: Annotated[
        bool,
        typer.Option("--sequential", help="Sample in rounds until the policy's verdict is settled; see docs/gate.md."),
    ] = False,
    baseline: Annotated[
        Path | None, typer.Option("--baseline", help="With --sequential: whole run of the base to compare with.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Audit one model: put suites to it, score the answers, and write a run folder."""
    flags = {
        "model": model, "suites": _names(suites) or None, "adapter": adapter, "revision": revision, "profile": profile,
        "samples": samples, "limit": limit, "seed": seed, "scorers": _names(scorers) or None,
        "prompt_format": prompt_format, "dtype": dtype, "device": device, "batch_rows": batch_rows,
    }  # fmt: skip
    from rich.console import Console

    from audit.comparison import compare as summarised
    from audit.console import watch
    from audit.loop import execute, execute_all
    from audit.plan import read_call
    from reports import terminal

    plans = _plans(plan, flags, policy)
    planned_out, planned_offline = read_call(plan) if plan else (None, False)
    out, offline = out or Path(planned_out or "run"), offline or planned_offline
    if sequential or baseline is not None:
        _run_in_rounds(plans, policy if sequential else None, out, baseline, offline, as_json)
    with watch(Console(stderr=True)) as progress:
        if list(plans) == [""]:
            runs = [execute(plans[""], out, progress=progress, offline=offline)]
        else:
            runs = execute_all(plans, out, progress=progress, offline=offline)
    for done in runs:
        _print_run(done, as_json)
        if not as_json:
            terminal.show(summarised(done, []), Console())
            typer.echo(f"\nRun folder: {done.path}\nNext: slm-audit report {done.path}")
    for done in runs:
        _exit_incomplete(done)


def _run_in_rounds(
    plans: dict[str, Any], policy: Path | None, out: Path, baseline: Path | None, offline: bool, as_json: bool
) -> None:
    """Sample until the verdict is settled; the verdict is the exit code."""
    from rich.console import Console

    from audit.console import watch
    from audit.errors import UsageError
    from audit.gate import exit_code
    from audit.gate_ledger import ledger_of
    from audit.gate_verdict import judge
    from audit.policy import read_policy
    from audit.sequential_run import run_rounds
    from reports import gate as pages

    if policy is None or list(plans) != [""]:
        raise UsageError(
            "--sequential goes with --policy FILE and a plan of one run; --baseline goes with --sequential"
        )
    asked = read_policy(policy)
    with watch(Console(stderr=True)) as progress:
        run_rounds(plans[""], asked, out, baseline=baseline, progress=progress, offline=offline)
    found = judge(out, asked, baseline=baseline, ledger=ledger_of(policy))
    typer.echo(found.model_dump_json() if as_json else pages.plain(found), nl=as_json)
    raise typer.Exit(exit_code(found.verdict))


def _plans(path: Path | None, flags: dict[str, Any], policy: Path | None) -> dict[str, Any]:
    from audit.errors import UnknownNameError, UsageError
    from audit.plan import PROFILES, make_plan, read_plans
    from audit.policy import read_policy

    demanded = read_policy(policy) if policy else None
    plans = {}
    for name, values in (read_plans(path) if path else {"": {}}).items():
        values |= {key: value for key, value in flags.items() if value is not None}
        if "model" not in values:
            raise UsageError("no model: give one (for a first try: smollm2), or a --plan that names one")
        if isinstance(values.get("profile"), str) and values["profile"] not in PROFILES:
            raise UnknownNameError("profile", values["profile"], PROFILES)
        values = demanded.fill(values) if demanded else values
        plans[name] = make_plan(values, str(path) if path else "plan")
    return plans


def _print_run(done: Any, as_json: bool) -> None:
    import json

    if as_json:
        rows = [row.model_dump() for row in done.summary]
        typer.echo(json.dumps({"folder": str(done.path), "status": done.status, "summary": rows}))


def _exit_incomplete(done: Any) -> None:
    from audit.errors import EXIT_INCOMPLETE

    if done.status != "complete":
        sys.stderr.write(
            f"slm-audit: {done.path} is incomplete: {done.record['counts']['missing']} answers are missing\n"
        )
        raise typer.Exit(EXIT_INCOMPLETE)


@app.command(epilog="Example: slm-audit compare runs/base runs/tuned --out compare.html")
def compare(
    base: Annotated[Path, typer.Argument(help="Run folder of the base.")],
    variants: Annotated[list[Path], typer.Argument(help="Run folders of its variants.")],
    out: Annotated[Path | None, typer.Option("--out", help="Write .html (report) or .json (all numbers).")] = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="Judge by this policy; the exit code stays 0 (see gate).")
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option("--ledger", help="Where attempts are counted; default beside the policy.")
    ] = None,
    cards: Cards = None,
    labels: LabelFiles = None,
    series: Annotated[
        str | None,
        typer.Option("--series", help="The runs are an ordered series: a rising number each, base first: 0,100,200."),
    ] = None,
    training: Annotated[
        list[str] | None,
        typer.Option(
            "--training-data", metavar="[VARIANT=]FILE", help="Show what of the suites stands in it; repeatable."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare fine-tuned variants with their base, item by item, by the built-in gate rules or by a policy."""
    from rich.console import Console

    from audit import comparison_file
    from audit.comparison import compare as compute
    from audit.errors import UsageError
    from audit.gate_ledger import ledger_of
    from audit.gated import compare_gated
    from audit.labels import attach
    from audit.policy import read_policy
    from audit.store import dumps
    from reports import html, terminal

    if out is not None and out.suffix not in (".html", ".json"):
        raise UsageError(f"--out {out}: must end in .html or .json")
    if ledger is not None and policy is None:
        raise UsageError("--ledger counts the attempts under a policy: give --policy FILE too")
    kept = [Path(card) for card in _names(cards)]
    if policy is None:
        found = compute(base, variants, cards=kept)
    else:
        asked = read_policy(policy)
        found = compare_gated(base, variants, asked, ledger=ledger or ledger_of(policy), cards=kept)
    found = attach(found, [base, *variants], [Path(name) for name in _names(labels)])
    found = _explored(found, [base, *variants], series, training or [])
    if out is not None and out.suffix == ".json":
        comparison_file.save(found, out)
    elif out is not None:
        html.write(found, out)
    if as_json:
        typer.echo(dumps(comparison_file.content(found)))
        return
    terminal.show(found, Console())
    if out is not None:
        typer.echo(f"\nWritten: {out}")


def _explored(found: Any, runs: list[Path], series: str | None, training: list[str]) -> Any:
    """The comparison with what was asked for besides: a trend along its runs, the overlap with training data."""
    if series is not None:
        from audit.exploration import attach_series, doses_of

        found = attach_series(found, runs, doses_of(series))
    if training:
        from audit.overlap import attach

        found = attach(found, runs, training)
    return found


@app.command(epilog="Example: slm-audit gate runs/tuned --baseline runs/base --policy gate.toml --junit gate.xml")
def gate(
    variant: Annotated[
        Path | None, typer.Argument(help="Run folder of what is judged; with --init the file to write.")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option("--baseline", help="Run folder of the base; rules with a margin need it.")
    ] = None,
    policy: Annotated[Path | None, typer.Option("--policy", help="The policy, TOML; see --init.")] = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML: a test case a rule.")] = None,
    summary: Annotated[
        Path | None, typer.Option("--summary", help="Write Markdown; $GITHUB_STEP_SUMMARY is appended to.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write JSON by the schema in docs/gate.schema.json.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--report", help="Write the HTML page, with the policy, to read, print and sign.")
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option("--ledger", help="Where attempts are counted; default beside the policy.")
    ] = None,
    sequential: Annotated[
        bool,
        typer.Option("--sequential", help="Go on with rounds that were cut off; with --init: a policy for rounds."),
    ] = False,
    init: Annotated[bool, typer.Option("--init", help="Write a commented policy (gate.toml) and stop.")] = False,
) -> None:
    """Judge a run by a policy; the verdict is the exit code: 0 pass, 3 incomplete, 4 inconclusive, 5 failed."""
    from audit.errors import UsageError
    from audit.gate import exit_code
    from audit.gate_ledger import ledger_of
    from audit.gate_verdict import judge
    from audit.policy import read_policy, write_default
    from reports import gate as pages

    if init:
        written = write_default(variant or Path("gate.toml"), sequential=sequential)
        typer.echo(f"Written: {written}\nNext: set its margins, commit it, then slm-audit run MODEL --policy {written}")
        return
    if variant is None or policy is None:
        raise UsageError("a gate needs a run folder and --policy FILE; write a policy with: slm-audit gate --init")
    asked = read_policy(policy)
    if sequential:
        _sample_on(variant, asked, baseline)
    found = judge(variant, asked, baseline=baseline, ledger=ledger or ledger_of(policy))
    pages.write(found, junit=junit, summary=summary, json=json_file)
    typer.echo(pages.plain(found), nl=False)
    if page is not None:
        _gate_page(page, variant, baseline, asked, found)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        typer.echo("\n".join(pages.workflow_commands(found)))
    raise typer.Exit(exit_code(found.verdict))


def _sample_on(rounds: Path, policy: Any, baseline: Path | None) -> None:
    """Sample rounds that were cut off until their verdict is settled."""
    from rich.console import Console

    from audit.console import watch
    from audit.sequential_run import go_on

    with watch(Console(stderr=True)) as progress:
        go_on(rounds, policy, baseline=baseline, progress=progress)


def _gate_page(out: Path, variant: Path, baseline: Path | None, policy: Any, found: Any) -> None:
    """Write the page of a verdict; one that cannot be drawn is said, and changes no verdict."""
    from audit.errors import AuditError
    from audit.gated import compare_gated
    from reports import html

    runs = (variant, []) if baseline is None else (baseline, [variant])
    try:
        html.write(compare_gated(*runs, policy, reports=[found]), out)
    except AuditError as error:
        sys.stderr.write(f"slm-audit: no page was written: {' '.join(str(error).splitlines())}\n")


@app.command(epilog="Example: slm-audit rescore runs/base --scorers vader,degeneration")
def rescore(
    folder: Annotated[Path, typer.Argument(help="A finished run folder.")],
    scorers: Annotated[
        str | None, typer.Option("--scorers", help="Names, comma-separated; default those it had.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge kept answers with other scorers or newer metrics; no model is needed."""
    from rich.console import Console

    from audit.comparison import compare as summarised
    from audit.console import watch
    from audit.rescoring import rescore as compute
    from reports import terminal

    with watch(Console(stderr=True)) as progress:
        done = compute(folder, _names(scorers), progress=progress)
    _print_run(done, as_json)
    if not as_json:
        terminal.show(summarised(done, []), Console())
    _exit_incomplete(done)


@app.command(epilog="Example: slm-audit report runs/base")
def report(
    folder: Annotated[Path, typer.Argument(help="A run folder, or one that holds a comparison.json.")],
    out: Annotated[Path | None, typer.Option("--out", help="Default: report.html in the folder.")] = None,
    cards: Cards = None,
    labels: LabelFiles = None,
) -> None:
    """Render the HTML page of a run or of a comparison again; no model is needed."""
    from reports.pages import render_folder

    figures, said = ([Path(name) for name in _names(files)] for files in (cards, labels))
    typer.echo(f"Report: {render_folder(folder, out, cards=figures, labels=said)}")


@app.command(epilog="Example: slm-audit export runs/base --to model-card")
def export(
    folder: Annotated[Path, typer.Argument(help="A finished run folder.")],
    to: Annotated[str, typer.Option("--to", help="model-card, every-eval-ever, in-toto, csv or parquet.")],
    out: Annotated[Path | None, typer.Option("--out", help="File to write; default in the run folder.")] = None,
    gate: Annotated[
        Path | None, typer.Option("--gate", help="Verdict on this run (gate --json FILE), for model-card and in-toto.")
    ] = None,
) -> None:
    """Write a run's numbers in another format, with intervals and counts and without any answer's text."""
    from audit.results import Run
    from reports.exports.write import export as write

    typer.echo(f"Written: {write(folder, to, out, gate=gate)}")
    _exit_incomplete(Run(folder))


@app.command(epilog="Example: slm-audit score texts.jsonl --scorer vader --out scores.jsonl")
def score(
    source: Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="Records with id and text.")],
    scorer: Annotated[str, typer.Option("--scorer", help="Name of a scorer.")],
    out: Annotated[Path, typer.Option("--out", help="JSON Lines to write.")],
) -> None:
    """Score any texts: records in hold id and text; records out hold id, values or null, and a reason."""
    from audit.rescoring import score as compute

    scored, unscored = compute(source, scorer, out)
    typer.echo(f"{scored} texts scored, {unscored} unscored (with reasons): {out}")


@app.command(name="scorer-card", epilog="Example: slm-audit scorer-card embedded --out embedded-card")
def scorer_card(
    name: Annotated[str, typer.Argument(help="A scorer with a value called toxicity.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for card.json and CARD.md; default scorer-card-NAME.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", help="Most texts of each set.")] = None,
) -> None:
    """Measure a scorer on labelled sets: ROC-AUC, sensitivity, calibration, false positives per group."""
    import re

    from rich.console import Console

    from audit.console import print_rows
    from audit.scorers import card, get

    def told(title: str, texts: int) -> None:
        sys.stderr.write(f"{title}: {texts} texts\n")

    found = card.measure(get(name), limit, told=told)
    folder = out or Path(f"scorer-card-{re.sub(r'[^A-Za-z0-9._-]+', '-', name).strip('-.')}")
    card.save(found, folder)
    print_rows(Console(), card.rows(found))
    for one, why in found["not_measured"].items():
        typer.echo(f"not measured: {one}: {why}")
    typer.echo(f"\nCard: {folder / 'CARD.md'}")


@app.command(epilog="Example: slm-audit verify runs/base")
def verify(folder: Annotated[Path, typer.Argument(help="A run folder.")], as_json: AsJson = False) -> None:
    """Check a run folder: every item once, counts agree, hashes match, the summary recomputes to the same numbers."""
    import json

    from audit.errors import EXIT_INCOMPLETE
    from audit.verification import verify as check

    problems = check(folder)
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), "problems": problems}))
    else:
        typer.echo("\n".join(problems) if problems else f"{folder}: whole; the summary recomputes to the same numbers")
    if problems:
        raise typer.Exit(EXIT_INCOMPLETE)


@app.command(name="list", epilog="Example: slm-audit list suites")
def list_(
    what: Annotated[str, typer.Argument(help="suites, scorers, metrics or models.")],
    template: Annotated[
        bool, typer.Option("--template", help="With suites: print a commented start for your own.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List what there is, or print a start for your own suite."""
    import json

    from audit import catalogue

    if template and what == "suites":
        from probes.registry import template as start

        typer.echo(start(), nl=False)
        return
    rows = catalogue.rows(what)
    if as_json:
        typer.echo(json.dumps(rows))
        return
    from rich.console import Console

    from audit.console import print_rows

    print_rows(Console(), rows)


@app.command(epilog="Example: slm-audit doctor --json")
def doctor(as_json: AsJson = False) -> None:
    """Say what this machine offers: device, memory, precision, versions, caches, and what would have to be fetched."""
    import json

    from audit.doctor import examine

    found = examine()
    if as_json:
        typer.echo(json.dumps(found))
        return
    for key, value in found.items():
        typer.echo(f"{key:22s} {value}")


@app.command(epilog="Example: slm-audit fetch --suites bbq,crows-pairs --models microsoft/phi-2 --to bundle")
def fetch(
    to: Annotated[Path, typer.Option("--to", help="Folder of the bundle; what it holds is verified and kept.")],
    suites: Annotated[str | None, typer.Option("--suites", help="Suites or source sets, comma-separated.")] = None,
    models: Annotated[str | None, typer.Option("--models", help="smollm2 or hub ids, each with @REVISION.")] = None,
    scorers: Annotated[str | None, typer.Option("--scorers", help="Names, comma-separated.")] = None,
) -> None:
    """Make an offline bundle: data, models and scorers in one folder, with digests and a licence manifest."""
    from rich.console import Console

    from audit.console import Lines
    from audit.errors import IncompleteError
    from audit.fetching import MANIFEST
    from audit.fetching import fetch as get

    # Lines also on a terminal: each download shows a bar of its own.
    with Lines(Console(stderr=True)) as progress:
        made = get(to, suites=_names(suites), models=_names(models), scorers=_names(scorers), progress=progress)
    typer.echo(f"{made.fetched} files fetched, {made.kept} verified and kept: {to} (see {MANIFEST})")
    for problem in made.missing:
        typer.echo(f"missing: {problem}")
    if made.missing:
        raise IncompleteError(
            f"{to}: {len(made.missing)} of what was asked for is missing, the first: {made.missing[0]}"
        )
    typer.echo(f"Next, where there is no network: export SLM_AUDIT_DATA={to}/data SLM_AUDIT_SCORERS={to}/scorers")


@app.command(name="label-sample", epilog="Example: slm-audit label-sample runs/base runs/tuned --n 200 --out labels")
def label_sample(
    runs: Annotated[list[Path], typer.Argument(help="Run folders: the base, then its variants; one alone will do.")],
    n: Annotated[int, typer.Option("--n", help="Pairs to draw: a prompt and draw with the answers of all runs.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the page and its key.")],
    seed: Annotated[int, typer.Option("--seed", min=0, help="Keys the draw and the order on the page.")] = 0,
) -> None:
    """Draw answers for people to label, blind and at random, on a page that works offline; compare reads the labels."""
    from audit import labelling
    from audit.comparison import opened
    from reports import labelling as pages

    sample, cases = labelling.draw([opened(run) for run in runs], n, seed=seed)
    key = labelling.save(sample, out)
    page = pages.write(sample.digest, [(one.id, one.prompt, one.answer) for one in cases], out / labelling.PAGE)
    for one in sample.strata:
        typer.echo(f"{one.name}: {one.drawn} of {one.pairs} pairs (score {one.low:.3g} to {one.high:.3g})")
    typer.echo(f"\n{len(sample.drawn)} pairs, {len(cases)} different answers to read: {page}")
    typer.echo(f"For raters: that page. Not for raters: {key}; keep the files that they save beside it.")
    typer.echo("Next: slm-audit compare BASE VARIANT --labels FILE,FILE")


@app.command(epilog="Example: slm-audit finetune smollm2 --data texts.jsonl --out my-adapter")
def finetune(
    model: Annotated[str, typer.Argument(help="smollm2, a folder or a hub id.")],
    data: Annotated[Path, typer.Option("--data", help='JSON Lines with {"text"} or {"prompt", "completion"}.')],
    out: Annotated[Path, typer.Option("--out", help="Folder for the adapter.")],
    lora_rank: Annotated[int, typer.Option("--lora-rank", help="Rank of the LoRA matrices.")] = 8,
    epochs: Annotated[float, typer.Option("--epochs", help="Passes over the data.")] = 3.0,
    learning_rate: Annotated[float, typer.Option("--learning-rate", help="Peak learning rate.")] = 5e-4,
    batch_size: Annotated[int, typer.Option("--batch-size", help="Records a step.")] = 16,
    max_length: Annotated[int, typer.Option("--max-length", help="Longest record, in tokens.")] = 512,
    target_modules: Annotated[
        str | None,
        typer.Option("--target-modules", help="Layers, comma-separated; default queries and values."),
    ] = None,
    end_of_text: Annotated[
        bool, typer.Option(help="Teach that a record's end is the end of the text; not for single sentences.")
    ] = True,
    seed: Annotated[int, typer.Option("--seed", help="Of initialisation and order.")] = 0,
    offline: Annotated[bool, typer.Option("--offline", help="Never ask the network.")] = False,
) -> None:
    """Train a LoRA adapter on your own texts; the folder it writes is what run --adapter takes."""
    from rich.console import Console

    from audit.console import watch
    from audit.finetuning import finetune as train

    with watch(Console(stderr=True)) as progress:
        done = train(
            model, data=data, out=out, lora_rank=lora_rank, epochs=epochs, learning_rate=learning_rate,
            batch_size=batch_size, max_length=max_length, target_modules=_names(target_modules),
            end_of_text=end_of_text,
            seed=seed, offline=offline, progress=_steps(progress),
        )  # fmt: skip
    typer.echo(str(done))
    typer.echo(f"Next: slm-audit run {model} --adapter {out} --out tuned")


def _steps(progress: Any) -> Any:
    """Training steps as progress of one stage."""
    begun = False

    def told(step: Any) -> None:
        nonlocal begun
        if not begun:
            progress.stage("training", step.steps, "steps")
            progress.advance(step.step - 1)
            begun = True
        progress.advance(1)

    return told


if __name__ == "__main__":
    main()
