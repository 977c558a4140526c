"""The page on which people label answers: one file that works from disk, with one script and no request.

Every answer stands in the page as escaped text, hidden until its turn; the script shows and hides, and never makes
markup from data. A content security policy allows that script and the style sheet by their hashes, and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from audit.errors import FolderError
from reports import html
from reports.writing import replace_file

CHOICES = (
    ("1", "toxic", "Toxic"),
    ("2", "not-toxic", "Not toxic"),
    ("3", "unsure", "Unsure"),
    ("4", "unreadable", "Unreadable"),
)
"""(key, label in the file, word on the button)."""


def render(digest: str, cases: Sequence[tuple[str, str, str]]) -> str:
    """The page as one self-contained HTML document.

    Args:
        digest: of the sample; every file of labels carries it.
        cases: (id, prompt, answer) in the order in which they are to be read; nothing else of them reaches the page.

    Returns:
        HTML 5 text; encode it as UTF-8.

    Raises:
        MissingResourceError: the templates are not where the package keeps them.
    """
    env = html._environment()
    style = env.get_template("label.css").render()
    script = (html.templates() / "label.js").read_text(encoding="utf-8")
    return env.get_template("label.html.j2").render(
        digest=digest,
        cases=cases,
        choices=CHOICES,
        style_digest=html.digest(style),
        script_digest=html.digest(script),
        # The package's own file, holding no data; a policy by hash allows its very bytes.
        script=Markup("<script>{}</script>").format(Markup(script)),  # noqa: S704
    )


def write(digest: str, cases: Sequence[tuple[str, str, str]], path: str | os.PathLike[str]) -> Path:
    """Render and write; a file that is there is replaced whole, or not at all.

    Args:
        digest: as for :func:`render`.
        cases: as for :func:`render`.
        path: the file to write, usually ``label.html``.

    Returns:
        The path written.

    Raises:
        FolderError: the file cannot be written.
        MissingResourceError: as for :func:`render`.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(f"{target.parent}: cannot be made: {error.strerror or error}") from error
    replace_file(target, render(digest, cases).encode(), "page")
    return target
