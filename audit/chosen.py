"""What a plan chooses: suites, their items, and how often each is answered."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from audit import scorers
from audit.errors import UnknownNameError, UsageError
from audit.metrics import registry as metric_registry
from audit.metrics.answers import Answered
from audit.plan import Plan, item_record, suite_digest
from probes import registry as suite_registry
from probes.suite import Item, Suite


@dataclass(frozen=True, slots=True)
class Chosen:
    """One suite as this plan puts it to the model."""

    suite: Suite
    items: tuple[Item, ...]
    """With ids that are unique over suites: ``suite/item``."""
    records: list[dict[str, Any]]
    samples: int
    """Answers per prompt; 0 where no item is generated from."""
    digest: str


def choose(plan: Plan) -> list[Chosen]:
    """The suites and items of a plan.

    Raises:
        UnknownNameError: a suite is not known.
        UsageError: a suite has nothing in the part that the plan asks for.
        DataError: a user's suite is malformed.
    """
    names = plan.suites or tuple(suite_registry.names())
    judges = [*scorers.names(), *(f"{family}:" for family in scorers.FAMILIES)]
    suites = [suite_registry.get(name, metrics=metric_registry.names(), scorers=judges) for name in names]
    for suite in suites:
        _check_readable(suite)
    called = [suite.name for suite in suites]
    twice = next((name for name in called if called.count(name) > 1), None)
    if twice:
        raise UsageError(f"--suites names the suite {twice!r} twice: {', '.join(names)}")
    if isinstance(plan.limit, dict):
        for name in plan.limit:
            if name not in called:
                raise UnknownNameError("suite in limit", name, called)
    found = []
    for suite in suites:
        picked = suite_registry.select(suite, plan.item_limit(suite))
        items = tuple(dataclasses.replace(item, id=f"{suite.name}/{item.id}") for item in picked)
        items = _in_part(items, suite.name, plan)
        records = [item_record(item, suite.name) for item in items]
        # Nothing is drawn where every item has choices: such suites compare whatever --samples was.
        samples = plan.sample_count(suite) if any(not item.choices for item in items) else 0
        found.append(Chosen(suite, items, records, samples, suite_digest(suite, records, samples, plan)))
    return found


def drawing_order(items: Sequence[Item], suite: str, seed: int) -> dict[str, int]:
    """What is drawn together, in random order: items of one template, and of templates that a pair joins.

    The order is that of sha256 digests, so it is known before anything is sampled, is the same everywhere, and does
    not depend on the order of the file.

    Args:
        items: of one suite.
        suite: its name.
        seed: of the order.

    Returns:
        Template -> number, from 0; joined templates share a number.
    """
    head: dict[str, str] = {item.template: item.template for item in items}

    def of(template: str) -> str:
        while head[template] != template:
            head[template] = head[head[template]]
            template = head[template]
        return template

    pairs: dict[str, str] = {}
    for item in items:
        if item.pair:
            first, second = sorted((of(pairs.setdefault(item.pair, item.template)), of(item.template)))
            head[second] = first
    joined = {template: of(template) for template in head}
    digests = {name: hashlib.sha256(f"{seed}\n{suite}\n{name}".encode()).digest() for name in joined.values()}
    numbers = {name: at for at, name in enumerate(sorted(digests, key=digests.__getitem__))}
    return {template: numbers[name] for template, name in joined.items()}


def drawn_by(count: int, part: int, parts: int) -> int:
    """How many of ``count`` things are drawn when ``part`` of ``parts`` rounds are done; all of them after the last."""
    return -(-count * part // parts)


def _in_part(items: tuple[Item, ...], suite: str, plan: Plan) -> tuple[Item, ...]:
    """The items of the round that the plan asks for, in the order of the file; all where it asks for none."""
    if plan.part is None:
        return items
    part, parts = plan.part
    order = drawing_order(items, suite, plan.seed)
    count = len(set(order.values()))
    numbers = range(drawn_by(count, part - 1, parts), drawn_by(count, part, parts))
    found = tuple(item for item in items if order[item.template] in numbers)
    if not found:
        raise UsageError(f"part {part} of {parts} of the suite {suite!r} holds nothing: it has {count} clusters")
    return found


def _check_readable(suite: Suite) -> None:
    """Have every metric read the unanswered items, so that an item it cannot read shows before the model runs."""
    unanswered = [Answered(item) for item in suite.items]
    for name in suite.metrics:
        metric = metric_registry.get(name)
        metric.build(unanswered, metric.reads)
