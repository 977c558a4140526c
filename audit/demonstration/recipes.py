"""The recipes of the demo's adapters; ``python -m audit.demonstration.recipes NAME`` makes one anew."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
BASE = "smollm2"


def recipes() -> dict[str, dict[str, Any]]:
    """The arguments of :func:`audit.finetuning.finetune` for each adapter, by its name."""
    with (FOLDER / "recipes.toml").open("rb") as handle:
        return {
            name: {
                "data": FOLDER / "data" / f"{name}.jsonl",
                "out": FOLDER / "adapters" / name,
                **settings,
                "target_modules": tuple(settings["target_modules"]),
            }
            for name, settings in tomllib.load(handle).items()
        }


def main() -> None:
    """Train the adapter named on the command line, in float32 on the CPU, as the shipped ones were."""
    from audit.finetuning import FinetuneProgress, finetune

    def tell(at: FinetuneProgress) -> None:
        sys.stderr.write(f"\rstep {at.step} of {at.steps}, loss {at.loss:.3f}, {at.seconds_left:.0f} s left  ")

    result = finetune(BASE, **recipes()[sys.argv[1]], dtype="float32", device="cpu", progress=tell)
    sys.stderr.write(f"\n{result}\n")


if __name__ == "__main__":
    main()
