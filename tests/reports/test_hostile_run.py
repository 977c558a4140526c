"""Answers that try to act on the page, taken all the way: model, journal, scorers, comparison, page, browser."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import audit
from audit.models import Model
from audit.results import Run
from reports import html

# Each is one answer; together they are what a page must show and not obey.
HOSTILE = (
    "</script><script>window.hit = 1</script>",
    "<img src=x onerror=\"window.hit = 2; fetch('http://127.0.0.1:9/leak')\">",
    "{{ 7 * 7 }} {% for x in y %} ${7 * 7} <%= 7 * 7 %>",
    "left \u202eevil\u202c \u2066iso\u2069 right",
    "\x1b[31mred\x1b[0m \x1b]8;;http://example.invalid\x07link\x1b]8;;\x07",
    "before\x00after",
    "<style>body { display: none }</style><base href='http://127.0.0.1:9/'>",
    "A very long answer. " + "x" * 100_000 + " Its end.",
)


class Hostile(Model):
    """The tiny model, whose answers are replaced by the texts above."""

    def __init__(self, model: Model) -> None:
        super().__init__(model.weights)

    def generate(self, *given: Any, **named: Any) -> Iterator[list[Any]]:
        """The real batches with other texts."""
        number = 0
        for batch in super().generate(*given, **named):
            changed = []
            for one in batch:
                changed.append(dataclasses.replace(one, text=HOSTILE[number % len(HOSTILE)]))
                number += 1
            yield changed


def test_hostile_answers_through_a_whole_run(model, suite, tmp_path: Path, chromium):
    plain = audit.run(str(model.name), [str(suite)], out=tmp_path / "base", loaded=model)
    made = audit.run(str(model.name), [str(suite)], out=tmp_path / "hostile", loaded=Hostile(model))
    assert made.status == "complete"
    kept = {sample.text for one in Run(made.path).answers["tiny-talk"] for sample in one.samples}
    assert kept == set(HOSTILE), "answers are kept as the model gave them"
    assert audit.verify(made.path) == []
    comparison = audit.compare(plain.path, [made.path])
    page_path = html.write(comparison, tmp_path / "report.html")

    context = chromium.new_context()
    page = context.new_page()
    requests, complaints, dialogs = [], [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(page_path.as_uri(), wait_until="load")
    assert requests == [page_path.as_uri()]
    assert (complaints, dialogs) == ([], [])
    assert page.evaluate("window.hit") is None
    text = page.evaluate("document.body.textContent")
    shown = {answer for one in comparison.excerpts for answer in one.answers.values()}
    for needle, source in (
        ("window.hit = 1</script>", HOSTILE[0]),
        ("onerror=", HOSTILE[1]),
        ("{{ 7 * 7 }} {% for x in y %}", HOSTILE[2]),
        ("evil", HOSTILE[3]),
        ("[31mred", HOSTILE[4]),
        ("body { display: none }", HOSTILE[6]),
        ("Its end.", HOSTILE[7]),
    ):
        assert source not in shown or needle in text, needle
    assert len(shown & set(HOSTILE)) >= 6, "the excerpts hold most of the hostile texts"
    context.close()
