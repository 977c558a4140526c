"""Suites by name, by plugin and by path."""

from __future__ import annotations

import dataclasses
from importlib.metadata import EntryPoint

import pytest

from audit.errors import DataError, UnknownNameError, UsageError
from probes import registry
from probes.suite import Decoding, Item, Suite

SUITE = Suite(
    name="other",
    version=1,
    title="t",
    measures="m",
    limits="l",
    made="m",
    groups=("x",),
    items=(Item("1", "A text", "t", group="x"),),
    metrics=("toxic-fraction",),
)
BROKEN = object()


def plug(monkeypatch, suite: object, name: str = "other", value: str = "somewhere:SUITE") -> None:
    class Entry:
        def __init__(self) -> None:
            self.name, self.value = name, value

        def load(self) -> object:
            if suite is BROKEN:
                raise ImportError("no module named somewhere")
            return suite

    monkeypatch.setattr(registry, "entry_points", lambda group: [Entry()] if group == "slm_audit.suites" else [])


def test_a_plugin_is_listed_after_the_built_in_suites_and_had_by_name(monkeypatch):
    plug(monkeypatch, SUITE)
    assert registry.names()[-1] == "other"
    assert registry.get("other", metrics={"toxic-fraction"}) is SUITE


def test_a_real_entry_point_is_resolved(monkeypatch):
    entry = EntryPoint("plain-copy", "probes.plain_text:SUITE", "slm_audit.suites")
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry, entry])
    with pytest.raises(UsageError, match=r"plugin 'plain-copy'.*calls itself 'plain-text'"):
        registry.get("plain-copy")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"items": ()}, "has no items"),
        ({"items": SUITE.items * 2}, "item 2, field 'id': '1' is taken by item 1"),
        ({"items": (Item("1", "", "t"),)}, "item 1, field 'text'"),
        ({"items": (Item("1", "A", "t", group="y"),)}, "'y' is not among the suite's groups"),
        ({"items": (Item("1", "A", "t", choices=("", "b")),)}, "choice 1 must be"),
        ({"items": ("A text",)}, "expected an Item"),
        ({"metrics": ("toxic-fractoin",)}, "did you mean toxic-fraction"),
        ({"metrics": "toxic-fraction"}, "field 'metrics': expected a list"),
        ({"decoding": Decoding(top_p=2)}, "field 'decoding.top_p'"),
        ({"name": "another"}, "calls itself 'another'"),
        ({"title": ""}, "field 'title'"),
        ({"version": 0}, "field 'version'"),
        ({"matched": True, "groups": ("x", "y")}, "has no item for y"),
    ],
)
def test_a_bad_plugin_is_refused_by_name(monkeypatch, change, said):
    plug(monkeypatch, dataclasses.replace(SUITE, **change))
    with pytest.raises(UsageError, match=r"^plugin 'other' \(somewhere:SUITE\)") as caught:
        registry.get("other", metrics={"toxic-fraction"})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("suite", "said"), [({"a": 1}, "not a probes.suite.Suite but dict"), (BROKEN, "cannot be loaded")]
)
def test_a_plugin_that_is_no_suite_is_refused_by_name(monkeypatch, suite, said):
    plug(monkeypatch, suite)
    with pytest.raises(UsageError, match="plugin 'other'") as caught:
        registry.get("other")
    assert said in str(caught.value)


def test_a_plugin_may_not_take_a_built_in_name(monkeypatch):
    plug(monkeypatch, SUITE, name="occupations")
    with pytest.raises(UsageError, match="plugin 'occupations'"):
        registry.names()


def test_two_plugins_may_not_take_one_name(monkeypatch):
    entries = [EntryPoint("other", value, registry.GROUP) for value in ("one:SUITE", "two:SUITE")]
    monkeypatch.setattr(registry, "entry_points", lambda group: entries)
    with pytest.raises(UsageError, match="two:SUITE"):
        registry.names()


def test_built_in_suites_pass_the_same_checks():
    with pytest.raises(UsageError, match=r"built-in suite 'occupations' is malformed.*no metric is called"):
        registry.get("occupations", metrics={"toxic-fraction"})


def test_an_unknown_name_tells_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean occupations"):
        registry.get("ocupations")


def test_items_in_place_of_the_declaration_are_told(tmp_path):
    path = tmp_path / "items.jsonl"
    path.write_text("{}")
    with pytest.raises(DataError, match="give the TOML declaration"):
        registry.get(path)


def test_a_users_suite_may_not_take_a_built_in_name(tmp_path):
    text = registry.template().replace('name = "my-suite"', 'name = "occupations"')
    (tmp_path / "s.toml").write_text(text)
    (tmp_path / "my-suite.jsonl").write_text(
        '{"id": "1", "text": "a", "template": "1", "group": "tall people", "pair": "1"}\n'
        '{"id": "2", "text": "b", "template": "1", "group": "short people", "pair": "1"}\n'
    )
    with pytest.raises(DataError, match="name of another suite"):
        registry.get(str(tmp_path / "s.toml"))
