"""Shared prompts: the attention against one softmax over everything, the batch against the plain path."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AttentionInterface

from audit.errors import NonFiniteError
from audit.models.decoding import Vocabulary, generate_batch
from audit.models.hook import UnsupportedError
from audit.models.prefix import attend, regrid
from audit.models.sampling import sample_keys
from probes.suite import Decoding
from tests.models.conftest import phi

PATHS = ["shared", "fixed"]


class Digits:
    """A tokenizer whose tokens read as their numbers, so that stop strings are easy to name."""

    def decode(self, tokens, **_):
        return "".join(f" {token}." for token in tokens)


@pytest.fixture(scope="module")
def module():
    return phi(320)


def generate(module, prompts, counts, decoding, path="plain", *, seed=0, ends=(0,), graphs=None):
    from audit.models.graphs import Graphs

    rows = [place for place, count in enumerate(counts) for _ in range(count)]
    samples = [(f"prompt {place}", n) for n, place in enumerate(rows)]
    keys = sample_keys(seed, samples, module.device)
    names = [f"row {n} of prompt {place}" for n, place in enumerate(rows)]
    if path == "fixed" and graphs is None:
        graphs = Graphs(capture=False)
    found = generate_batch(
        module, Vocabulary(Digits(), 300, frozenset(ends), 0), prompts, rows, names, keys, decoding,
        shared=path != "plain", graphs=graphs,
    )  # fmt: skip
    return [(row.tokens, row.finish) for row in found]


def drawn(seed: int) -> tuple[list[list[int]], list[int]]:
    """Prompts of 1 to 40 tokens, and how often each is continued."""
    chance = random.Random(seed)
    prompts = [[chance.randrange(300) for _ in range(chance.randint(1, 40))] for _ in range(5)]
    return prompts, [chance.randint(1, 5) for _ in prompts]


def straight(query, keys, values, visible, scale, softcap, sink):
    """One row and head, in float64: one softmax over all that is visible."""
    scores = (keys.double() @ query.double() * scale)[visible]
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if sink is not None:
        scores = torch.cat([scores, sink.double()[None]])
    weights = torch.softmax(scores, 0)
    return weights[: int(visible.sum())] @ values.double()[visible]


@settings(max_examples=60, deadline=None)
@given(
    prompts=st.integers(1, 3), rows=st.integers(1, 4), groups=st.integers(1, 2), repeat=st.integers(1, 3),
    length=st.integers(1, 6), steps=st.integers(1, 5), softcap=st.sampled_from([None, 3.0]), sinks=st.booleans(),
    seed=st.integers(0, 10_000),
)  # fmt: skip
def test_attention_in_two_parts_is_one_softmax(prompts, rows, groups, repeat, length, steps, softcap, sinks, seed):
    generator = torch.Generator().manual_seed(seed)

    def random_(*shape):
        return torch.randn(*shape, generator=generator)

    heads, width = groups * repeat, 4
    query = random_(prompts * rows, heads, width)
    prompt = random_(prompts, groups, length, width), random_(prompts, groups, length, width)
    tail = random_(prompts * rows, groups, steps, width), random_(prompts * rows, groups, steps, width)
    sink = random_(heads) if sinks else None
    lowest = torch.finfo(torch.float32).min
    shown = torch.rand(prompts, length, generator=generator) < 0.7  # may hide a whole prompt, as a window does
    late = torch.rand(steps, generator=generator) < 0.7
    late[-1] = True
    bias = torch.where(shown, 0.0, lowest)[:, None, None], torch.where(late, 0.0, lowest)
    found = attend(query, prompt, tail, bias, 0.5, softcap, sink)
    for row in range(prompts * rows):
        for head in range(heads):
            of, group = row // rows, head // repeat
            expected = straight(
                query[row, head], torch.cat([prompt[0][of, group], tail[0][row, group]]),
                torch.cat([prompt[1][of, group], tail[1][row, group]]), torch.cat([shown[of], late]), 0.5, softcap,
                None if sink is None else sink[head],
            )  # fmt: skip
            torch.testing.assert_close(found[row, head].double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "decoding",
    [
        Decoding(max_new_tokens=30, temperature=0),
        Decoding(max_new_tokens=30, top_p=0.9),
        Decoding(max_new_tokens=30, top_k=20, temperature=1.5),
        Decoding(max_new_tokens=25, stop=(" 7.", "1. 2")),
        Decoding(max_new_tokens=1),
        Decoding(max_new_tokens=9),
    ],
    ids=str,
)
def test_rows_are_those_of_the_plain_path(module, decoding, path):
    """Prompts of unequal length, continued unequally often; rows end early, so that grids shrink."""
    ends = range(0, 300, 17) if decoding.top_p < 1 else (0,)
    for seed in range(3):
        prompts, counts = drawn(seed)
        expected = generate(module, prompts, counts, decoding, seed=seed, ends=ends)
        assert generate(module, prompts, counts, decoding, path, seed=seed, ends=ends) == expected
        if decoding.top_p < 1:
            assert len({len(tokens) for tokens, _ in expected}) > 5, "rows must end at different steps"


def test_buffers_serve_the_next_batch(module):
    """What an earlier batch left in the buffers is not seen by a later one of the same shape."""
    from audit.models.graphs import Graphs

    graphs = Graphs(capture=False)
    decoding = Decoding(max_new_tokens=20, top_p=0.95)
    for seed in range(4):
        prompts, _ = drawn(seed)
        prompts = [ids[: 3 + seed] * 2 for ids in prompts]
        expected = generate(module, prompts, [2] * 5, decoding, seed=seed)
        assert generate(module, prompts, [2] * 5, decoding, "fixed", seed=seed, graphs=graphs) == expected
    assert len(graphs) == 1


@pytest.mark.parametrize("path", ["plain", *PATHS])
def test_a_number_that_is_not_finite_is_named_by_its_row(path):
    """At the first token and at a later one: token 5 has a row of NaN in the embedding."""
    module = phi(320)
    with torch.no_grad():
        module.model.embed_tokens.weight[5] = float("nan")
    with pytest.raises(NonFiniteError, match="row 2 of prompt 1"):
        generate(module, [[1, 2], [3, 5], [4]], [2, 1, 1], Decoding(max_new_tokens=4, temperature=0), path)
    with torch.no_grad():
        module.lm_head.bias[5] += 1000.0  # so that every row draws it
    with pytest.raises(NonFiniteError, match="row 0 of prompt 0"):
        generate(module, [[1, 2], [3]], [1, 1], Decoding(max_new_tokens=4, temperature=0), path)


def test_the_prompt_is_held_once(module, monkeypatch):
    from audit.models import prefix

    held = []
    real = prefix.SharedRows.begin

    def begin(self):
        logits = real(self)
        held.append([tuple(part.shape) for part in self.batch.prompts[0]])
        return logits

    monkeypatch.setattr(prefix.SharedRows, "begin", begin)
    generate(module, [[1] * 20, [2] * 11], [8, 8], Decoding(max_new_tokens=4), "shared")
    assert held == [[(2, 4, 20, 16)] * 2]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 5).flatmap(lambda width: st.tuples(st.just(width), st.sets(st.integers(0, 29), min_size=1))))
def test_a_smaller_grid_keeps_rows_with_their_prompts(given_):
    width, chosen = given_
    slots = torch.tensor(sorted(chosen))
    prompts, new, moved = regrid(slots, width)
    assert len(set(moved.tolist())) == len(slots), "two rows in one slot"
    assert (prompts[moved // new] == slots // width).all()
    assert new == max((slots // width == prompt).sum().item() for prompt in prompts)
    assert moved.tolist() == sorted(moved.tolist())


def test_a_layer_that_asks_for_more_is_refused(module, monkeypatch):
    from audit.models import prefix

    real = prefix.HOOK.called
    for change, reason in (
        ({"dropout": 0.1}, "mask or dropout"),
        ({"alibi": torch.ones(1)}, "alibi"),
        ({"is_causal": False}, "tokens behind"),
    ):

        def asking(*given, change=change, **named):
            return real(*given, **(named | change))

        monkeypatch.setitem(AttentionInterface._global_mapping, prefix.HOOK.name, asking)
        with pytest.raises(UnsupportedError, match=reason):
            generate(module, [[1, 2]], [2], Decoding(max_new_tokens=3), "shared")
        assert module.config._attn_implementation != prefix.HOOK.name, "the model's own attention is put back"
