"""Scorers by name, and plugins checked before they are used."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import audit.scorers as registry
from audit.errors import UnknownNameError, UsageError
from audit.scorers import ScoreResult


class Fine:
    name = "fine"
    revision = "1"
    smoke = False
    values = ("half",)
    card = "Always one half."

    def score(self, texts: Sequence[str]) -> list[ScoreResult]:
        return [ScoreResult({"half": 0.5}) for _ in texts]


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module whose attributes are installed as plugins ``fine`` and ``other``."""
    module = ModuleType("a_plugin_module")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    points = [EntryPoint("fine", "a_plugin_module:made", registry.GROUP)]
    module.points = points
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == registry.GROUP else [])
    registry.get.cache_clear()
    yield module
    registry.get.cache_clear()


def broken(**changes: Any) -> SimpleNamespace:
    fields = {"name": "fine", "revision": "1", "smoke": False, "values": ("v",), "card": "card", "score": list}
    return SimpleNamespace(**{**fields, **changes})


def test_built_in_names_are_sorted_and_can_be_got() -> None:
    assert {"degeneration", "embedded", "vader"} <= set(registry.names())
    assert registry.names() == sorted(registry.names())
    assert all(registry.get(name).name == name for name in registry.names())
    assert registry.get("vader") is registry.get("vader")


def test_public_names_are_sorted_and_exist() -> None:
    assert registry.__all__ == sorted(registry.__all__)
    assert all(hasattr(registry, name) for name in registry.__all__)


def test_an_unknown_name_tells_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="no scorer is called 'vaader'; did you mean vader"):
        registry.get("vaader")


@pytest.mark.parametrize("made", [Fine, Fine(), lambda: Fine()], ids=["class", "object", "function"])
def test_a_plugin_is_a_class_an_object_or_a_function(plugins: ModuleType, made: Any) -> None:
    plugins.made = made
    assert "fine" in registry.names()
    assert registry.get("fine").score(["a"])[0].values == {"half": 0.5}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"name": "else"}, "its name must be 'fine'"),
        ({"revision": ""}, "revision must be a non-empty str"),
        ({"card": None}, "card must be a non-empty str"),
        ({"smoke": 0}, "smoke must be a bool"),
        ({"values": ["v"]}, "values must be a non-empty tuple"),
        ({"values": ()}, "values must be a non-empty tuple"),
        ({"values": ("a.b",)}, "values must be names without a dot"),
        ({"values": ("v", "v")}, "values must differ"),
        ({"score": None}, "score must be a method"),
    ],
)
def test_a_plugin_that_breaks_the_protocol_is_refused_by_name(
    plugins: ModuleType, changes: dict[str, Any], problem: str
) -> None:
    plugins.made = broken(**changes)
    with pytest.raises(UsageError, match=rf"scorer plugin 'fine' \(a_plugin_module:made\) is not a scorer: {problem}"):
        registry.get("fine")


def test_a_plugin_that_cannot_be_loaded_is_refused_by_name(plugins: ModuleType) -> None:
    with pytest.raises(UsageError, match=r"scorer plugin 'fine' .* cannot be loaded: AttributeError"):
        registry.get("fine")


def test_two_plugins_of_one_name_are_refused(plugins: ModuleType) -> None:
    plugins.points.append(EntryPoint("fine", "another:made", registry.GROUP))
    with pytest.raises(UsageError, match="two scorer plugins are called 'fine': a_plugin_module:made and another:made"):
        registry.names()


def test_a_plugin_cannot_take_a_built_in_name(plugins: ModuleType) -> None:
    plugins.points.append(EntryPoint("vader", "another:made", registry.GROUP))
    with pytest.raises(UsageError, match=r"'vader' .* takes the name of a built-in scorer"):
        registry.names()
