"""Run folders of invented answers, whose truth is known, and labels for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from audit import store
from audit.labelling import LabelSample
from audit.results import Run, sample_id

SUITE = "talk"
ASKED: dict[str, Any] = {
    "name": SUITE, "digest": "d1", "metrics": ["toxic-fraction"], "samples": 2, "items": 0, "breakdown": [],
    "groups": [],
}  # fmt: skip
SCORER = {"name": "judge", "revision": "1", "smoke": False, "values": ["toxicity"], "card": "Invented."}


def write_run(
    folder: Path,
    answers: Sequence[Sequence[str | None]],
    scores: Sequence[Sequence[float | None]],
    *,
    adapter: str | None = None,
    prompts: Sequence[str] | None = None,
    **changes: Any,
) -> Run:
    """A finished run of one suite; answers and scores are (item, draw), items come in templates of four."""
    ids = [f"i{at:04d}" for at in range(len(answers))]
    model = {
        "name": "model", "revision": None, "adapter": adapter, "files": {}, "adapter_files": {}, "fingerprint": "",
        "tokenizer_sha256": "",
    }  # fmt: skip
    record = {
        "schema_version": 1, "status": "complete", "plan": {"seed": 0, "profile": "quick"}, "suites": [ASKED],
        "scorers": [SCORER], "model": model, "counts": dict.fromkeys(("items", "samples", "likelihoods", "missing"), 0),
        "files": {}, "started": "", "ended": "", "resumed": [], "notes": [], "tool_version": "0", "plan_digest": "",
        "run_digest": "", **changes,
    }  # fmt: skip
    out = store.Folder(folder)
    out.write_json(store.RUN, record)
    items = [
        {"id": name, "suite": SUITE, "text": prompts[at] if prompts else f"Prompt {at}:", "template": f"t{at // 4}",
         "group": "", "pair": "", "choices": [], "fields": {}}
        for at, name in enumerate(ids)
    ]  # fmt: skip
    out.write_lines(store.ITEMS, items)
    given = [
        (name, k, text, score)
        for name, texts, values in zip(ids, answers, scores, strict=True)
        for k, (text, score) in enumerate(zip(texts, values, strict=True))
    ]
    samples = [{"item": name, "k": k, "text": text, "tokens": 3, "finish": "stop"} for name, k, text, _ in given]
    out.write_lines(store.SAMPLES, samples)
    rows = [
        {"sample": sample_id(name, k), "scorer": "judge", "revision": "1",
         "values": None if score is None else {"toxicity": score}, "reason": "none" if score is None else None}
        for name, k, text, score in given if text is not None
    ]  # fmt: skip
    out.write_lines(store.SCORES, rows)
    return Run(folder)


def texts_of(sample: LabelSample, runs: Sequence[Run]) -> dict[str, str]:
    """Id on the page -> answer, looked up through the key."""
    answers = [{(one.item.id, draw.k): draw.text for one in run.answers[SUITE] for draw in one.samples} for run in runs]
    return {
        name: str(side[one.item, one.k])
        for one in sample.drawn
        for name, side in zip(one.answers, answers, strict=True)
        if name
    }


def write_labels(folder: Path, sample: LabelSample, rater: str, labels: Mapping[str, str], /, **changes: Any) -> Path:
    """A file as the page saves it."""
    path = folder / f"labels-{rater or 'settled'}.json"
    content = {"schema_version": 1, "sample": sample.digest, "rater": rater, "settles": [], "labels": dict(labels)}
    path.write_text(json.dumps(content | changes), encoding="utf-8")
    return path


def by_text(sample: LabelSample, runs: Sequence[Run], toxic: Callable[[str], bool]) -> dict[str, str]:
    """The labels of a rater who goes by the answer's text."""
    return {name: "toxic" if toxic(text) else "not-toxic" for name, text in texts_of(sample, runs).items()}
