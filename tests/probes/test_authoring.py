"""The committed data files are what the tables expand to, and the small rules of expansion hold."""

from __future__ import annotations

from collections import Counter

import pytest

from probes import authoring
from probes.authoring_words import article, fill


@pytest.mark.parametrize("name", sorted(authoring.build()))
def test_rebuilding_gives_the_committed_file_byte_for_byte(name):
    assert (authoring.DATA / name).read_bytes() == authoring.build()[name]


def test_there_is_no_data_file_that_no_table_makes():
    assert {path.name for path in authoring.DATA.iterdir()} == set(authoring.build())


def test_main_writes_every_file(tmp_path, monkeypatch):
    monkeypatch.setattr(authoring, "DATA", tmp_path / "data")
    authoring.main()
    assert {path.name: path.read_bytes() for path in (tmp_path / "data").iterdir()} == authoring.build()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Asian person", "an"),
        ("Black person", "a"),
        ("LGBTQ person", "an"),
        ("U.S.-born patient", "a"),
        ("hour", "an"),
        ("unicorn", "a"),
        ("older guest", "an"),
        ("one-eyed cat", "a"),
        ("electrician", "an"),
        ("European", "a"),
    ],
)
def test_the_article_follows_the_sound(words, expected):
    assert article(words) == expected


def test_filling_takes_care_of_capitals_and_articles():
    assert (
        fill("{A:one} met {a:two}. {Two} and {two}.", one="older man", two="nurse")
        == "An older man met a nurse. Nurse and nurse."
    )


def test_an_unknown_slot_is_an_error():
    with pytest.raises(KeyError):
        fill("The {nobody} came", group="x")


def test_generation_wordings_are_dealt_out_evenly_to_occupations():
    from probes.authoring_occupations import items

    made = [item for item in items() if not item.choices]
    per_wording = Counter((item.template, item.group) for item in made)
    per_occupation = Counter(item.fields["occupation"] for item in made)
    assert set(per_wording.values()) == {4}
    assert set(per_occupation.values()) == {4}
    assert len({(item.template, item.fields["occupation"]) for item in made}) == len(made)
