"""Trees of tokens: every distinct beginning once, each node seeing its ancestors and itself, whatever the blocks."""

from __future__ import annotations

import pytest
import torch
from einops import rearrange
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.models import tree
from audit.models.head import Head
from audit.models.hook import UnsupportedError
from audit.models.tree import Blocks, Tree, attend, hidden_states
from tests.models.conftest import phi
from tests.models.zoo import GAIN, PLAIN, build

CPU = torch.device("cpu")
# Few different tokens, so that rows branch, repeat and end inside one another.
ROWS = st.lists(st.lists(st.integers(0, 2), max_size=9), min_size=1, max_size=12)


def beginnings(rows: list[list[int]]) -> set[tuple[int, ...]]:
    return {tuple(row[:end]) for row in rows for end in range(1, len(row) + 1)}


def spelled(found: Tree) -> list[tuple[int, ...]]:
    """The tokens from the root down to each node, by its paths."""
    names: dict[int, tuple[int, ...]] = {}
    for path in found.paths:
        for end, node in enumerate(path, start=1):
            assert names.setdefault(node, tuple(found.ids[at] for at in path[:end])) == tuple(
                found.ids[at] for at in path[:end]
            )
    return [names[node] for node in range(len(found.ids))]


@settings(deadline=None)
@given(ROWS)
def test_every_distinct_beginning_is_one_node(rows):
    found = Tree.of(rows)
    assert [[found.ids[node] for node in path] for path in found.paths] == rows
    names = spelled(found)
    assert len(names) == len(set(names)) and set(names) == beginnings(rows)
    assert found.depths == [len(name) - 1 for name in names]


@settings(deadline=None)
@given(ROWS)
def test_what_stands_below_a_node_follows_it(rows):
    found = Tree.of(rows)
    names = spelled(found)
    for node, (name, stop) in enumerate(zip(names, found.stops, strict=True)):
        below = {at for at, other in enumerate(names) if other[: len(name)] == name}
        assert below == set(range(node, stop))


