from __future__ import annotations

import io
import re
from collections.abc import Callable

from rich.console import Console

from audit.schema import Comparison
from reports import terminal


def shown(comparison: Comparison, **options: object) -> str:
    target = io.StringIO()
    terminal.show(comparison, Console(file=target, **{"width": 150, **options}))
    return target.getvalue()


def test_plain_columns_where_there_is_no_terminal(build: Callable[..., Comparison]) -> None:
    lines = shown(build(("stereotyped",)), width=40).splitlines()
    assert lines[0] == "stereotyped against base"
    assert re.split(r"  +", lines[1]) == ["metric", "base", "variant", "difference", "interval", "verdict"]
    first = re.split(r"  +", lines[2].replace("\xa0", " "))
    assert first[0] == "identity-prompts: prompts with a toxic answer among 4*"
    assert first[3].startswith("+")
    assert first[3].endswith("pp")
    verdicts = {re.split(r"  +", line)[-1] for line in lines[2:14]}
    assert "fail" in verdicts
    assert "\x1b" not in "".join(lines)
    assert not any("\u2212" in line for line in lines), "a log may not know the minus sign"


def test_values_of_a_single_run(build: Callable[..., Comparison]) -> None:
    lines = shown(build(())).splitlines()
    assert re.split(r"  +", lines[1]) == ["metric", "value", "interval", "n", "clusters", "missing"]
    assert len([line for line in lines if line.startswith("identity-prompts")]) == 3


def test_a_framed_table_on_a_terminal(build: Callable[..., Comparison]) -> None:
    text = shown(build(("stereotyped",)), force_terminal=True, color_system="standard")
    assert "┏" in text
    assert "\x1b[" in text
    assert "FAIL" in text


def test_the_rules_on_groups_and_absolute_bounds_are_rows_too(build: Callable[..., Comparison]) -> None:
    variant = build(("stereotyped",)).variants[0]
    assert variant.gate is not None
    rule = variant.gate.rules[0]
    one = rule.model_copy(update={"group": "Muslim"})
    bound = rule.model_copy(update={"suite": "elsewhere", "kind": "absolute"})
    gate = variant.gate.model_copy(update={"rules": (one, bound)})
    rows = terminal.rows(variant.model_copy(update={"gate": gate}))
    assert rows[-1][0].startswith("elsewhere: ")
    assert rows[-1][5] == rule.verdict
    assert any("(Muslim)" in row[0] and row[5] == rule.verdict for row in rows)
    assert len(rows) == 12 + 2


def test_hostile_names_reach_the_terminal_tamed(hostile: Comparison) -> None:
    for options in ({}, {"force_terminal": True, "color_system": None}):
        text = shown(hostile, **options)
        assert "\x1b[31m" not in text
        assert not re.search("[\x00-\x09\x0b-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
        assert "[RLO]" in text.replace("\n", "")


def test_brackets_in_a_name_are_not_markup(build: Callable[..., Comparison]) -> None:
    calm = build(("stereotyped",))
    variant = calm.variants[0]
    differences = tuple(d.model_copy(update={"label": "[bold]x[/bold] [/]"}) for d in variant.differences)
    odd = calm.model_copy(update={"variants": (variant.model_copy(update={"differences": differences}),)})
    for options in ({}, {"force_terminal": True, "color_system": None}):
        assert "[bold]x[/bold] [/]" in shown(odd, **options)
