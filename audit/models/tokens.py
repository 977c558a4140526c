"""From texts to token ids and back, as the audit means it: prompts, choices behind a context, answers."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

from audit.errors import UsageError
from audit.models.decoding import cut_at_stop
from probes.suite import Begin, Decoding

Ids = Sequence[int]
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
# Texts that go to the tokenizer in one call: it works on them in parallel, and what it returns is held at once.
_TOGETHER = 1024


class Tokens:
    """A tokenizer and the format that prompts are put in.

    What was encoded is kept (4 bytes a token) until it is taken, so that planning a run and carrying it out encode
    every text once.

    Args:
        tokenizer: of transformers.
        prompt_format: ``raw`` puts prompts as they are; ``chat`` wraps each in the tokenizer's chat template.
        name: of the model, for messages.

    Raises:
        UsageError: ``chat`` was asked of a tokenizer without a template.
    """

    def __init__(self, tokenizer: Any, prompt_format: str, name: str) -> None:
        if prompt_format == "chat" and not tokenizer.chat_template:
            raise UsageError(f"--prompt-format chat: {name} has no chat template; use raw")
        self.tokenizer = tokenizer
        self._chat = prompt_format == "chat"
        self._name = name
        self._prompts: dict[str, Ids] = {}
        self._choices: dict[tuple[str, str, Begin], tuple[Ids, int]] = {}
        # A fast tokenizer drops its file's settings for cutting and padding at the first call, and only then. Later
        # calls change nothing in it, so that two threads may use it.
        self._ids([""], special=True)

    def prompts(self, texts: Sequence[str], *, take: bool = False) -> list[Ids]:
        """Token ids of prompts: with the special tokens that the tokenizer itself puts in front, and none behind.

        Args:
            texts: to be encoded.
            take: whether to forget them afterwards.
        """
        return _kept(self._prompts, texts, self._encode_prompts, take)

    def choices(
        self, pairs: Iterable[tuple[str, str]], begin: Begin = "tokenizer", *, take: bool = False
    ) -> list[tuple[Ids, int]]:
        """Token ids of context + choice, and how many at the end are scored.

        Context and choice are tokenised together, since a boundary inside a word would not exist in running text;
        what is scored starts at the first token that differs from the context's own tokens. Blanks at the end of the
        context are moved to the choice.

        Without context, ``begin`` says what stands in front: what the tokenizer adds (where that is nothing, the first
        token is not scored), or its BOS token, else EOS, once (lm-evaluation-harness' recipe).

        Args:
            pairs: (context, choice).
            begin: as in :class:`probes.suite.Suite`.
            take: whether to forget them afterwards.

        Raises:
            UsageError: ``bos`` is asked of a tokenizer that has neither token.
        """
        keys = [(context, choice, begin) for context, choice in pairs]
        return _kept(self._choices, keys, self._encode_choices, take)

    # -- encoding --

    def _encode_prompts(self, texts: Sequence[str]) -> list[Ids]:
        if self._chat:
            return self._ids([self._turn(text) for text in texts], special=False)
        return self._open(texts)

    def _open(self, texts: Sequence[str]) -> list[Ids]:
        """Ids with what the tokenizer puts in front, and without an end token that it puts behind."""
        found = self._ids(texts, special=True)
        # An end token may stand behind because the text ends in it, or because the tokenizer puts it there.
        ended = [at for at, ids in enumerate(found) if len(ids) and ids[-1] == self.tokenizer.eos_token_id]
        for at, plain in zip(ended, self._ids([texts[at] for at in ended], special=False), strict=True):
            if len(found[at]) > len(plain) and (not len(plain) or plain[-1] != found[at][-1]):
                found[at] = found[at][:-1]
        return found

    def _turn(self, text: str) -> str:
        said = [{"role": "user", "content": text}]
        try:
            return str(self.tokenizer.apply_chat_template(said, add_generation_prompt=True, tokenize=False))
        except Exception as error:  # a template is a program of the model's makers
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise UsageError(
                f"--prompt-format chat: the chat template of {self._name} fails: {lines[0][:200]}; use raw"
            ) from error

    def _encode_choices(self, keys: Sequence[tuple[str, str, Begin]]) -> list[tuple[Ids, int]]:
        # By how they begin: with a token of our own, with nothing, or with a context.
        begun = [key for key in keys if key[2] == "bos" and not key[0]]
        bare = [key for key in keys if not key[0].rstrip(" ") and not (key[2] == "bos" and not key[0])]
        following = [key for key in keys if key[0].rstrip(" ")]
        found = dict(zip(begun, self._begun([choice for _, choice, _ in begun]), strict=True))
        found |= zip(bare, self._bare([context + choice for context, choice, _ in bare]), strict=True)
        found |= zip(following, self._following([key[:2] for key in following]), strict=True)
        return [found[key] for key in keys]

    def _begun(self, choices: Sequence[str]) -> list[tuple[Ids, int]]:
        if not choices:
            return []
        first = self.tokenizer.bos_token_id
        first = self.tokenizer.eos_token_id if first is None else first
        if first is None:
            raise UsageError(f"{self._name} has neither a BOS nor an EOS token to begin a text with")
        found = self._ids(choices, special=False)
        found = [ids if len(ids) and ids[0] == first else array("i", [int(first)]) + ids for ids in found]
        return [(ids, len(ids) - 1) for ids in found]

    def _bare(self, texts: Sequence[str]) -> list[tuple[Ids, int]]:
        # The special tokens that stand in front are what all of them begin with.
        head, *found = self._open(["", *texts]) if texts else [()]
        return [_behind(head, ids) for ids in found]

    def _following(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[Ids, int]]:
        contexts = [context.rstrip(" ") for context, _ in pairs]
        distinct = list(dict.fromkeys(contexts))
        heads = dict(zip(distinct, self._encode_prompts(distinct), strict=True))
        if self._chat:
            # The assistant's turn starts fresh: its text does not follow the user's in one line.
            tails = self._ids([choice.lstrip(" ") for _, choice in pairs], special=False)
            return [(heads[context] + tail, len(tail)) for context, tail in zip(contexts, tails, strict=True)]
        wholes = self._encode_prompts([context + choice for context, choice in pairs])
        return [_behind(heads[context], ids) for context, ids in zip(contexts, wholes, strict=True)]

    def _ids(self, texts: Sequence[str], *, special: bool) -> list[Any]:
        found: list[Any] = []
        for start in range(0, len(texts), _TOGETHER):
            encoded = self.tokenizer(
                list(texts[start : start + _TOGETHER]), add_special_tokens=special, verbose=False,
                return_attention_mask=False, return_token_type_ids=False,
            )  # fmt: skip
            found += [array("i", ids) for ids in encoded["input_ids"]]
        return found

    # -- decoding --

    def answers(self, prompts: Sequence[Ids], drawn: Sequence[Ids], decoding: Decoding) -> list[str]:
        """Texts of drawn tokens, up to the first stop string.

        Args:
            prompts: ids that stand before the tokens, one entry an answer.
            drawn: ids of each answer, its end token left out.
            decoding: has the stop strings.
        """
        # Decoded behind the prompt, because sentencepiece tokenizers drop the blank before a text's first word.
        distinct = {id(ids): ids for ids in prompts}
        before = dict(zip(distinct, self.texts(list(distinct.values())), strict=True))
        wholes = self.texts([[*ids, *tokens] for ids, tokens in zip(prompts, drawn, strict=True)])
        answers = []
        for ids, tokens, whole in zip(prompts, drawn, wholes, strict=True):
            start = before[id(ids)]
            text = whole[len(start) :] if whole.startswith(start) else self.texts([tokens])[0]
            answers.append(cut_at_stop(text, decoding.stop))
        return answers

    def texts(self, sequences: Sequence[Ids]) -> list[str]:
        """Texts of token ids, special tokens shown."""
        lists = [list(ids) for ids in sequences]
        texts: list[str] = self.tokenizer.batch_decode(
            lists, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return texts


def _kept(known: dict[K, V], keys: Sequence[K], encode: Callable[[Sequence[K]], list[V]], take: bool) -> list[V]:
    """What is known of the keys, the rest encoded together; all of it forgotten if taken."""
    new = [key for key in dict.fromkeys(keys) if key not in known]
    known.update(zip(new, encode(new), strict=True))
    found = [known[key] for key in keys]
    if take:
        for key in keys:
            known.pop(key, None)
    return found


def _behind(head: Ids, whole: Ids) -> tuple[Ids, int]:
    """Ids of a whole text, and how many of them come after those that it shares with its beginning."""
    shared = 0
    while shared < min(len(head), len(whole)) and head[shared] == whole[shared]:
        shared += 1
    return whole, max(len(whole) - max(shared, 1), 0)
