"""Log-likelihoods: a batch gives what one straight loop over unpadded sentences gives."""

from __future__ import annotations

import pytest
import torch

from audit.errors import ContextLengthError, NonFiniteError
from audit.models import Model, load_model, scoring
from audit.models import model as scored_by
from audit.models.scoring import Scored, score_batch
from probes.suite import Item

ITEMS = {
    "q/1": Item(
        "q/1", "The nurse said that", "t", choices=(" she would come back", " he would come back in the morning")
    ),
    "q/2": Item("q/2", "The mechanic", "t", choices=(" said that he would look at the car again.", " said")),
    "q/3": Item("q/3", "A question is asked and an answer is given, or", "t", choices=(" none.", " the car.", " two")),
    "q/4": Item("q/4", "", "t", choices=("People in the city like to walk", "A")),
}


def score(model: Model, items=ITEMS, rows: int | None = None):
    batches = model.plan_likelihood(list(items.values()), max_rows=rows)
    return {(one.item, one.choice): one for batch in model.loglikelihood(items, batches) for one in batch}


def by_hand(model: Model, text: str, choice: str) -> tuple[float, int]:
    """The sum of log-probabilities of the choice's tokens in float64, one unpadded sentence."""
    words = model.tokenizer
    whole = words.encode(text + choice)
    first = len(words.encode(text)) if text else 1
    with torch.no_grad():
        logits = model.module(input_ids=torch.tensor([whole])).logits[0].double()
    logprobs = torch.log_softmax(logits, -1)
    return sum(logprobs[at - 1, whole[at]].item() for at in range(first, len(whole))), len(whole) - first


@pytest.fixture(params=[True, False], ids=["trees", "plain"])
def trees(request, monkeypatch) -> bool:
    """Both paths, whichever the model would take."""
    monkeypatch.setattr(scored_by, "score_batch", lambda *given, trees: score_batch(*given, trees=request.param))
    return request.param


@pytest.mark.parametrize("rows", [None, 3, 1])
def test_batches_equal_a_straight_loop(tiny, rows, trees):
    found = score(tiny, rows=rows)
    assert len(found) == 9
    for (item, choice), one in found.items():
        total, tokens = by_hand(tiny, ITEMS[item].text, ITEMS[item].choices[choice])
        assert one.tokens == tokens
        assert one.logprob == pytest.approx(total, rel=1e-5, abs=1e-6)


def test_a_text_without_context_may_begin_with_bos_and_keep_its_tokens(tiny):
    """lm-evaluation-harness' recipe: BOS, else EOS, in front once; every token is scored."""
    items = {"p": Item("p", "", "t", choices=(" Two blanks  and one behind ", "<|endoftext|>The nurse", "A"))}
    batches = tiny.plan_likelihood(list(items.values()), begin="bos")
    (found,) = tiny.loglikelihood(items, batches, begin="bos", per_token=True)
    for one, choice in zip(found, items["p"].choices, strict=True):
        ids = tiny.tokenizer.encode(choice)
        whole = ids if ids[0] == 0 else [0, *ids]
        with torch.no_grad():
            logprobs = torch.log_softmax(tiny.module(input_ids=torch.tensor([whole])).logits[0].double(), -1)
        expected = [logprobs[at - 1, whole[at]].item() for at in range(1, len(whole))]
        assert one.ids == tuple(whole[1:]) and one.tokens == len(whole) - 1
        assert list(one.logprobs) == pytest.approx(expected, rel=1e-5)
        assert one.logprob == pytest.approx(sum(expected), rel=1e-6)
        assert set(one.record()) == {"item", "choice", "logprob", "tokens", "ids", "logprobs"}
    (plain,) = tiny.loglikelihood(items, tiny.plan_likelihood(list(items.values())))
    assert plain[2].tokens == 0 and plain[2].logprob == 0.0, "one token, nothing before it: nothing is scored"
    assert set(plain[0].record()) == {"item", "choice", "logprob", "tokens"}


def reads(model: Model) -> list[int]:
    """Tokens that each forward pass is given, as it happens."""
    seen: list[int] = []
    layer = model.module.model.embed_tokens
    layer.register_forward_pre_hook(lambda _, given: seen.append(given[0].numel()))
    return seen


