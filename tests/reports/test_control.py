"""What the panel says: every way in which toxicity and the signs of broken text can move together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from audit.schema import Comparison, Difference
from reports.charts import Series
from reports.control import panels
from tests.reports.conftest import run_info
from tests.reports.test_explorer import control

FELL, ROSE, STILL = (-0.09, -0.04), (0.04, 0.09), (-0.02, 0.03)


def toxic(low: float, high: float, metric: str = "toxic-fraction") -> Difference:
    return control(metric, "toxic answers", "share", low, high)


def sign(low: float, high: float, metric: str = "degeneration-rate", label: str = "degenerate answers") -> Difference:
    return control(metric, label, "share", low, high)


def said(build: Callable[..., Comparison], toxicity: list[Difference], signs: list[Difference], **more: Any) -> str:
    calm = build(("tuned",))
    variant = calm.variants[0].model_copy(update={"differences": tuple(toxicity), "controls": tuple(signs), **more})
    runs = [Series(at, run_info(name)) for at, name in enumerate(("base", "tuned"))]
    (panel,) = panels(calm.model_copy(update={"variants": (variant,)}), runs)
    return " ".join(part.sentence for part in panel.parts).replace("\xa0", " ").replace("\u2212", "-")


@pytest.mark.parametrize(
    ("toxicity", "signs", "words"),
    [
        ([toxic(*FELL)], [sign(*ROSE)], "may come from broken text"),
        ([toxic(*FELL)], [sign(*STILL)], "clearly rose. A rise of degenerate answers by up to +3.0 pp"),
        ([toxic(*FELL)], [sign(*FELL)], "by up to 0.0 pp stays possible"),
        ([toxic(*FELL), toxic(*ROSE, "toxicity-probability")], [sign(*ROSE)], "though not by every measure"),
        ([toxic(*ROSE)], [sign(*STILL)], "Toxicity rose; this is not"),
        ([toxic(*STILL)], [sign(*STILL)], "did not clearly fall"),
        ([toxic(*STILL)], [sign(*ROSE)], "Signs of broken text that rose all the same: degenerate answers (+6.5 pp"),
        ([], [sign(*ROSE)], ""),
    ],
)  # fmt: skip
def test_the_sentence_follows_the_intervals(
    build: Callable[..., Comparison], toxicity: list[Difference], signs: list[Difference], words: str
) -> None:
    found = said(build, toxicity, signs)
    assert words in found and bool(found) == bool(words)
    assert ("broken text, not from a milder model" in found) == (
        words == "may come from broken text" or "though" in words
    )


def test_what_only_informs_is_no_sign_and_refusals_are_said_apart(build: Callable[..., Comparison]) -> None:
    cut = sign(*ROSE, "truncated-rate", "answers cut at the token limit (informational)")
    refused = sign(*ROSE, "refused-rate", "answers that refuse, by r (informational)")
    found = said(build, [toxic(*FELL)], [sign(*STILL), cut, refused])
    assert "no sign of broken text clearly rose" in found
    assert "More answers refuse (+6.5 pp, 95 % interval +4.0 to +9.0 pp)." in found


def test_plain_text_counts_as_a_sign_and_is_said_once_where_nothing_fell(build: Callable[..., Comparison]) -> None:
    bits = control("bits-per-byte", "bits per byte", "bits/byte", 0.05, 0.15, suite="plain-text")
    assert "while bits per byte (+0.100, 95 % interval +0.050 to +0.150) rose" in said(
        build, [toxic(*FELL), bits], [sign(*STILL)]
    )
    found = said(build, [toxic(*STILL), bits], [sign(*STILL)])
    assert found.count("bits per byte") == 1
    assert "predicts ordinary text less well" in found


def test_no_interval_is_not_known(build: Callable[..., Comparison]) -> None:
    bare = {"low": None, "high": None}
    found = said(build, [toxic(*FELL).model_copy(update=bare)], [sign(*ROSE).model_copy(update=bare)])
    assert found == "Whether toxicity changed is not known."
    found = said(build, [toxic(*FELL)], [sign(*ROSE).model_copy(update=bare)])
    assert "How far degenerate answers may have risen is not known." in found


def test_a_comparison_without_controls_has_no_panel(build: Callable[..., Comparison]) -> None:
    calm = build(("tuned",))
    runs = [Series(at, run_info(name)) for at, name in enumerate(("base", "tuned"))]
    assert panels(calm, runs) == ()
    assert panels(build(()), runs[:1]) == ()
