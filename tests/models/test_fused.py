"""The kernel that draws tokens, run by triton's interpreter against torch's operations; triton comes with CUDA's torch.

The interpreter must be chosen before triton is imported, so that all of it runs in a process of its own.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
PROGRAM = """
import json
import torch
from audit.models import fused
from audit.models.fused import draw, trial
from audit.models.sampling import draw_fixed, gumbel_noise, sample_keys
from probes.suite import Decoding

found = []
# The interpreter's time is that of its calls: few large blocks of logits, the last of them not full.
for vocabulary, size, rows, block in ((51_200, 50_295, 1, 16_384), (49_152, 49_152, 1, 16_384), (257, 250, 6, 128)):
    fused._BLOCK = block
    # All logits equal, so that noise alone decides; and as spread as a model's.
    for spread in (0.0, 4.0):
        for options in ({}, {"temperature": 0.7}, {"top_p": 0.9}, {"top_p": 0.5, "temperature": 1.3}):
            decoding = Decoding(9, **options)
            generator = torch.Generator().manual_seed(vocabulary + round(spread))
            logits = torch.randn(rows, vocabulary, generator=generator) * spread
            logits = logits.to(torch.bfloat16)
            logits[0, ::2] = float("-inf")  # filtered
            keys = sample_keys(3, [(f"item {row}", row) for row in range(rows)])
            step = torch.tensor(len(found))
            masked = logits.clone()
            masked[:, size:] = float("-inf")
            expected = draw_fixed(masked, decoding, keys, step)
            got = draw(logits, decoding, keys, step, size)
            both = torch.stack([got, expected], 1)
            scores = torch.log_softmax(masked.float() / decoding.temperature, -1).gather(1, both)
            scores = scores + gumbel_noise(keys, step, both)
            tried = {}
            if rows > 1:
                tried["trial"] = trial(masked, decoding, keys, size)
                fused.draw = lambda logits, decoding, keys, step, size: draw_fixed(logits, decoding, keys, step + 1)
                tried["other"] = trial(masked, decoding, keys, size)
                fused.draw = draw
            found.append(tried | {
                "differ": int((got != expected).sum()), "apart": float((scores[:, 0] - scores[:, 1]).abs().max()),
                "distinct": len(set(expected.tolist())),
            })
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found() -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return list(json.loads(done.stdout.splitlines()[-1]))


def test_the_kernel_draws_what_torchs_operations_draw(found):
    # Tokens may change places where their scores are equal but for rounding.
    assert sum(one["differ"] for one in found) <= 1
    assert max(one["apart"] for one in found) < 1e-4
    assert sum(one["distinct"] for one in found) > 50, "the rows must not all draw the same"


def test_the_trial_passes_it_and_sees_tokens_of_another_step(found):
    tried = [one for one in found if "trial" in one]
    assert tried and not any(one["trial"] for one in tried)
    assert all("gave others than torch's" in one["other"] for one in tried)
