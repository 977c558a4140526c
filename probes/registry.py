"""Which suites exist, and how one is had by name or by path.

Built-in suites are modules of this package. Others come from the entry point group ``slm_audit.suites`` (an entry
point's name is the suite's name, its object a :class:`probes.suite.Suite`) or from a user's TOML file.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from pathlib import Path

from audit.errors import DataError, UnknownNameError, UsageError
from probes.loader import load
from probes.selection import select
from probes.suite import Suite
from probes.validation import Fault, check_suite

__all__ = ["GROUP", "get", "names", "select", "template"]

GROUP = "slm_audit.suites"
_BUILT_IN = {
    "identity-prompts": "probes.identity_prompts",
    "occupations": "probes.occupations",
    "counterfactual-prompts": "probes.counterfactual_prompts",
    "domain-qa": "probes.domain_qa",
    "plain-text": "probes.plain_text",
}


def names() -> list[str]:
    """Returns the names of all suites: the built-in ones in their order, then plugins' by name.

    Raises:
        UsageError: a plugin takes a name that is already used.
    """
    return [*_BUILT_IN, *sorted(_plugins())]


def get(
    name_or_path: str | Path,
    *,
    metrics: Collection[str] | None = None,
    scorers: Collection[str] | None = None,
) -> Suite:
    """Returns the suite of a name, or the one that a TOML file declares.

    Args:
        name_or_path: one of :func:`names`, or the path of a TOML declaration.
        metrics: names that exist in the metric registry; the suite's are checked against them.
        scorers: names of scorers that exist; the suite's are checked against them.

    Raises:
        UnknownNameError: nothing is called so; tells the nearest names.
        DataError: the user's files are malformed; names file, line and field.
        UsageError: a plugin's suite is malformed, or a name is taken; names the plugin.
    """
    asked = str(name_or_path)
    if asked in _BUILT_IN:
        suite: object = importlib.import_module(_BUILT_IN[asked]).SUITE
        return _checked(suite, asked, f"built-in suite {asked!r}", metrics, scorers)
    plugins = _plugins()
    if asked in plugins:
        entry = plugins[asked]
        where = f"plugin {asked!r} ({entry.value})"
        try:
            suite = entry.load()
        except Exception as error:  # whatever a third party's module raises, the user must learn whose it is
            raise UsageError(f"{where} cannot be loaded: {type(error).__name__}: {error}") from error
        return _checked(suite, asked, where, metrics, scorers)
    path = Path(name_or_path)
    if path.suffix != ".toml" and not path.is_file():
        raise UnknownNameError("suite", asked, [*_BUILT_IN, *plugins])
    if path.suffix in (".jsonl", ".json"):
        raise DataError(path, "this is a file of items; give the TOML declaration beside it")
    loaded = load(path, metrics=metrics, scorers=scorers)
    if loaded.name in _BUILT_IN or loaded.name in plugins:
        raise DataError(path, f"{loaded.name!r} is the name of another suite; choose your own", field="name")
    return loaded


def template() -> str:
    """Returns a commented TOML declaration to start from; it loads with the items that its comments show."""
    return files("probes").joinpath("template.toml").read_text(encoding="utf-8")


def _plugins() -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        # A distribution can be listed twice (an editable install beside a wheel): equal entries are one.
        if entry.name in found and found[entry.name].value == entry.value:
            continue
        if entry.name in _BUILT_IN or entry.name in found:
            raise UsageError(f"plugin {entry.name!r} ({entry.value}) takes a suite name that is already used")
        found[entry.name] = entry
    return found


def _checked(
    suite: object, name: str, where: str, metrics: Collection[str] | None, scorers: Collection[str] | None
) -> Suite:
    if not isinstance(suite, Suite):
        raise UsageError(f"{where} is not a probes.suite.Suite but {type(suite).__name__}")
    try:
        if suite.name != name:
            raise Fault(f"the suite calls itself {suite.name!r}", field="name")
        check_suite(suite, metrics=metrics, scorers=scorers)
    except Fault as fault:
        raise UsageError(f"{where} is malformed: {fault}") from fault
    return suite
