"""The report as one HTML file: no request, nothing hidden in it can act, and it works with scripts off.

Jinja2 with autoescape on every template and ``StrictUndefined``; every printed string passes through
:func:`reports.text.plain` unless it was made visible already, so no control or bidirectional character reaches the
page raw. A content security policy allows the page's one style sheet and the one script that filters its examples, each
by its hash, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from audit.errors import MissingResourceError
from audit.schema import Comparison
from reports import forest, slurs, text, view
from reports.writing import replace_file

_SYMBOLS = {"pass": "✓", "fail": "✕", "inconclusive": "?", "incomplete": "…"}
_WORDS = {"pass": "Pass", "fail": "Fail", "inconclusive": "Inconclusive", "incomplete": "Incomplete"}


def render(comparison: Comparison) -> str:
    """The whole report as one self-contained HTML document.

    Args:
        comparison: a base with its variants, or a single run (no variants, hence no gate).

    Returns:
        HTML 5 text; encode it as UTF-8. The same comparison gives the same text.

    Raises:
        MissingResourceError: the templates are not where the package keeps them.
    """
    env = _environment()
    digests = {name: digest(env.get_template(name).render()) for name in ("report.css", "explorer.js")}
    return env.get_template("report.html.j2").render(page=view.page(comparison), digests=digests)


def digest(source: str) -> str:
    """The hash by which the page's policy knows its own style sheet and script."""
    return base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def write(comparison: Comparison, path: str | os.PathLike[str]) -> Path:
    """Render and write; a file that is there is replaced whole, or not at all.

    Args:
        comparison: as for :func:`render`.
        path: the file to write, usually ``report.html``.

    Returns:
        The path written.

    Raises:
        FolderError: the file cannot be written.
        MissingResourceError: as for :func:`render`.
    """
    target = Path(path)
    replace_file(target, render(comparison).encode(), "report")
    return target


def templates() -> Path:
    """The folder of the templates: inside the installed package, or at the top of a checkout.

    Raises:
        MissingResourceError: neither is there.
    """
    here = Path(__file__).resolve().parent
    for folder in (here / "templates", here.parent / "templates"):
        if (folder / "report.html.j2").is_file():
            return folder
    raise MissingResourceError(f"the report's templates are missing beside {here}; install slm-audit again")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    """Jinja2, set up so that nothing printed can be markup unless this package made it."""
    env = Environment(
        loader=FileSystemLoader(templates()),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(
        visible=text.visible,
        masked=slurs.masked,
        axis=text.axis,
        numbered=_numbered,
        plain=text.plain,
        short=text.short,
        number=text.number,
        interval=text.interval,
        count=text.count,
        percent=text.percent,
        probability=text.probability,
        moment=text.moment,
        headline=text.headline,
        lean=forest.lean,
    )
    env.globals.update(direction=text.direction, symbols=_SYMBOLS, words=_WORDS)
    return env


def _numbered(values: Sequence[str], start: int = 0) -> list[tuple[str, str]]:
    """Options of a filter: their numbers stand for the words, which may come from outside."""
    return [(str(at), value or "none") for at, value in enumerate(values, start)]


def _finalize(value: Any) -> Any:
    """The last gate before the page: what is not markup already is shown with its hidden characters visible."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return text.plain(value)
