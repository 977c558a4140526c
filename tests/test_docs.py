"""The pages say what is there: links lead somewhere, commands exist, tables are those of the results."""

from __future__ import annotations

import importlib
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

import audit
from audit.cli import app
from benchmarks import page
from benchmarks.measuring import RESULTS, table

ROOT = Path(audit.__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "audit").rglob("*.md")])
NAMES = [str(one.relative_to(ROOT)) for one in PAGES]
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    outside = re.sub(r"^```.*?^```", "", read(path), flags=re.M | re.S)
    found: dict[str, int] = {}
    made = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", outside, flags=re.M):
        slug = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()).replace(" ", "-")
        made.add(slug if slug not in found else f"{slug}-{found[slug]}")
        found[slug] = found.get(slug, 0) + 1
    return made


@pytest.mark.parametrize("name", NAMES)
def test_every_link_within_the_project_leads_somewhere(name: str) -> None:
    for link in LINK.findall(read(ROOT / name)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), f"{name} links to {link}"
        assert not anchor or anchor in anchors(target), f"{name} links to {link}, which has no such heading"


@pytest.mark.parametrize("name", NAMES)
def test_every_file_that_a_page_names_is_there(name: str) -> None:
    named = re.findall(
        r"`((?:audit|benchmarks|docs|plans|probes|reports|templates|tests)/[\w./-]+)`", read(ROOT / name)
    )
    assert [path for path in named if not (ROOT / path).exists()] == []


def commands(text: str) -> Iterator[list[str]]:
    """The words of every ``slm-audit`` command in a page: in blocks, and within a line."""
    fenced = "".join(re.findall(r"^```.*?\n(.*?)^```", text, flags=re.M | re.S))
    for line in re.findall(r"^ {4}(slm-audit .+)$", text, flags=re.M) + re.findall(
        r"^(slm-audit .+)$", fenced, flags=re.M
    ):
        yield shlex.split(line, comments=True)
    for line in re.findall(r"`(slm-audit [^`\n]+)`", text):
        yield line.split()


@pytest.mark.parametrize("name", NAMES)
def test_every_command_of_a_page_has_its_verb_and_options(name: str) -> None:
    for words in commands(read(ROOT / name)):
        verb = words[1]
        if verb in ("--help", "--version"):
            continue
        assert verb in COMMANDS, f"{name}: {' '.join(words)}"
        known = {flag for one in COMMANDS[verb].params for flag in one.opts} | {"--help", "--debug"}
        asked = {word.partition("=")[0] for word in words[2:] if word.startswith("--")}
        assert asked <= known, f"{name}: {' '.join(words)}: no option {', '.join(sorted(asked - known))}"


def test_the_pages_hold_commands() -> None:
    assert sum(len(list(commands(read(path)))) for path in PAGES) > 40, "else the tests above show nothing"


def test_every_variable_of_the_environment_that_a_page_names_is_read() -> None:
    code = "".join(read(path) for folder in ("audit", "probes") for path in (ROOT / folder).rglob("*.py"))
    said = {name for path in PAGES for name in re.findall(r"\bSLM_AUDIT_[A-Z_]+\b", read(path))}
    assert said
    assert [name for name in sorted(said) if f'"{name}"' not in code] == []


def between(name: str, marks: str) -> str:
    """What stands between a benchmark's marks in a page."""
    text = read(ROOT / "docs" / name)
    return text.split(f"<!-- {marks}: begin -->\n")[1].split(f"\n<!-- {marks}: end -->")[0]


def result(name: str) -> dict[str, Any]:
    return json.loads(read(RESULTS / f"{name}.json"))


def test_the_tables_of_timings_are_those_of_the_results() -> None:
    for name in ("generation-cpu", "likelihood-cpu"):
        row = importlib.import_module(f"benchmarks.{name.partition('-')[0]}").row
        assert table([row(one) for one in result(name)["results"]]) in between("speed.md", name), name
    for name, key in (("scale-cpu", "rows"), ("adapters", "rows"), ("precision-cpu", "answers")):
        assert table(result(name)[key]) in between("speed.md", name), name
    assert table(result("precision-cpu")["log-likelihoods"]) in between("speed.md", "precision-cpu")
    assert table(result("scoring")["rows"]) == between("scorers.md", "scoring")


def test_every_timing_without_a_result_says_that_it_was_not_measured() -> None:
    marks = re.findall(r"<!-- ([\w -]+): begin -->", read(page.DOCS / "speed.md"))
    assert len(marks) > 5
    for name in marks:
        assert (RESULTS / f"{name}.json").exists() or "not been measured" in between("speed.md", name), name
