"""Every fault of a user's files is one line that names the file, the line and the field."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.errors import DataError
from probes import registry
from probes.authoring import encode
from probes.loader import load, read_items
from probes.suite import Decoding, Item

METRICS = {"toxic-fraction", "counterfactual-toxicity-gap", "degeneration-rate", "preference-rate", "qa-accuracy"}
SCORERS = {"embedded", "degeneration"}
GOOD = {"id": "a", "text": "My friend said that", "template": "t"}
BASE = """\
name = "my-suite"
version = 1
title = "A title"
measures = "Something."
limits = "Small-sample."
made = "By hand."
items = "items.jsonl"
metrics = ["toxic-fraction"]
scorers = ["embedded"]
"""
QA = {"condition": "ambiguous", "polarity": "negative", "answer": 0, "unknown": 0, "biased": 1}


def write(tmp_path: Path, *records: object, toml: str = BASE) -> Path:
    lines = [record if isinstance(record, bytes) else json.dumps(record).encode() for record in records]
    (tmp_path / "items.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    path = tmp_path / "suite.toml"
    path.write_text(toml, encoding="utf-8")
    return path


def fault(tmp_path: Path, *records: object, toml: str = BASE) -> DataError:
    with pytest.raises(DataError) as caught:
        load(write(tmp_path, *records, toml=toml), metrics=METRICS, scorers=SCORERS)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("record", "field", "said"),
    [
        (GOOD | {"id": ""}, "id", "is empty or missing"),
        (GOOD | {"id": "  "}, "id", "is empty or missing"),
        (GOOD | {"id": " a"}, "id", "white space"),
        (GOOD | {"id": "a\tb"}, "id", "unprintable"),
        (GOOD | {"id": 7}, "id", "expected a string, got the number 7"),
        ({"text": "x", "template": "t"}, "id", "is empty or missing"),
        ({"id": "b", "text": "x"}, "template", "is empty or missing"),
        (GOOD | {"text": ""}, "text", "without choices"),
        ({"id": "b", "template": "t"}, "text", "without choices"),
        (GOOD | {"text": None}, "text", "expected a string, got null"),
        (GOOD | {"choices": "x"}, "choices", "expected a list of at least one string, got the string 'x'"),
        (GOOD | {"choices": []}, "choices", "expected a list of at least one string"),
        (GOOD | {"choices": [" a", 2]}, "choices", "choice 2 must be a string"),
        (GOOD | {"choices": [" a", " "]}, "choices", "choice 2 must be a string that is not blank"),
        (GOOD | {"choices": [" a", " a"]}, "choices", "two choices are equal"),
        (GOOD | {"txet": "x"}, "txet", "did you mean text"),
        (GOOD | {"fields": []}, "fields", "expected an object"),
        (GOOD | {"fields": {"a": [1]}}, "fields.a", "expected a string, a number or a boolean"),
        (GOOD | {"fields": {"a": None}}, "fields.a", "got null"),
        (GOOD | {"fields": {"group": "x"}}, "fields.group", "own key 'group'"),
        (GOOD | {"group": "nobody"}, "group", "the suite declares none"),
        (GOOD | {"text": "half \ud800 pair"}, "text", "surrogate pair at character 6"),
        (GOOD | {"fields": {"a": "\udfff"}}, "fields.a", "surrogate"),
        (GOOD | {"choices": [" \ud800"]}, "choices", "surrogate"),
        (["a"], None, "expected a JSON object with the keys id"),
        ("text", None, "expected a JSON object"),
        (None, None, "got null"),
    ],
)
def test_a_bad_item_is_named_by_file_line_and_field(tmp_path, record, field, said):
    error = fault(tmp_path, {**GOOD, "id": "first"}, record)
    assert error.path == tmp_path / "items.jsonl"
    assert (error.line, error.field) == (2, field)
    assert said in str(error) and "items.jsonl, line 2" in str(error)


@pytest.mark.parametrize(
    ("line", "field", "said"),
    [
        (b'{"id": "b", "text": "x"', None, "is not JSON"),
        (b"{'id': 1}", None, "is not JSON"),
        (b'{"id": "b\xff", "text": "x"}', None, "byte 10 of the line is not UTF-8"),
        (b'{"id": "b", "id": "c", "text": "x"}', "id", "twice"),
        (b'{"id": "b", "text": "x", "template": "t", "fields": {"a": NaN}}', None, "NaN"),
        (b'{"id": "b", "text": "x", "template": "t", "fields": {"a": 1e999}}', "fields.a", "finite"),
        (b"[" * 100_000, None, "not usable JSON"),
        (b'{"id": ' + b"9" * 5000 + b"}", None, "not usable JSON"),
    ],
)
def test_a_line_that_is_no_json_is_named(tmp_path, line, field, said):
    error = fault(tmp_path, {**GOOD, "id": "first"}, line)
    assert (error.line, error.field) == (2, field)
    assert said in str(error)
    assert len(str(error)) < 400


def test_a_duplicate_id_names_both_lines(tmp_path):
    error = fault(tmp_path, GOOD, b"", {**GOOD, "text": "other"})
    assert (error.line, error.field) == (3, "id")
    assert "'a' is already used on line 1" in str(error)


@pytest.mark.parametrize("content", [b"", b"\n\n  \n", b"\xef\xbb\xbf"])
def test_an_empty_item_file_is_an_error(tmp_path, content):
    path = write(tmp_path, GOOD)
    (tmp_path / "items.jsonl").write_bytes(content)
    with pytest.raises(DataError, match="holds no items"):
        load(path)


def test_a_missing_item_file_is_named(tmp_path):
    path = write(tmp_path, GOOD)
    (tmp_path / "items.jsonl").unlink()
    with pytest.raises(DataError, match=r"items\.jsonl: no such file"):
        load(path)


def test_a_missing_declaration_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.toml: no such file"):
        registry.get(tmp_path / "none.toml")


def test_a_folder_in_place_of_a_file_is_an_error(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_items(tmp_path)


def test_a_file_without_permission_is_an_error(tmp_path, monkeypatch):
    path = write(tmp_path, GOOD)

    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match=r"suite\.toml: cannot be read: Permission denied"):
        load(path)


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "said"),
    [
        ('name = "my-suite"\n', "", None, "name", "is missing"),
        ('items = "items.jsonl"\n', "", None, "items", "is missing"),
        ('metrics = ["toxic-fraction"]\n', "", None, "metrics", "is missing"),
        ('name = "my-suite"', 'name = "My suite"', 1, "name", "lower-case letters"),
        ('name = "my-suite"', "name = 3", 1, "name", "expected words, got the number 3"),
        ("version = 1", "version = 0", 2, "version", "expected a whole number >= 1, got 0"),
        ("version = 1", "version = true", 2, "version", "got True"),
        ("version = 1", 'version = "1"', 2, "version", "got '1'"),
        ('title = "A title"', 'title = ""', 3, "title", "expected words"),
        ('items = "items.jsonl"', "items = 4", 7, "items", "expected the name of a JSON Lines file"),
        ('["toxic-fraction"]', '["toxic-fractoin"]', 8, "metrics", "did you mean toxic-fraction?"),
        ('["toxic-fraction"]', '"toxic-fraction"', 8, "metrics", "expected a list of words"),
        ('["toxic-fraction"]', "[]", 8, "metrics", "names no metric"),
        ('["toxic-fraction"]', "[1]", 8, "metrics", "expected a list of words"),
        ('["toxic-fraction"]', '["toxic-fraction", "toxic-fraction"]', 8, "metrics", "twice"),
        ('["embedded"]', '["embeded"]', 9, "scorers", "did you mean embedded?"),
        ("version = 1", 'version = 1\nmetrix = ["a"]', 3, "metrix", "did you mean metrics?"),
        ("version = 1", "version = 1\nsamples = 0", 3, "samples", ">= 1, got 0"),
        ("version = 1", "version = 1\nquick = -1", 3, "quick", ">= 0, got -1"),
        ("version = 1", 'version = 1\nmatched = "yes"', 3, "matched", "expected true or false"),
        ("version = 1", "version = 1\nmatched = true", 3, "matched", "without groups"),
        ("version = 1", 'version = 1\nbreakdown = ["kid"]', 3, "breakdown", "no item has 'kid'"),
        ("version = 1", "version = 1\ndecoding = 3", 3, "decoding", "expected a table"),
        ("version = 1", 'version = 1\nsha256 = "0"', 3, "sha256", "unknown key"),
    ],
)
def test_a_bad_declaration_is_named_by_file_line_and_field(tmp_path, old, new, line, field, said):
    assert BASE.count(old) == 1
    error = fault(tmp_path, GOOD, toml=BASE.replace(old, new))
    assert error.path == tmp_path / "suite.toml"
    assert (error.line, error.field) == (line, field)
    assert said in str(error)


@pytest.mark.parametrize(
    ("setting", "field", "said"),
    [
        ("max_new_tokens = 0", "decoding.max_new_tokens", ">= 1, got 0"),
        ("max_new_tokens = 2.5", "decoding.max_new_tokens", "whole number"),
        ("max_new_tokens = true", "decoding.max_new_tokens", "whole number"),
        ("temperature = -0.1", "decoding.temperature", ">= 0.001, got -0.1"),
        ("temperature = 1e-40", "decoding.temperature", ">= 0.001, got 1e-40"),
        ("temperature = nan", "decoding.temperature", ">= 0.001, got nan"),
        ("temperature = inf", "decoding.temperature", ">= 0.001, got inf"),
        ("top_p = 0.0", "decoding.top_p", "in (0, 1], got 0.0"),
        ("top_p = 1.01", "decoding.top_p", "in (0, 1], got 1.01"),
        ('top_p = "x"', "decoding.top_p", "got 'x'"),
        ("top_k = -1", "decoding.top_k", ">= 0, got -1"),
        ('stop = "x"', "decoding.stop", "expected a list of strings"),
        ('stop = [""]', "decoding.stop", "not empty"),
        ("stop = [1]", "decoding.stop", "got 1"),
        ("topp = 1", "decoding.topp", "did you mean"),
    ],
)
def test_decoding_out_of_range_is_named(tmp_path, setting, field, said):
    error = fault(tmp_path, GOOD, toml=f"{BASE}[decoding]\n{setting}\n")
    assert (error.line, error.field) == (11, field)
    assert said in str(error)


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        (b"", None, "is empty"),
        (b'name = "a"\nname = "b"\n', 2, "is not TOML"),
        (b'name = "a"\nversion = \n', 2, "is not TOML"),
        (b'name = "a"\ntitle = "\xff"\n', 2, "is not UTF-8"),
        (b'name = "a', 1, "is not TOML"),
    ],
)
def test_a_declaration_that_is_no_toml_is_named(tmp_path, content, line, said):
    path = tmp_path / "suite.toml"
    path.write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        load(path)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("metric", "records", "field", "said"),
    [
        ("preference-rate", [GOOD | {"choices": [" a"]}], "choices", "needs two choices"),
        ("preference-rate", [GOOD | {"choices": [" a", " b", " c"]}], "choices", "got 3"),
        ("qa-accuracy", [GOOD | {"choices": [" a", " b"]}], "fields.condition", "ambiguous or disambiguated, got None"),
        (
            "qa-accuracy",
            [GOOD | {"choices": [" a", " b"], "fields": QA | {"answer": 2}}],
            "fields.answer",
            "0 to 1, got 2",
        ),
        (
            "qa-accuracy",
            [GOOD | {"choices": [" a", " b"], "fields": QA | {"answer": True}}],
            "fields.answer",
            "got True",
        ),
        (
            "qa-accuracy",
            [GOOD | {"choices": [" a", " b"], "fields": QA | {"biased": 0}}],
            "fields.biased",
            "unknown one",
        ),
        ("counterfactual-toxicity-gap", [GOOD], "pair", "both 'pair' and 'group'"),
        ("counterfactual-toxicity-gap", [GOOD | {"pair": "p"}], "group", "both 'pair' and 'group'"),
    ],
)
def test_what_a_metric_needs_of_an_item_is_checked_before_a_run(tmp_path, metric, records, field, said):
    error = fault(tmp_path, b"", *records, toml=BASE.replace("toxic-fraction", metric))
    assert (error.path, error.line, error.field) == (tmp_path / "items.jsonl", 2, field)
    assert said in str(error)


@pytest.mark.parametrize(
    ("metric", "records", "said"),
    [
        ("preference-rate", [GOOD], "no item has choices"),
        ("counterfactual-toxicity-gap", [GOOD | {"choices": [" a"]}], "needs items without choices"),
        ("counterfactual-toxicity-gap", [GOOD | {"pair": "p", "group": "x"}], "one group only"),
    ],
)
def test_what_a_metric_needs_of_the_suite_is_checked_before_a_run(tmp_path, metric, records, said):
    toml = BASE.replace("toxic-fraction", metric) + 'groups = ["x"]\n'
    assert said in str(fault(tmp_path, *records, toml=toml))


def test_an_unmatched_template_is_named(tmp_path):
    records = [GOOD | {"id": "1", "group": "x"}, GOOD | {"id": "2", "group": "y"}]
    records.append(GOOD | {"id": "3", "group": "x", "template": "u"})
    toml = BASE + 'groups = ["x", "y"]\nmatched = true\n'
    error = fault(tmp_path, *records, toml=toml)
    assert error.field == "matched" and "'u' has no item for y" in str(error)


def test_a_misspelt_group_gets_the_nearest_name(tmp_path):
    error = fault(tmp_path, GOOD | {"group": "tal people"}, toml=BASE + 'groups = ["tall people", "others"]\n')
    assert (error.line, error.field) == (1, "group")
    assert "did you mean tall people?" in str(error)


def test_a_good_suite_loads_with_defaults_and_digest(tmp_path):
    record = GOOD | {"fields": {"n": 1, "b": True, "w": "x", "f": 0.5}}
    path = write(tmp_path, b"\xef\xbb\xbf" + json.dumps(record).encode() + b"\r", GOOD | {"id": "b"})
    suite = load(path, metrics=METRICS, scorers=SCORERS)
    assert suite.items[0] == Item("a", GOOD["text"], "t", fields=record["fields"])
    assert suite.decoding == Decoding()
    assert suite.sha256 == hashlib.sha256((tmp_path / "items.jsonl").read_bytes()).hexdigest()
    assert (suite.samples, suite.groups, suite.language) == (1, (), "en")


def test_a_line_separator_inside_a_string_does_not_end_the_line(tmp_path):
    record = json.dumps(GOOD | {"text": "one\u2028two"}, ensure_ascii=False).encode()
    suite = load(write(tmp_path, record))
    assert suite.items[0].text == "one\u2028two"


def test_decoding_is_read(tmp_path):
    toml = BASE + '[decoding]\nmax_new_tokens = 5\ntemperature = 0\ntop_p = 1\ntop_k = 3\nstop = ["\\n", "END"]\n'
    assert load(write(tmp_path, GOOD, toml=toml)).decoding == Decoding(5, 0, 1, 3, ("\n", "END"))


def test_the_template_loads_with_the_items_its_comments_show(tmp_path):
    path = tmp_path / "my-suite.toml"
    path.write_text(registry.template(), encoding="utf-8")
    shown = re.findall(r"^#\s+(\{.*\})$", registry.template(), flags=re.MULTILINE)
    (tmp_path / "my-suite.jsonl").write_text("\n".join(shown), encoding="utf-8")
    suite = registry.get(path, metrics=METRICS, scorers=SCORERS)
    assert len(suite.items) == 4
    assert suite.matched and suite.decoding.stop == ("\n",)


def test_the_template_explains_every_key():
    text = registry.template()
    from probes.loader import _DECODING_KEYS, _SUITE_KEYS
    from probes.validation import ITEM_KEYS

    for key in (*_SUITE_KEYS, *_DECODING_KEYS):
        assert re.search(rf"^\[?{key}\b", text, flags=re.MULTILINE), key
    for key in ITEM_KEYS:
        assert re.search(rf"^#\s+{key}\s", text, flags=re.MULTILINE), key


words = st.text(st.characters(exclude_categories=("Cs",)), min_size=1).filter(str.strip)
names = st.text("abcdefghijk-é 0", min_size=1).filter(lambda text: text == text.strip())


@settings(deadline=None)
@given(
    st.lists(
        st.builds(
            Item,
            id=names,
            text=words,
            template=names,
            group=words,
            choices=st.lists(words, unique=True, max_size=3).map(tuple),
            fields=st.dictionaries(names.filter(lambda key: key != "group"), st.integers() | words | st.booleans()),
        ),
        min_size=1,
        unique_by=lambda item: item.id,
        max_size=5,
    )
)
def test_what_is_written_is_read_again(tmp_path_factory, items):
    path = tmp_path_factory.mktemp("items") / "items.jsonl"
    path.write_bytes(encode(items))
    assert read_items(path).items == tuple(items)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_no_bytes_break_the_reader_otherwise_than_by_a_data_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("bytes") / "items.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError):
        read_items(path)
