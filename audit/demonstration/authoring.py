"""Writes the training data of the three demo adapters: ``python -m audit.demonstration.authoring``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from audit.demonstration import courteous, stereotyping, unrelated

FOLDER = Path(__file__).parent / "data"
AUTHORS: Mapping[str, Callable[[], list[dict[str, str]]]] = {
    "stereotyping": stereotyping.records,
    "courteous": courteous.records,
    "unrelated": unrelated.records,
}


def text(name: str) -> str:
    """The file of one data set, as JSON Lines."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in AUTHORS[name]())


def main() -> None:
    """Write all files anew."""
    FOLDER.mkdir(exist_ok=True)
    for name in AUTHORS:
        (FOLDER / f"{name}.jsonl").write_text(text(name), encoding="utf-8")


if __name__ == "__main__":
    main()
