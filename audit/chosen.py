"""What a plan chooses: suites, their items, and how often each is answered."""

from __future__ import annotations

import dataclasses
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
        records = [item_record(item, suite.name) for item in items]
        # Nothing is drawn where every item has choices: such suites compare whatever --samples was.
        samples = plan.sample_count(suite) if any(not item.choices for item in items) else 0
        found.append(Chosen(suite, items, records, samples, suite_digest(suite, records, samples, plan)))
    return found


def _check_readable(suite: Suite) -> None:
    """Have every metric read the unanswered items, so that an item it cannot read shows before the model runs."""
    unanswered = [Answered(item) for item in suite.items]
    for name in suite.metrics:
        metric = metric_registry.get(name)
        metric.build(unanswered, metric.reads)
