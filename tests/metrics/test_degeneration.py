"""Empty, repeated and unreadable answers."""

from __future__ import annotations

import pytest

from audit.metrics import degeneration


def test_the_three_rates(generated):
    reads = "degeneration.degenerate"
    answers = [
        generated("a", [("fine", 0.0), ("la la la", 1.0), "", ("fine", 0.0)], reads=reads),
        generated("b", [("fine", 0.0)] * 4, reads=reads),
        generated("missing", [("fine", 0.0), None, ("fine", 0.0), ("fine", 0.0)], reads=reads),
        generated("unscored", [("fine", 0.0), "text", ("fine", 0.0), ("fine", 0.0)], reads=reads),
    ]
    units = degeneration.degeneration_units(answers, reads)
    assert (units.value(), units.missing, units.draws) == (pytest.approx(2 / 8), 2, 4)
    assert (units.empty, units.unscored) == (1, 1)
    empty = degeneration.empty_units(answers)
    assert (empty.value(), empty.missing) == (pytest.approx(1 / 12), 1)
    assert degeneration.repetition_units(answers[:2], reads).value() == pytest.approx(1 / 8)


@pytest.mark.parametrize("text", ["", " \n", "\u200b", "\x00"])
def test_an_answer_that_shows_nothing_is_degenerate_and_not_repetitive(generated, text):
    answer = generated("a", [text])
    assert degeneration.degeneration_units([answer], "degeneration.degenerate").value() == 1.0
    assert degeneration.empty_units([answer]).value() == 1.0
    assert degeneration.repetition_units([answer], "degeneration.repetitive").value() == 0.0
