"""Makes the data files of the built-in suites from the tables beside this module.

Run ``python -m probes.authoring`` after a table was changed, and raise the version of the suite that changed.
A test shows that rebuilding gives the files in ``probes/data`` byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from probes import (
    authoring_counterfactual,
    authoring_identity,
    authoring_occupations,
    authoring_qa,
    authoring_texts,
)
from probes.suite import Item
from probes.validation import ITEM_KEYS

DATA = Path(__file__).parent / "data"


def build() -> dict[str, bytes]:
    """Returns the content of every data file by its name."""
    tables = {
        "identity-prompts": authoring_identity.items(),
        "occupations": authoring_occupations.items(),
        "counterfactual-prompts": authoring_counterfactual.items(),
        "domain-qa": authoring_qa.items(),
        "plain-text": authoring_texts.items(),
    }
    return {f"{name}.jsonl": encode(items) for name, items in tables.items()}


def encode(items: Iterable[Item]) -> bytes:
    """Returns items as JSON Lines in UTF-8, keys in a fixed order, empty values left out."""
    lines = []
    for item in items:
        record = {key: value for key in ITEM_KEYS if (value := getattr(item, key))}
        lines.append(json.dumps(record, ensure_ascii=False) + "\n")
    return "".join(lines).encode("utf-8")


def main() -> None:
    """Writes the data files."""
    DATA.mkdir(exist_ok=True)
    for name, content in build().items():
        (DATA / name).write_bytes(content)


if __name__ == "__main__":
    main()
