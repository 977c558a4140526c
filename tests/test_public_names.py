"""What ``import audit`` promises, and the tree of errors with their exit codes."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys

import pytest

import audit
from audit import errors


def in_a_fresh_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_all_is_sorted_and_is_what_is_there() -> None:
    assert audit.__all__ == sorted(audit.__all__)
    assert dir(audit) == audit.__all__
    assert set(audit.__all__) == set(audit._HOMES)
    for name in audit.__all__:
        assert callable(getattr(audit, name)), name
        assert inspect.getdoc(getattr(audit, name)), name
    with pytest.raises(AttributeError, match="has no attribute 'runn'"):
        _ = audit.runn


def test_importing_audit_loads_nothing_heavy() -> None:
    heavy = ["torch", "transformers", "peft", "numpy", "scipy", "pandas", "pydantic", "rich", "typer", "datasets"]
    code = f"import sys, audit; print([name for name in {heavy} if name in sys.modules])"
    assert in_a_fresh_python(code) == "[]"


@pytest.mark.parametrize(
    "verb",
    [
        "compare",
        "demo",
        "finetune",
        "rescore",
        "run",
        "score",
        "verify",
    ],
)
def test_a_verb_is_its_function_whatever_was_imported_before(verb: str) -> None:
    home = audit._HOMES[verb]
    code = (
        f"import audit, {home}\n"
        f"assert callable(audit.{verb}), audit.{verb}\n"
        f"assert audit.{verb}.__name__ == {verb!r}, audit.{verb}\n"
    )
    in_a_fresh_python(code)


def test_every_error_stands_in_the_tree_with_its_exit_code() -> None:
    assert errors.__doc__ is not None
    drawn: dict[str, tuple[int, int]] = {}
    for line in errors.__doc__.splitlines():
        found = re.match(r"    ([ |+-]*)(\w+Error) +(\d) ", line)
        if found:
            drawn[found[2]] = (len(found[1]) // 4, int(found[3]))
    classes = {
        name: one
        for name, one in vars(errors).items()
        if inspect.isclass(one) and issubclass(one, Exception) and one.__module__ == "audit.errors"
    }
    assert set(drawn) == set(classes)
    for name, one in classes.items():
        depth = len(one.__mro__) - len(errors.AuditError.__mro__)
        assert drawn[name] == (depth, one.exit_code), name
        assert inspect.getdoc(one), name
    # A child stands below its parent.
    names = list(drawn)
    for name, one in classes.items():
        if one is errors.AuditError:
            continue
        above = [other for other in names[: names.index(name)] if drawn[other][0] == drawn[name][0] - 1]
        assert above[-1] == one.__base__.__name__, name


def test_exit_codes_are_those_of_the_design() -> None:
    codes = (
        errors.EXIT_PASS, errors.EXIT_USAGE, errors.EXIT_INCOMPLETE, errors.EXIT_INCONCLUSIVE, errors.EXIT_FAILED
    )  # fmt: skip
    assert codes == (0, 2, 3, 4, 5)


def test_an_unknown_name_tells_the_nearest_and_else_all() -> None:
    known = ["occupations", "domain-qa", "plain-text"]
    assert "did you mean occupations" in str(errors.UnknownNameError("suite", "ocupation", known))
    assert "known: domain-qa, occupations, plain-text" in str(errors.UnknownNameError("suite", "zzz", known))
    assert "none is registered" in str(errors.UnknownNameError("suite", "zzz", []))


def test_a_data_error_says_where() -> None:
    error = errors.DataError("a.jsonl", "is missing", line=3, field="id")
    assert str(error) == "a.jsonl, line 3, field 'id': is missing"
    assert (error.path, error.line, error.field) == ("a.jsonl", 3, "id")
