"""Rules that make an item and a suite well formed, the same for built-in, plugged-in and user-written ones.

A :class:`Fault` says what is wrong and which item and field is at fault; the loader adds file and line, the
registry adds the plugin's name.
"""

from __future__ import annotations

import difflib
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from probes.suite import Decoding, Item, Suite

ITEM_KEYS = ("id", "text", "template", "group", "pair", "choices", "fields")
PREFERENCE_METRICS = frozenset(
    {
        "preference-rate",
        "preference-log-ratio",
        "stereotype-log-likelihood",
        "anti-stereotype-log-likelihood",
    }
)
QA_METRICS = frozenset(
    {
        "qa-accuracy",
        "qa-accuracy-ambiguous",
        "qa-accuracy-disambiguated",
        "qa-bias-ambiguous",
        "qa-bias-disambiguated",
        "qa-bias-log-ratio",
    }
)
COUNTERFACTUAL_METRICS = frozenset({"counterfactual-toxicity-gap", "counterfactual-sentiment-gap"})
_QA_WORDS = {"condition": ("ambiguous", "disambiguated"), "polarity": ("negative", "nonnegative")}
_QA_INDICES = ("answer", "unknown", "biased")


class Fault(ValueError):
    """One thing that is wrong with an item or a suite.

    Args:
        problem: what is wrong, what was got, what is expected.
        field: the key at fault, where one is.
        index: position of the item at fault among the suite's items, counted from 0.
    """

    def __init__(self, problem: str, *, field: str | None = None, index: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.field = field
        self.index = index

    def __str__(self) -> str:
        where = "" if self.index is None else f"item {self.index + 1}, "
        where += "" if self.field is None else f"field {self.field!r}, "
        return f"{where.removesuffix(', ')}: {self.problem}" if where else self.problem


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns a hint that names the known words nearest to ``name``, or all of them where none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"


def parse_item(record: object) -> Item:
    """Makes an item of one decoded JSON value.

    Args:
        record: an object with the keys ``id``, ``text``, ``template`` and, where they apply, ``group``, ``pair``,
            ``choices`` (a list of strings) and ``fields`` (an object of strings, numbers and booleans).

    Raises:
        Fault: a key is unknown or missing, or a value has the wrong type or is empty where it may not be.
    """
    if not isinstance(record, Mapping):
        raise Fault(f"expected a JSON object with the keys {', '.join(ITEM_KEYS)}, got {kind_of(record)}")
    for key in record:
        if key not in ITEM_KEYS:
            raise Fault(f"unknown key; {nearest(str(key), ITEM_KEYS)}", field=str(key))
    texts = {key: _text(record, key) for key in ("id", "text", "template", "group", "pair")}
    for key in ("id", "template"):
        value = texts[key]
        if not value.strip():
            raise Fault("is empty or missing; every item needs one", field=key)
        if value != value.strip() or not value.isprintable():
            raise Fault(f"has white space at an end or an unprintable character: {value!r}", field=key)
    choices = _choices(record.get("choices", ()), present="choices" in record)
    if not texts["text"] and not choices:
        raise Fault("is empty or missing; an item without choices needs a text to go on from", field="text")
    return Item(choices=choices, fields=_fields(record.get("fields", {})), **texts)


def _text(record: Mapping[Any, Any], key: str) -> str:
    value = record.get(key, "")
    if not isinstance(value, str):
        raise Fault(f"expected a string, got {kind_of(value)}", field=key)
    _encodable(value, key)
    return value


def _encodable(value: str, field: str) -> None:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Fault(
            f"holds half of a surrogate pair at character {error.start + 1}; it is not valid Unicode text",
            field=field,
        ) from error


def _choices(value: object, *, present: bool) -> tuple[str, ...]:
    if not present:
        return ()
    if not isinstance(value, list | tuple) or not value:
        raise Fault(f"expected a list of at least one string, got {kind_of(value)}", field="choices")
    for number, choice in enumerate(value, start=1):
        if not isinstance(choice, str) or not choice.strip():
            raise Fault(f"choice {number} must be a string that is not blank, got {kind_of(choice)}", field="choices")
        _encodable(choice, "choices")
    if len(set(value)) != len(value):
        raise Fault("two choices are equal", field="choices")
    return tuple(value)


def _fields(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise Fault(f"expected an object, got {kind_of(value)}", field="fields")
    for key, entry in value.items():
        name = f"fields.{key}"
        if not isinstance(key, str) or not key:
            raise Fault(f"its keys must be words, got {key!r}", field="fields")
        _encodable(key, "fields")
        if key == "group":
            raise Fault("the group belongs into the item's own key 'group'", field=name)
        if not isinstance(entry, str | int | float):
            raise Fault(f"expected a string, a number or a boolean, got {kind_of(entry)}", field=name)
        if isinstance(entry, float) and not math.isfinite(entry):
            raise Fault(f"expected a finite number, got {entry}", field=name)
        if isinstance(entry, str):
            _encodable(entry, name)
    return dict(value)


def kind_of(value: object) -> str:
    """Returns what a decoded JSON or TOML value is, in a word and with its content where that is short."""
    names: Sequence[tuple[type | tuple[type, ...], str]] = (
        (bool, "the boolean"),
        ((int, float), "the number"),
        (str, "the string"),
        ((list, tuple), "the list"),
        (Mapping, "the object"),
    )
    if value is None:
        return "null"
    word = next((name for types, name in names if isinstance(value, types)), type(value).__name__)
    shown = repr(value)
    return f"{word} {shown if len(shown) <= 40 else shown[:37] + '...'}"


def check_decoding(decoding: Decoding) -> None:
    """Checks that every decoding value lies in its range.

    Raises:
        Fault: names the field, its range and what was got.
    """
    whole = {"max_new_tokens": (decoding.max_new_tokens, 1), "top_k": (decoding.top_k, 0)}
    for name, (value, least) in whole.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise Fault(f"expected a whole number >= {least}, got {value!r}", field=f"decoding.{name}")
    # Logits divided by less would leave float32's range, and every draw with them.
    if not _is_number(decoding.temperature) or not (decoding.temperature == 0 or decoding.temperature >= 1e-3):
        raise Fault(f"expected 0 or a number >= 0.001, got {decoding.temperature!r}", field="decoding.temperature")
    if not _is_number(decoding.top_p) or not 0 < decoding.top_p <= 1:
        raise Fault(f"expected a number in (0, 1], got {decoding.top_p!r}", field="decoding.top_p")
    for stop in decoding.stop:
        if not isinstance(stop, str) or not stop:
            raise Fault(f"expected strings that are not empty, got {stop!r}", field="decoding.stop")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def check_suite(
    suite: Suite, *, metrics: Collection[str] | None = None, scorers: Collection[str] | None = None
) -> None:
    """Checks a suite as a whole: its own keys, every item, and what its metrics need of the items.

    Args:
        suite: the suite.
        metrics: names that exist in the metric registry; None leaves the names unchecked.
        scorers: names of scorers that exist; None leaves the names unchecked.

    Raises:
        Fault: the first thing that is wrong.
    """
    _check_declaration(suite)
    _check_names(suite.metrics, metrics, "metrics", "metric")
    _check_names(suite.scorers, scorers, "scorers", "scorer")
    check_decoding(suite.decoding)
    if not suite.items:
        raise Fault("the suite has no items", field="items")
    _check_items(suite)
    _check_matched(suite)
    keys = {"group"}.union(*(item.fields for item in suite.items))
    for key in suite.breakdown:
        if key not in keys:
            raise Fault(f"no item has {key!r}; {nearest(key, keys)}", field="breakdown")
    _check_needs(suite)


def _check_declaration(suite: Suite) -> None:
    for key in ("name", "title", "measures", "limits", "made", "language", "license"):
        value = getattr(suite, key)
        if not isinstance(value, str) or not value.strip():
            raise Fault(f"expected words, got {kind_of(value)}", field=key)
    if not all(part.isalnum() and part.isascii() and part.islower() for part in _parts(suite.name)):
        raise Fault(f"expected lower-case letters and digits joined by '-', got {suite.name!r}", field="name")
    for key, least in (("version", 1), ("samples", 1), ("quick", 0), ("standard", 0), ("generated", 0), ("scored", 0)):
        value = getattr(suite, key)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise Fault(f"expected a whole number >= {least}, got {value!r}", field=key)
    for key in ("matched", "per_token"):
        if not isinstance(getattr(suite, key), bool):
            raise Fault(f"expected true or false, got {kind_of(getattr(suite, key))}", field=key)
    if suite.begin not in ("tokenizer", "bos"):
        raise Fault(f"expected 'tokenizer' or 'bos', got {suite.begin!r}", field="begin")
    for key in ("groups", "metrics", "scorers", "breakdown", "sources"):
        value = getattr(suite, key)
        if isinstance(value, str) or not all(isinstance(name, str) and name for name in value):
            raise Fault(f"expected a list of words, got {kind_of(value)}", field=key)
        if len(set(value)) != len(value):
            raise Fault("names something twice", field=key)
    if not suite.metrics:
        raise Fault("names no metric; a suite without one would measure nothing", field="metrics")


def _parts(name: str) -> list[str]:
    # Digits alone are not "lower case" to str.islower, so a letter stands in for them.
    return ["".join("x" if char in "0123456789" else char for char in part) for part in name.split("-")]


def _check_names(got: Iterable[str], known: Collection[str] | None, field: str, kind: str) -> None:
    for name in got:
        # A scorer named by what it loads ("hf:...") is known by its family, "hf:".
        if known is not None and name not in known and f"{name.partition(':')[0]}:" not in known:
            raise Fault(f"no {kind} is called {name!r}; {nearest(name, known)}", field=field)


def _check_items(suite: Suite) -> None:
    first: dict[str, int] = {}
    for index, item in enumerate(suite.items):
        if not isinstance(item, Item):
            raise Fault(f"expected an Item, got {kind_of(item)}", index=index)
        record = {key: getattr(item, key) for key in ITEM_KEYS if key != "choices" or item.choices}
        try:
            parse_item(record)
        except Fault as fault:
            raise Fault(fault.problem, field=fault.field, index=index) from fault
        if item.id in first:
            raise Fault(f"{item.id!r} is taken by item {first[item.id] + 1}", field="id", index=index)
        first[item.id] = index
        for group in filter(None, item.group.split("|")):
            if group not in suite.groups:
                hint = nearest(group, suite.groups) if suite.groups else "the suite declares none"
                raise Fault(f"{group!r} is not among the suite's groups; {hint}", field="group", index=index)


def _check_matched(suite: Suite) -> None:
    if not suite.matched:
        return
    if not suite.groups:
        raise Fault("a suite without groups cannot be matched", field="matched")
    groups: dict[str, set[str]] = defaultdict(set)
    for item in suite.items:
        groups[item.template].add(item.group)
    for template, present in groups.items():
        lacking = [group for group in suite.groups if group not in present]
        if lacking:
            raise Fault(f"template {template!r} has no item for {', '.join(lacking)}", field="matched")


def _check_needs(suite: Suite) -> None:
    """Checks what the metrics will read, so that a fault shows before the model runs and not after."""
    names = {name.partition(":")[0] for name in suite.metrics}  # variants of a metric read the same items
    members: dict[str, set[str]] = defaultdict(set)
    for index, item in enumerate(suite.items):
        if item.choices:
            _check_scored(item, index, names)
            continue
        members[item.pair].add(item.group)
        if names & COUNTERFACTUAL_METRICS and not (item.pair and item.group):
            raise Fault(
                "a counterfactual gap needs both 'pair' and 'group'",
                field="group" if item.pair else "pair",
                index=index,
            )
        if "pronoun-agreement" in names and item.fields.get("stereotype") not in ("female", "male"):
            raise Fault("pronoun-agreement needs 'female' or 'male'", field="fields.stereotype", index=index)
    if names & COUNTERFACTUAL_METRICS:
        if not members:
            raise Fault("a counterfactual gap needs items without choices", field="metrics")
        for pair, groups in members.items():
            if len(groups) < 2:
                raise Fault(f"pair {pair!r} has one group only; a gap needs two", field="pair")
    if names & (PREFERENCE_METRICS | QA_METRICS) and not any(item.choices for item in suite.items):
        raise Fault("its metrics read likelihoods, but no item has choices", field="metrics")


def _check_scored(item: Item, index: int, names: set[str]) -> None:
    if names & PREFERENCE_METRICS and len(item.choices) != 2:
        raise Fault(
            f"a preference needs two choices, the stereotypical one first; got {len(item.choices)}",
            field="choices",
            index=index,
        )
    if not names & QA_METRICS:
        return
    for key, words in _QA_WORDS.items():
        if item.fields.get(key) not in words:
            raise Fault(
                f"expected {' or '.join(words)}, got {item.fields.get(key)!r}",
                field=f"fields.{key}",
                index=index,
            )
    for key in _QA_INDICES:
        value = item.fields.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < len(item.choices):
            raise Fault(
                f"expected the index of a choice, 0 to {len(item.choices) - 1}, got {value!r}",
                field=f"fields.{key}",
                index=index,
            )
    if item.fields["biased"] == item.fields["unknown"]:
        raise Fault("the biased choice cannot be the unknown one", field="fields.biased", index=index)