@settings(deadline=None)
@given(ROWS, st.integers(1, 7), st.sampled_from([None, 1, 3]), st.integers(1, 2))
def test_a_node_sees_each_ancestor_and_itself_once(rows, size, window, heads):
    found = Tree.of([*rows, [0]])
    names = spelled(found)
    blocks = Blocks(found, size, CPU)
    bias = blocks.bias(window, heads, torch.float32)
    keys = blocks.keys.view(blocks.count, -1)
    assert bias.shape == (blocks.count, 1, heads * size, keys.shape[1])
    seen = rearrange(bias == 0, "s 1 (r n) m -> r (s n) m", r=heads)
    assert bool((bias[~(bias == 0)] == float("-inf")).all())
    for node, name in enumerate(names):
        expected = [names.index(name[:end]) for end in range(1, len(name) + 1)][-(window or len(name)) :]
        for head in range(heads):
            assert sorted(keys[node // size][seen[head, node]].tolist()) == sorted(expected)
    assert bool(seen.any(-1).all()), "a query that sees nothing would be NaN"


@settings(deadline=None)
@given(ROWS)
def test_few_keys_stand_beside_a_block(rows):
    """Nothing but the path to a block's first node: at most the depth of the tree."""
    found = Tree.of([*rows, [0]])
    blocks = Blocks(found, 4, CPU)
    assert len(blocks.keys) <= blocks.count * (4 + max(found.depths))


@pytest.mark.parametrize("softcap", [None, 2.0])
@pytest.mark.parametrize("sinks", [False, True], ids=["", "sinks"])
def test_attention_equals_its_definition(softcap, sinks):
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 8, 4), torch.randn(3, 2, 6, 4), torch.randn(3, 2, 6, 5)
    bias = torch.zeros(3, 1, 8, 6).masked_fill_(torch.rand(3, 1, 8, 6) < 0.4, float("-inf"))
    bias[..., 0] = 0
    extra = torch.randn(2, 8) if sinks else None
    scores = 0.3 * query.double() @ key.double().mT
    scores = (softcap * torch.tanh(scores / softcap) if softcap else scores) + bias
    mass = scores.exp().sum(-1, keepdim=True) + (extra.double().exp()[None, :, :, None] if extra is not None else 0)
    found = attend(query, key, value, bias, 0.3, softcap, extra)
    torch.testing.assert_close(found.double(), scores.exp() / mass @ value.double(), rtol=1e-5, atol=1e-6)


@settings(deadline=None, max_examples=15)
@given(
    st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=24), min_size=1, max_size=8),
    st.sampled_from([3, 16, 64]),
)
def test_states_are_those_of_unpadded_rows(rows, size):
    model = phi(50)
    found = Tree.of(rows)
    with torch.inference_mode(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(tree, "_BLOCK", {"cpu": size})
        states = hidden_states(Head(model), found, CPU)
        for row, path in zip(rows, found.paths, strict=True):
            alone = model.model(input_ids=torch.tensor([row])).last_hidden_state[0]
            torch.testing.assert_close(states[path], alone, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("name", ["gemma2", "mistral", "gpt-oss"])
def test_windows_caps_and_sinks_are_the_models_own(name):
    """Rows longer than the window of 8, some of them alike for longer than it."""
    model = build(GAIN[name])
    random = torch.Generator().manual_seed(1)
    stem = torch.randint(300, (14,), generator=random).tolist()
    rows = [stem[:at] + torch.randint(300, (6,), generator=random).tolist() for at in (14, 14, 9, 3, 0)]
    found = Tree.of(rows)
    with torch.inference_mode():
        states = hidden_states(Head(model), found, CPU)
        for row, path in zip(rows, found.paths, strict=True):
            alone = model.base_model(input_ids=torch.tensor([row])).last_hidden_state[0]
            torch.testing.assert_close(states[path], alone, rtol=1e-4, atol=1e-5)


def test_the_model_reads_each_beginning_once_and_nothing_else():
    model = phi(50)
    read = []
    model.model.embed_tokens.register_forward_pre_hook(lambda layer, given: read.append(given[0].shape))
    with torch.inference_mode():
        hidden_states(Head(model), Tree.of([[1, 2, 3], [1, 2, 4], [1, 2], [5]]), CPU)
    assert read == [(1, 5)]


def test_the_models_own_attention_is_put_back(monkeypatch):
    model = phi(50)
    before = model.config._attn_implementation
    rows = Tree.of([[1, 2], [1, 3]])
    with torch.inference_mode():
        hidden_states(Head(model), rows, CPU)
        assert model.config._attn_implementation == before
        monkeypatch.setattr(tree, "attend", lambda *given: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            hidden_states(Head(model), rows, CPU)
    assert model.config._attn_implementation == before and tree.HOOK.current is None


@pytest.mark.filterwarnings("ignore")
def test_a_model_that_attends_in_its_own_way_is_refused():
    with torch.inference_mode(), pytest.raises(UnsupportedError, match="GPTJForCausalLM does not use transformers'"):
        hidden_states(Head(build(PLAIN["gpt-j"][0])), Tree.of([[1, 2], [1, 3]]), CPU)


def test_what_a_layer_asks_for_and_a_tree_lacks_is_refused(monkeypatch):
    """A mask or an argument nobody knows here would otherwise be dropped without a word."""
    query = torch.zeros(1, 4, 2, 8)
    monkeypatch.setattr(tree.HOOK, "current", Blocks(Tree.of([[1, 2]]), 4, CPU))
    tree.HOOK.called(None, query, query, query, None, position_ids=torch.zeros(1, 2), sliding_window=None)
    with pytest.raises(UnsupportedError, match="hands over chunks"):
        tree.HOOK.called(None, query, query, query, None, chunks=3)
    with pytest.raises(UnsupportedError, match="a mask"):
        tree.HOOK.called(None, query, query, query, torch.zeros(1, 1, 2, 2))
    with pytest.raises(UnsupportedError, match="other tokens"):
        tree.HOOK.called(None, query, query[:, :, :1], query[:, :, :1], None)
    with pytest.raises(UnsupportedError, match="tokens behind"):
        tree.HOOK.called(None, query, query, query, None, is_causal=False)
