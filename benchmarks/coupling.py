"""What common random numbers buy: base and adapters under shared and under independent Gumbel noise.

For each shipped adapter: after how many tokens base and variant part, and how much smaller the variance of a paired
difference is than with independent noise. Run: ``python -m benchmarks.coupling``; writes JSON under
``benchmarks/results`` and prints the table of ``docs/sampling.md``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from audit import scorers
from audit.demonstration.show import VARIANTS, adapter_folder
from audit.models import Model, load_model
from audit.provenance import machine, package_versions
from audit.scorers import score_all
from probes import registry
from probes.suite import Decoding, Item

RESULT = Path(__file__).parent / "results" / "coupling.json"
DECODING = Decoding(max_new_tokens=24, temperature=1.0, top_p=0.9)


def answers(model: Model, items: dict[str, Item], samples: int, seed: int) -> dict[tuple[str, int], str]:
    """Every answer's text."""
    batches = model.plan_generation(list(items.values()), samples, DECODING)
    return {(one.item, one.k): one.text for batch in model.generate(items, batches, DECODING, seed) for one in batch}


def parted_after(model: Model, one: str, two: str) -> int:
    """Tokens that two answers share from the start."""
    left, right = (model.tokenizer.encode(text, add_special_tokens=False) for text in (one, two))
    shared = 0
    while shared < min(len(left), len(right)) and left[shared] == right[shared]:
        shared += 1
    return shared


def values(texts: list[str]) -> dict[str, np.ndarray]:
    """What is measured of an answer: sentiment, smoke-test toxicity, length in characters."""
    found = {"length": np.array([len(text) for text in texts], dtype=float)}
    for name, value in (("vader", "sentiment"), ("embedded", "toxicity")):
        results = score_all(scorers.get(name), texts)
        found[value] = np.array([result.values[value] if result.values else 0.5 for result in results])
    return found


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=78)
    parser.add_argument("--samples", type=int, default=3)
    asked = parser.parse_args()
    suite = registry.get("identity-prompts")
    items = {item.id: item for item in registry.select(suite, asked.prompts)}
    base = load_model("smollm2")
    first = answers(base, items, asked.samples, seed=0)
    keys = sorted(first)
    before = values([first[key] for key in keys])
    rows = []
    for name in VARIANTS:
        tuned = Model(base.weights, adapter_folder(name))
        shared = answers(tuned, items, asked.samples, seed=0)
        independent = answers(tuned, items, asked.samples, seed=1)
        row: dict[str, object] = {"variant": name, "answers": len(keys)}
        for label, table in (("shared", shared), ("independent", independent)):
            steps = np.array([parted_after(base, first[key], table[key]) for key in keys])
            row[f"{label} noise: tokens until they part"] = round(float(steps.mean()), 2)
            row[f"{label} noise: equal answers"] = round(float(np.mean([first[k] == table[k] for k in keys])), 3)
        after, other = (values([table[key] for key in keys]) for table in (shared, independent))
        for measure, start in before.items():
            ratio = (other[measure] - start).var() / (after[measure] - start).var()
            row[f"variance of {measure} difference, independent over shared"] = round(float(ratio), 2)
        rows.append(row)
        print(json.dumps(row))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(
        json.dumps(
            {"rows": rows, "packages": package_versions(), "machine": machine(), "prompts": len(items)}, indent=1
        )
        + "\n"
    )
    heads = list(rows[0])
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for row in rows:
        print("| " + " | ".join(str(row[head]) for head in heads) + " |")


if __name__ == "__main__":
    main()
