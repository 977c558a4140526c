from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from jinja2 import StrictUndefined, UndefinedError, nodes

from audit.errors import MissingResourceError
from reports import html

FOLDER = html.templates()
SOURCES = sorted(FOLDER.glob("*.j2"))
CSS = (FOLDER / "report.css").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_template_marks_data_as_safe(path: Path) -> None:
    tree = html._environment().parse(path.read_text(encoding="utf-8"))
    assert {found.name for found in tree.find_all(nodes.Filter)}.isdisjoint(
        {"safe", "forceescape", "tojson", "xmlattr"}
    )
    assert not list(tree.find_all(nodes.ScopedEvalContextModifier)), "autoescape is switched in a template"
    assert {found.name for found in tree.find_all(nodes.Name)}.isdisjoint({"Markup"})


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_template_holds_script_style_or_address(path: Path) -> None:
    # The one script comes from its own file, and only the report's page holds it.
    own = '<script>{% include "explorer.js" %}</script>' if path.name == "report.html.j2" else "-"
    source = path.read_text(encoding="utf-8").replace(own, "", 1)
    assert not re.search(r"<script|javascript:|https?://|\sstyle=|\son\w+=|\ssrc=", source)
    assert not re.search(r"=\{\{|=\{%", source), "an attribute without quotation marks escapes nothing"


def test_the_environment_escapes_everything_and_knows_no_default() -> None:
    env = html._environment()
    assert env.autoescape is True
    assert env.undefined is StrictUndefined
    assert env.from_string("{{ x }}").render(x="<b>\x1b\u202e") == "&lt;b&gt;[ESC][RLO]"
    assert env.from_string('<a title="{{ x }}">').render(x='"><i>') == '<a title="&#34;&gt;&lt;i&gt;">'
    with pytest.raises(UndefinedError):
        env.from_string("{{ absent }}").render()


def test_the_words_of_the_page_keep_to_the_house_rules() -> None:
    said = " ".join(path.read_text(encoding="utf-8") for path in SOURCES).lower()
    assert not re.search(r"unbiased|safe model|solves? bias|debias", said)


def variables(block: str) -> dict[str, str]:
    return dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6})", block))


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_measured_rightly() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
def test_text_and_marks_stand_out(theme: str) -> None:
    blocks = re.findall(r":root \{(.*?)\}", CSS, re.S)
    colour = variables(dict(zip(("light", "dark", "print"), blocks, strict=True))[theme])
    grounds = ["--bg", "--panel", "--pass-bg", "--fail-bg", "--open-bg", "--cut-bg"]
    for ground in grounds:
        for ink in ("--ink", "--soft", "--link", "--fail"):
            assert contrast(colour[ink], colour[ground]) >= 4.5, (ink, ground)
    for badge in ("--pass", "--fail", "--open", "--cut"):
        assert contrast(colour["--on-badge"], colour[badge]) >= 4.5, badge
    for mark in [f"--s{i}" for i in range(7)] + ["--pass", "--fail", "--open", "--cut"]:
        assert contrast(colour[mark], colour["--bg"]) >= 3, mark


def test_templates_are_found_inside_an_installed_package(tmp_path: Path) -> None:
    root = Path(html.__file__).resolve().parent.parent
    for package in ("reports", "audit"):
        shutil.copytree(root / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "templates"))
    shutil.copytree(FOLDER, tmp_path / "reports" / "templates")
    code = "from reports import html; print(html.templates()); html._environment().get_template('report.html.j2')"
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=tmp_path, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).resolve() == (tmp_path / "reports" / "templates").resolve()


def test_missing_templates_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(html, "__file__", str(tmp_path / "reports" / "html.py"))
    with pytest.raises(MissingResourceError, match="templates are missing"):
        html.templates()
