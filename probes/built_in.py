"""Reads the data files that travel with this package."""

from __future__ import annotations

from importlib.resources import as_file, files

from probes.loader import ItemFile, read_items


def read_built_in(name: str) -> ItemFile:
    """Reads the items of the built-in suite of this name."""
    with as_file(files("probes").joinpath("data", f"{name}.jsonl")) as path:
        return read_items(path)