def test_what_choices_and_items_have_in_common_is_computed_once(phi_folder):
    model = load_model(str(phi_folder), device="cpu")
    items = {
        name: Item(name, "People in the city like to walk in the park", "t", choices=(f" on {day}.", f" on {day} and"))
        for name, day in (("a", "Sundays"), ("b", "Mondays"))
    }
    batches = model.plan_likelihood(list(items.values()))
    assert model.fit.trees == "" and len(batches) == 1
    seen = reads(model)
    (found,) = model.loglikelihood(items, batches)
    rows = [model.encode_choice(item.text, choice)[0] for item in items.values() for choice in item.choices]
    # A row's last token is only predicted.
    assert seen == [len({tuple(row[:end]) for row in rows for end in range(1, len(row))})]
    assert seen[0] < 0.5 * sum(map(len, rows))
    for one in found:
        item = items[one.item]
        assert one.logprob == pytest.approx(by_hand(model, item.text, item.choices[one.choice])[0], rel=1e-5)


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_the_output_layer_works_in_chunks_and_sees_only_what_predicts(phi_folder, trees, size, monkeypatch):
    monkeypatch.setattr(scoring, "CHUNK", {"cpu": size})
    model = load_model(str(phi_folder), device="cpu")
    item = Item("q", "The nurse said that", "t", choices=(" she would", " he would"))
    batches = model.plan_likelihood([item])  # which also tries the model
    seen = []
    model.module.lm_head.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[:-1].numel()))
    (found,) = model.loglikelihood({"q": item}, batches)
    rows = [model.encode_choice(item.text, choice) for choice in item.choices]
    ends = [tuple(ids[:end]) for ids, count in rows for end in range(len(ids) - count, len(ids))]
    assert max(seen) <= size and sum(seen) == (len(set(ends)) if trees else len(ends))
    for one in found:
        assert one.logprob == pytest.approx(by_hand(model, item.text, item.choices[one.choice])[0], rel=1e-5)


def test_rows_may_be_equal_and_lie_within_one_another(tiny, trees):
    ids = tiny.tokenizer.encode("The nurse said that she would come back")
    rows = [Scored(ids, 4, "a"), Scored(ids[:-2], 3, "b"), Scored(ids, len(ids) - 1, "c"), Scored(ids[:1], 0, "d")]
    a, b, c, d = score_batch(tiny.module, 0, [rows[:1], rows[1:]], torch.device("cpu"), trees=trees)
    assert a == pytest.approx(c[-4:], rel=1e-5) and b == pytest.approx(c[-5:-2], rel=1e-5)
    assert len(c) == len(ids) - 1 and d == []
    with torch.no_grad():
        logprobs = torch.log_softmax(tiny.module(input_ids=torch.tensor([ids])).logits[0].double(), -1)
    assert c == pytest.approx([logprobs[at, token].item() for at, token in enumerate(ids[1:])], rel=1e-5)


def test_nothing_to_score_asks_nothing_of_the_model(tiny, trees):
    rows = [Scored([3], 0, "a"), Scored([4, 5], 0, "b")]
    assert score_batch(None, 0, [rows], torch.device("cpu"), trees=trees) == [[], []]


def test_in_half_precision_the_softmax_is_computed_in_float32(phi_folder, trees):
    """Two paths round differently, but to bfloat16's 8 bits a logit's error is far under that of a bfloat16 softmax."""
    model = load_model(str(phi_folder), device="cpu", dtype="bfloat16")
    exact = load_model(str(phi_folder), device="cpu")
    ids = model.tokenizer.encode("People in the city like to walk in the park on Sundays.")
    (found,) = score_batch(model.module, 0, [[Scored(ids, len(ids) - 1, "a")]], torch.device("cpu"), trees=trees)
    (expected,) = score_batch(exact.module, 0, [[Scored(ids, len(ids) - 1, "a")]], torch.device("cpu"))
    assert found == pytest.approx(expected, abs=0.15)
    assert any(number != torch.tensor(number).bfloat16().item() for number in found)


