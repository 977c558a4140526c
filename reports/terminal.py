"""The comparison as a table in the terminal: a frame and colour where there is a terminal, plain columns where not."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from audit.schema import Comparison, Difference, RuleResult, SummaryRow, VariantComparison
from reports import corrected, exploration, text

_STYLES = {"pass": "bold blue", "fail": "bold red", "inconclusive": "bold yellow", "incomplete": "bold"}
_HEADS = ("metric", "base", "variant", "difference", "interval", "verdict")
_SINGLE = ("metric", "value", "interval", "n", "clusters", "missing")


def show(comparison: Comparison, console: Console | None = None) -> None:
    """Print what changed, a table for each variant; for a single run its values.

    Rows are the metrics over all groups, and every group that a rule of the gate names. Numbers made by a smoke-test
    scorer carry an asterisk; notes say what was left out.

    Args:
        comparison: what to show.
        console: where to print; standard output by default. Where it is no terminal, columns are parted by two or more
            spaces, without colour, frame or line breaks inside a row.
    """
    console = console or Console()
    if not comparison.variants:
        _print(console, comparison.base.name, _SINGLE, _values(comparison.summary), comparison.summary)
        _say(console, comparison.notes)
    for variant in comparison.variants:
        title = f"{variant.run.name} against {comparison.base.name}"
        _print(console, title, _HEADS, rows(variant), variant.differences)
        if variant.gate:
            verdict = variant.gate.verdict
            line = Text(f"{verdict.upper()}: ", style=_STYLES[verdict] if console.is_terminal else "")
            console.print(line.append(_ascii(variant.gate.sentence), style="not bold default"), soft_wrap=True)
        uses = comparison.policy.uses if comparison.policy else ()
        policy = [note for use in uses if use.run == variant.run.name for note in use.notes]
        _say(console, tuple(dict.fromkeys([*variant.notes, *policy])))
        console.print()
    for said in [*corrected.lines(comparison.labels), *exploration.lines(comparison)]:
        console.print(Text(_ascii(said)), soft_wrap=True)


def _say(console: Console, notes: Sequence[str]) -> None:
    """Print what a reader must know beside the numbers: what was left out, and why."""
    for note in notes:
        console.print(Text(f"Note: {_ascii(note)}"), soft_wrap=True)


def rows(variant: VariantComparison) -> list[tuple[str, ...]]:
    """The cells of one variant's table, one tuple of six texts for each metric or rule.

    Args:
        variant: a variant compared with its base.

    Returns:
        (metric, base, variant, difference, interval, verdict); rules without a difference come last.
    """
    rules = {_place(rule): rule for rule in (variant.gate.rules if variant.gate else ())}
    shown = [d for d in variant.differences if d.group == "all" or _place(d) in rules]
    found = [_changed(d, rules.pop(_place(d), None)) for d in shown]
    return found + [_bare(rule) for rule in rules.values()]


def _place(record: Difference | RuleResult) -> tuple[str, str, str, str]:
    return (record.suite, record.metric, record.scorer, record.group)


def _changed(found: Difference, rule: RuleResult | None) -> tuple[str, ...]:
    """A paired difference as cells."""
    mark = "*" if found.smoke else ""
    return (
        _name(found.suite, found.label, found.group) + mark,
        text.number(found.base, found.unit),
        text.number(found.tuned, found.unit),
        text.number(found.difference, found.unit, signed=True),
        text.interval(found.low, found.high, found.unit, signed=True),
        rule.verdict if rule else "",
    )


def _bare(rule: RuleResult) -> tuple[str, ...]:
    """A rule without a paired difference, such as an absolute bound."""
    harm = text.number(rule.harm, "")
    return (
        _name(rule.suite, rule.label, rule.group),
        "",
        harm,
        "",
        text.interval(rule.low, rule.high, ""),
        rule.verdict,
    )


def _values(summary: Sequence[SummaryRow]) -> list[tuple[str, ...]]:
    """A single run's values as cells."""
    return [
        (
            _name(row.suite, row.label, row.group) + ("*" if row.smoke else ""),
            text.number(row.value, row.unit),
            text.interval(row.low, row.high, row.unit),
            *(text.count(value) for value in (row.n, row.clusters, row.missing)),
        )
        for row in summary
        if row.group == "all"
    ]


def _name(suite: str, label: str, group: str) -> str:
    return f"{suite}: {label}" + ("" if group == "all" else f" ({group})")


def _ascii(words: str) -> str:
    """Hidden characters visible, one line, and signs that every terminal and log has."""
    return " ".join(text.plain(words).split()).replace(text.MINUS, "-")


def _print(
    console: Console,
    title: str,
    heads: Sequence[str],
    body: Sequence[Sequence[str]],
    records: Sequence[SummaryRow | Difference],
) -> None:
    """Print a table, framed on a terminal, else in plain columns, with its footnote."""
    cells = [[_ascii(cell) for cell in row] for row in body]
    if console.is_terminal:
        table = Table(title=Text(_ascii(title)), title_justify="left")
        for at, head in enumerate(heads):
            table.add_column(head, justify="right" if at > 0 and head != "verdict" else "left", overflow="fold")
        for row in cells:
            # Text, not str: square brackets in a name must not be read as rich's markup.
            table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
        console.print(table)
    else:
        widths = [max(len(row[at]) for row in [list(heads), *cells]) for at in range(len(heads))]
        for line in [[_ascii(title)], list(heads), *cells]:
            plain = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)).rstrip()
            console.print(Text(plain), soft_wrap=True)
    if any(record.smoke for record in records):
        console.print(Text("* made by a smoke-test scorer"), soft_wrap=True)
