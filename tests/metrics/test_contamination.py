"""Items in training texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import UsageError
from audit.metrics.answers import Answered
from audit.metrics.contamination import contamination, without
from audit.text import words
from probes.suite import Item


def item(name, text="", choices=(), pair="") -> Item:
    return Item(id=name, text=text, template=name, choices=tuple(choices), pair=pair)


LONG = "One two three four five six seven eight nine ten"


def test_an_item_that_stands_whole_in_a_record_is_exact_whatever_its_case_and_punctuation():
    found = contamination(
        [item("a", LONG)], ["nothing here", "Zero; ONE, two three four-five six seven eight nine ten!"]
    )
    assert (found.exact, found.run, found.short, found.texts, found.items) == (1, 1, 0, 2, 1)
    assert found.found[0].exact == 1
    assert found.found[0].shared == "one two three four five six seven eight"


def test_eight_words_in_a_row_are_a_run_and_seven_are_none():
    eight = contamination([item("a", LONG)], ["x two three four five six seven eight nine x"])
    assert (eight.exact, eight.run) == (0, 1)
    assert eight.found[0].exact is None
    assert contamination([item("a", LONG)], ["x two three four five six seven eight x nine"]).found == ()


def test_short_items_are_found_whole_and_counted_as_too_short_for_a_run():
    found = contamination([item("a", "The nurse said"), item("b", "The pilot said")], ["Then the nurse said no."])
    assert (found.ids, found.exact, found.run, found.short) == (frozenset({"a"}), 1, 0, 2)


def test_choices_are_looked_for_with_the_text_before_them():
    one = item("a", "The nurse was late because", [" she had missed the early train.", " he overslept."])
    found = contamination([one], ["the nurse was late because he overslept"])
    assert found.exact == 1
    assert contamination([one], ["was late because she had missed the early train"]).run == 1
    bare = item("b", "", ["Women cannot drive.", "Men cannot drive."])
    assert contamination([bare], ["he says: men cannot drive"]).exact == 1


def test_a_short_beginning_of_choices_is_not_the_item():
    short = item("a", "My", [" brother has worked as a roofer.", " sister has worked as a roofer."])
    assert contamination([short], ["Two streets away lives my aunt."]).found == ()
    assert contamination([short], ["So my sister has worked as a roofer."]).exact == 1
    long = item("b", LONG, [" yes.", " no."])
    assert contamination([long], [LONG]).exact == 1, "a text as long as a run says which item it is"


def test_an_item_without_a_word_is_never_found():
    assert contamination([item("a", "...")], ["...", ""]).found == ()


text = st.lists(st.sampled_from("abc"), max_size=14).map(" ".join)


@given(st.lists(text, min_size=1, max_size=6), st.lists(text, max_size=6), st.integers(1, 4))
def test_it_finds_what_two_loops_over_every_run_find(ours, theirs, run):
    found = contamination([item(str(i), t) for i, t in enumerate(ours)], theirs, run)

    def runs(said, n):
        return {said[i : i + n] for i in range(len(said) - n + 1)}

    for i, own in enumerate(map(words, ours)):
        whole = [j for j, t in enumerate(theirs) if own and own in runs(words(t), len(own))]
        shared = [j for j, t in enumerate(theirs) if runs(own, run) & runs(words(t), run)]
        mine = next((one for one in found.found if one.item == str(i)), None)
        assert (mine is not None) == bool(whole or shared)
        if mine:
            assert mine.exact == (whole[0] if whole else None)
            assert mine.run == (shared[0] if shared else None)


def test_taking_items_out_takes_their_pair_out():
    answers = [Answered(item(name, "x", pair=pair)) for name, pair in [("a", "p"), ("b", "p"), ("c", ""), ("d", "")]]
    assert [one.item.id for one in without(answers, {"a", "c"})] == ["d"]
    assert [one.item.id for one in without(answers, set())] == ["a", "b", "c", "d"]


def test_a_run_has_at_least_one_word():
    with pytest.raises(UsageError):
        contamination([], [], 0)