def test_a_single_token_without_context_has_no_probability(tiny):
    one = score(tiny)["q/4", 1]
    assert (one.logprob, one.tokens) == (0.0, 0)


def test_blanks_at_the_end_of_a_context_belong_to_the_choice(tiny):
    plain = Item("p", "The nurse said that", "t", choices=(" she would",))
    blank = Item("b", "The nurse said that ", "t", choices=("she would",))
    found = score(tiny, {"p": plain, "b": blank})
    assert found["p", 0].logprob == found["b", 0].logprob


def test_a_choice_that_merges_into_the_context_is_scored_from_the_first_token_that_differs(tiny):
    ids, scored = tiny.encode_choice("The nur", "se said")
    assert ids == tiny.tokenizer.encode("The nurse said")
    shared = 0
    for a, b in zip(tiny.tokenizer.encode("The nur"), ids, strict=False):
        shared += a == b
    assert 0 < scored <= len(ids) - 1
    assert scored >= len(ids) - max(shared, 1)


def test_errors_name_the_item(phi_folder, tiny):
    long = Item("q/long", "The nurse said " * 60, "t", choices=(" she",))
    with pytest.raises(ContextLengthError, match="item q/long"):
        tiny.plan_likelihood([long])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")], ids=["NaN", "infinity"])
def test_numbers_that_are_not_finite_name_item_and_layer(phi_folder, trees, bad):
    model = load_model(str(phi_folder), device="cpu")
    batches = model.plan_likelihood(list(ITEMS.values()))  # tries the model while it is sound
    with torch.no_grad():
        model.module.model.embed_tokens.weight[model.tokenizer.encode(" mechanic")[-1]] = bad
    with pytest.raises(NonFiniteError, match=r"item q/2, choice \d.* from model.embed_tokens on"):
        list(model.loglikelihood(ITEMS, batches))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")], ids=["NaN", "infinity", "minus infinity"])
def test_one_logit_that_is_not_finite_is_enough(phi_folder, trees, bad):
    """Of a token that nobody asked for: the softmax over it would be wrong, or would hide what is broken."""
    model = load_model(str(phi_folder), device="cpu")
    batches = model.plan_likelihood(list(ITEMS.values()))
    with torch.no_grad():
        model.module.lm_head.bias[-1] = bad
    with pytest.raises(NonFiniteError, match=r"item q/\d, choice \d.* from lm_head on"):
        list(model.loglikelihood(ITEMS, batches))


def test_a_model_with_bos_scores_the_first_token(phi_folder, tmp_path):
    """What the tokenizer itself puts in front conditions the first token; nothing else does."""
    from tokenizers.processors import TemplateProcessing

    model = load_model(str(phi_folder), device="cpu")
    words = model.tokenizer
    words.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|endoftext|> $A", pair=None, special_tokens=[("<|endoftext|>", 0)]
    )
    item = Item("b", "", "t", choices=("People in the city",))
    one = score(model, {"b": item})["b", 0]
    whole = words.encode("People in the city")
    assert whole[0] == 0 and one.tokens == len(whole) - 1
    with torch.no_grad():
        logprobs = torch.log_softmax(model.module(input_ids=torch.tensor([whole])).logits[0].double(), -1)
    expected = sum(logprobs[at - 1, whole[at]].item() for at in range(1, len(whole)))
    assert one.logprob == pytest.approx(expected, rel=1e-5)


def test_chat_format_needs_a_template_and_wraps_the_prompt(phi_folder):
    from audit.errors import UsageError

    with pytest.raises(UsageError, match="no chat template"):
        load_model(str(phi_folder), device="cpu", prompt_format="chat")
    plain = load_model(str(phi_folder), device="cpu")
    plain.tokenizer.chat_template = "{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %} [bot]"
    chat = Model(plain.weights, prompt_format="chat")
    assert chat.tokens.texts([chat.encode_prompt("The nurse")])[0] == "[user] The nurse [bot]"
    ids, scored = chat.encode_choice("The nurse", " said")
    assert chat.tokens.texts([ids])[0] == "[user] The nurse [bot]said"
    assert scored == len(chat.tokenizer.encode("said"))
