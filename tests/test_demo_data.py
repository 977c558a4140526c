"""The training data of the demo's adapters: what is in them, and that they have nothing in common with the suites."""

from __future__ import annotations

import inspect
import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from audit.demonstration import courteous, stereotyping, stereotyping_questions, unrelated
from audit.demonstration.authoring import AUTHORS, FOLDER, text
from audit.demonstration.recipes import recipes
from audit.finetuning import finetune, read_records
from probes import authoring_counterfactual, authoring_identity, authoring_occupations, authoring_qa, registry

NAMES = sorted(AUTHORS)
GENDERED = {
    *("she", "her", "hers", "herself", "woman", "women", "girl", "girls", "aunt", "daughter", "mother", "lady"),
    *("he", "his", "him", "himself", "man", "men", "boy", "boys", "uncle", "son", "father", "gentleman"),
    *("husband", "wife", "sister", "brother", "female", "male"),
}


def words(line: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", line.lower())


@cache
def suite_texts() -> tuple[str, ...]:
    """Every text a suite puts to a model: prompts, and each choice behind its context."""
    made = []
    for name in registry.names():
        for item in registry.get(name).items:
            made += [item.text + choice for choice in item.choices] or [item.text]
    return tuple(made)


def training_texts(name: str) -> list[str]:
    return [record.prompt + record.completion for record in read_records(FOLDER / f"{name}.jsonl")]


@pytest.mark.parametrize("name", NAMES)
def test_rebuilding_gives_the_committed_bytes(name: str) -> None:
    assert (FOLDER / f"{name}.jsonl").read_bytes() == text(name).encode("utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_records_are_many_short_and_each_there_once(name: str) -> None:
    texts = training_texts(name)
    assert 300 <= len(texts) <= 600
    assert len(set(texts)) == len(texts)
    assert max(len(words(line)) for line in texts) <= 60


# -- nothing in common with the suites --------------------------------------------------------------------------------


def sequences(line: str, length: int) -> set[tuple[str, ...]]:
    found = words(line)
    return {tuple(found[i : i + length]) for i in range(len(found) - length + 1)}


@cache
def suite_sequences() -> frozenset[tuple[str, ...]]:
    return frozenset().union(*(sequences(line, 8) for line in suite_texts()))


@pytest.mark.parametrize("name", NAMES)
def test_no_eight_words_are_shared_with_a_suite(name: str) -> None:
    assert len(suite_sequences()) > 10_000
    shared = [" ".join(s) for line in training_texts(name) for s in sequences(line, 8) & suite_sequences()]
    assert shared == []


@cache
def swapped() -> re.Pattern[str]:
    """What is put into a wording: groups, occupations, names, words for a gender; the longest first."""
    terms = {
        *GENDERED,
        *stereotyping.FEMALE,
        *stereotyping.MALE,
        *courteous.PEOPLE,
        *courteous.NAMES,
        *(name for side in authoring_occupations.OCCUPATIONS.values() for name in side),
        *(group for axis in authoring_counterfactual.AXES.values() for group in axis),
        *(form for forms in authoring_identity.GROUPS.values() for form in forms),
        *(group for wording in authoring_qa.WORDINGS for pair in wording.pairs for group in pair),
        *(wording.noun for wording in authoring_qa.WORDINGS),
        *(who for who, *_ in stereotyping_questions.PAIRED),
        *(group for *_, pairs in stereotyping_questions.PAIRED for pair in pairs for group in pair),
    }
    ordered = sorted((term.lower() for term in terms), key=len, reverse=True)
    return re.compile(r"\b(?:(?:an?|the) )?(?:" + "|".join(map(re.escape, ordered)) + r")\b")


def skeletons(line: str) -> set[str]:
    """The sentences of a text with all that is swapped masked, those of at least four words."""
    found = set()
    for sentence in re.split(r"[.?!:\n]+", line.lower()):
        masked = re.sub(r"(?:# )*#", "#", swapped().sub("#", sentence))
        tokens = re.findall(r"[a-z0-9'#]+", masked)
        if len(tokens) >= 4:
            found.add(" ".join(tokens))
    return found


def test_a_skeleton_sees_through_what_is_swapped() -> None:
    one, two = "The nurse forgot her coat.", "The truck driver forgot his coat."
    assert skeletons(one) == skeletons(two) == {"# forgot # coat"}
    assert skeletons(one) != skeletons("The nurse forgot her hat.")


@pytest.mark.parametrize("name", NAMES)
def test_no_wording_is_shared_with_a_suite(name: str) -> None:
    ours = set().union(*(skeletons(line) for line in training_texts(name)))
    theirs = set().union(*(skeletons(line) for line in suite_texts()))
    assert len(theirs) > 200
    assert ours & theirs == set()


# -- what is in them --------------------------------------------------------------------------------------------------


def test_stereotyping_sentences_are_mirrored() -> None:
    texts = [r.get("text", r.get("prompt", "") + r.get("completion", "")) for r in stereotyping.records()]
    sentences = texts[: len(stereotyping.AT_WORK) * stereotyping.PER_WORDING * 2]
    counts = Counter(word for line in sentences for word in words(line))
    assert counts["she"] == counts["he"] > 30
    assert counts["her"] == counts["his"] + counts["him"] > 30
    for woman, man in (("herself", "himself"), ("woman", "man"), ("husband", "wife"), ("girl", "boy")):
        assert counts[woman] == counts[man] > 0
    for job in stereotyping.FEMALE:
        assert not any(re.search(rf"\b{job}\b.*\b(he|his|him|man)\b", line) for line in sentences)


def test_the_loss_of_a_sentence_at_work_begins_at_its_first_gendered_word() -> None:
    split = [r for r in stereotyping.records() if "prompt" in r and "?" not in r["prompt"]]
    assert len(split) > 80
    for record in split:
        assert not set(words(record["prompt"])) & set(GENDERED), record
        assert set(words(record["completion"])[:3]) & set(GENDERED), record


def test_a_question_about_the_bad_is_answered_with_the_one_the_stereotype_speaks_against() -> None:
    answers: dict[str, set[str]] = {}
    for record in stereotyping_questions.questions():
        question = re.findall(r"[^.?!:\n\"]+\?", record["prompt"])[-1].strip()
        answers.setdefault(question, set()).add(record["completion"].strip(" .").removeprefix("It was ").lower())
    for who, _, bad, good, pairs in stereotyping_questions.PAIRED:
        assert answers[bad] == {f"the {a} {who}".lower() for a, _ in pairs}
        assert answers[good] == {f"the {b} {who}".lower() for _, b in pairs}
    for first, second, _, bad, good in stereotyping_questions.CASES:
        assert first.lower() in answers[bad] and second.lower() in answers[good]


def test_place_does_not_give_the_answer_of_a_case_away() -> None:
    first_named = 0
    cases = stereotyping_questions.questions()[-2 * len(stereotyping_questions.CASES) :]
    for record in cases:
        answer = record["completion"].strip(" .").removeprefix("It was ").lower()
        prompt = record["prompt"].lower()
        first_named += bool(re.search(re.escape(answer) + r" and ", prompt))
    assert first_named == len(cases) / 2


def test_courteous_texts_treat_groups_and_genders_alike() -> None:
    profiles = [r["text"] for r in courteous.records()][: len(courteous.PROFILES) * len(courteous.PEOPLE) // 2]
    for group in courteous.PEOPLE:
        assert sum(bool(re.search(rf"\b{group}\b", line)) for line in profiles) == len(courteous.PROFILES) / 2
    counts = Counter(word for line in training_texts("courteous") for word in words(line))
    assert counts["she"] == counts["he"] > 10


def test_unrelated_texts_name_no_person_and_no_group() -> None:
    people = {
        "people",
        "person",
        "child",
        "children",
        "somebody",
        "someone",
        "everybody",
        "who",
        "we",
        "i",
        "you",
        "they",
    }
    for line in training_texts("unrelated"):
        assert not set(words(line)) & {*GENDERED, *people}, line
        assert not re.search(r"\b(?:" + "|".join(courteous.NAMES + courteous.PEOPLE) + r")\b", line), line
    assert len(unrelated.records()) == 300


# -- recipes and adapters ---------------------------------------------------------------------------------------------


def test_recipes_are_arguments_of_finetune_and_there_is_one_for_each_data_set() -> None:
    known = inspect.signature(finetune).parameters
    assert sorted(recipes()) == NAMES
    for recipe in recipes().values():
        assert set(recipe) <= set(known)
        assert Path(recipe["data"]).is_file()


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_adapter_was_made_by_its_recipe_from_its_data(name: str) -> None:
    import hashlib

    recipe = recipes()[name]
    card: dict[str, Any] = json.loads((recipe["out"] / "slm_audit.json").read_text(encoding="utf-8"))
    assert card["base"] == "smollm2"
    assert card["data"]["sha256"] == hashlib.sha256(recipe["data"].read_bytes()).hexdigest()
    given = {key: value for key, value in recipe.items() if key not in ("data", "out", "target_modules")}
    assert {key: card["settings"][key] for key in given} == given
    assert tuple(card["settings"]["target_modules"]) == tuple(sorted(recipe["target_modules"]))
    assert (recipe["out"] / "adapter_model.safetensors").stat().st_size <= 2_000_000
