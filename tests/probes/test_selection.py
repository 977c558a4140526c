"""A part of a suite: deterministic, nested, balanced, with pairs whole."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes import registry
from probes.suite import Item, Suite

suites = pytest.mark.parametrize("name", registry.names())


def make(items: list[Item]) -> Suite:
    groups = tuple(dict.fromkeys(item.group for item in items))
    return Suite("s", 1, "t", "m", "l", "m", groups, tuple(items), ("toxic-fraction",))


@st.composite
def small_suites(draw) -> Suite:
    shapes = draw(
        st.lists(
            st.tuples(
                st.sampled_from("abc"), st.sampled_from(["", "p", "q", "r"]), st.sampled_from("xyz"), st.integers(0, 2)
            ),
            min_size=1,
            max_size=25,
        )
    )
    return make(
        [
            Item(str(number), "text", template, group=group, pair=pair and template + pair, fields={"n": field})
            for number, (template, pair, group, field) in enumerate(shapes)
        ]
    )


@settings(deadline=None)
@given(small_suites(), st.integers(1, 30))
def test_a_selection_is_nested_ordered_whole_and_not_over_the_limit(suite, limit):
    chosen = registry.select(suite, limit)
    assert chosen == registry.select(suite, limit)
    places = [suite.items.index(item) for item in chosen]
    assert places == sorted(set(places)) and chosen
    assert set(places) <= {suite.items.index(item) for item in registry.select(suite, limit + 1)}
    pairs = {item.pair for item in chosen if item.pair}
    assert all(item in chosen for item in suite.items if item.pair in pairs)
    largest = max(Counter(item.pair or item.id for item in suite.items).values())
    assert len(chosen) <= max(limit, largest)
    assert len(chosen) > min(limit, len(suite.items)) - largest


@settings(deadline=None)
@given(small_suites(), st.permutations(range(25)))
def test_ids_and_texts_do_not_matter(suite, names):
    renamed = make(
        [
            Item(f"i{names[number % 25]}-{number}", "other", item.template, item.group, item.pair, fields=item.fields)
            for number, item in enumerate(suite.items)
        ]
    )
    one = [suite.items.index(item) for item in registry.select(suite, 7)]
    assert one == [renamed.items.index(item) for item in registry.select(renamed, 7)]


@suites
@pytest.mark.parametrize("limit", [None, 0, 10**6])
def test_no_limit_means_all(name, limit):
    suite = registry.get(name)
    assert registry.select(suite, limit) == suite.items


def test_a_negative_limit_is_an_error():
    with pytest.raises(ValueError, match="-1"):
        registry.select(registry.get("plain-text"), -1)


def test_the_first_pair_is_returned_whole_though_larger_than_the_limit():
    suite = registry.get("counterfactual-prompts")
    chosen = registry.select(suite, 1)
    assert len(chosen) >= 3 and len({item.pair for item in chosen}) == 1
    assert len(chosen) == sum(item.pair == chosen[0].pair for item in suite.items)


@suites
def test_pairs_are_whole_and_selections_nested(name):
    suite = registry.get(name)
    sizes = Counter(item.pair for item in suite.items if item.pair)
    before: set[str] = set()
    for limit in (1, 15, 60, 128, 200, 290):
        chosen = registry.select(suite, limit)
        ids = {item.id for item in chosen}
        assert before <= ids
        before = ids
        assert all(sizes[pair] == count for pair, count in Counter(item.pair for item in chosen if item.pair).items())


@suites
def test_templates_stay_balanced(name):
    suite = registry.get(name)
    counts = defaultdict(int, Counter(item.template for item in registry.select(suite, suite.quick)))
    size = Counter(item.template for item in suite.items)
    unit = max(Counter(item.pair or item.id for item in suite.items).values())
    # Among templates of one size and kind, none is more than a pair or so ahead of another.
    kinds = defaultdict(list)
    for item in suite.items:
        kinds[size[item.template], bool(item.choices)].append(counts[item.template])
    assert all(max(found) - min(found) <= 2 * unit for found in kinds.values())


def test_groups_and_fields_stay_in_proportion():
    suite = registry.get("domain-qa")
    chosen = registry.select(suite, 128)
    for key in ("condition", "polarity", "domain"):
        share = Counter(item.fields[key] for item in suite.items)
        for value, count in Counter(item.fields[key] for item in chosen).items():
            assert abs(count / len(chosen) - share[value] / len(suite.items)) < 0.04, (key, value)
    cells = Counter((item.fields["condition"], item.fields["polarity"]) for item in chosen)
    assert max(cells.values()) - min(cells.values()) <= 6
