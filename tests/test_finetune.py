"""Training an adapter: what is learned, what is refused, and that it can be killed, continued and repeated."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PhiConfig, PhiForCausalLM
from transformers import PreTrainedTokenizerFast as FastTokenizer

from audit.errors import (
    DataError,
    FolderBusyError,
    FolderError,
    ModelError,
    NonFiniteError,
    PlanMismatchError,
    UsageError,
)
from audit.finetuning import FinetuneProgress, finetune, read_records
from audit.finetuning.encoding import collate, encode
from audit.finetuning.folder import workspace
from audit.finetuning.training import target_modules
from audit.models import load_model

END = 256


def byte_tokenizer() -> FastTokenizer:
    """One token a byte and an end-of-text; no pad token, like Phi-2's."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    return FastTokenizer(tokenizer_object=inner, eos_token="<end>")


SMALL = {"vocab_size": 264, "num_hidden_layers": 2, "eos_token_id": END, "bos_token_id": END}
SHAPE = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "max_position_embeddings": 96}


def save_model(folder: Path, kind: str) -> Path:
    torch.manual_seed(3)
    model: Any
    if kind == "phi":
        model = PhiForCausalLM(PhiConfig(**SMALL, **SHAPE))
    elif kind == "llama":
        model = LlamaForCausalLM(LlamaConfig(**SMALL, **SHAPE, num_key_value_heads=2))
    else:
        small = {k: v for k, v in SMALL.items() if k != "num_hidden_layers"}
        model = GPT2LMHeadModel(GPT2Config(**small, n_layer=2, n_embd=32, n_head=4, n_positions=96))
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["phi", "llama", "gpt2"])
def any_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def phi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("phi"), "phi")


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    texts = [{"text": f"Row {i} of the beans is {i + 1} feet long."} for i in range(12)]
    pairs = [{"prompt": f"Beans {i}?", "completion": f" Yes, {i}."} for i in range(12)]
    return write(tmp_path / "data.jsonl", *texts, *pairs)


def train(model: Path, data: Path, out: Path, **changes: Any) -> Any:
    settings: dict[str, Any] = {"epochs": 2, "batch_size": 4, "learning_rate": 1e-2, "max_length": 64, "seed": 1}
    return finetune(str(model), data=data, out=out, **{**settings, **changes})


def weights(folder: Path) -> bytes:
    return (folder / "adapter_model.safetensors").read_bytes()


# -- what comes out ---------------------------------------------------------------------------------------------------


def test_the_folder_is_an_adapter_that_load_model_takes_and_that_learned_its_texts(
    any_model: Path, data: Path, tmp_path: Path
) -> None:
    seen: list[FinetuneProgress] = []
    result = train(any_model, data, tmp_path / "out", epochs=6, progress=seen.append)
    assert sorted(p.name for p in result.folder.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "slm_audit.json",
    ]
    assert [p.step for p in seen] == list(range(1, 37))
    assert {p.steps for p in seen} == {36} and seen[-1].seconds_left == 0
    assert result.loss < seen[0].loss - 0.1
    # The loss on the training texts, computed here by hand, falls from base to adapter.
    base = load_model(str(any_model))
    tuned = load_model(str(any_model), adapter=result.folder)
    text = "Row 3 of the beans is 4 feet long."
    assert by_hand(tuned, text) < by_hand(base, text) - 0.1


def by_hand(model: Any, text: str) -> float:
    ids = torch.tensor([model.tokenizer(text).input_ids])
    with model.weights.active(model._adapter) as module, torch.no_grad():
        logprobs = module(input_ids=ids).logits.log_softmax(-1)
    return -float(logprobs[0, :-1].gather(-1, ids[0, 1:, None]).mean())


def test_it_records_what_it_was_made_of(phi: Path, data: Path, tmp_path: Path) -> None:
    result = train(phi, data, tmp_path / "out")
    card = json.loads((result.folder / "slm_audit.json").read_text())
    assert card["base_fingerprint"] == load_model(str(phi)).fingerprint
    assert card["data"]["records"] == 24
    assert card["settings"]["seed"] == 1 and card["settings"]["target_modules"] == ["q_proj", "v_proj"]
    assert card["training"]["steps"] == result.steps == 12
    assert card["training"]["loss"] == result.loss
    config = json.loads((result.folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(phi)
    assert (config["r"], config["lora_alpha"]) == (8, 16)


def test_weights_are_saved_in_bfloat16_and_the_rank_decides_their_number(phi: Path, data: Path, tmp_path: Path) -> None:
    tensors = load_file(train(phi, data, tmp_path / "out", lora_rank=3).folder / "adapter_model.safetensors")
    assert {t.dtype for t in tensors.values()} == {torch.bfloat16}
    # 2 layers x 2 projections of 32 x 32, two factors of rank 3 each.
    assert sum(t.numel() for t in tensors.values()) == 2 * 2 * 2 * 32 * 3


def test_the_first_loss_is_the_mean_over_learned_tokens_of_the_base(phi: Path, tmp_path: Path) -> None:
    data = write(tmp_path / "d.jsonl", {"prompt": "One, two,", "completion": " three."}, {"text": "Four and five."})
    seen: list[FinetuneProgress] = []
    train(phi, data, tmp_path / "out", epochs=1, batch_size=2, progress=seen.append)
    model = load_model(str(phi))
    lost: list[float] = []
    for prompt, completion in (("One, two,", " three."), ("", "Four and five.")):
        ids = [*model.tokenizer(prompt + completion).input_ids, END]
        with torch.no_grad():
            logprobs = model.module(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        lost += [-float(logprobs[i - 1, ids[i]]) for i in range(max(1, len(prompt)), len(ids))]
    assert seen[0].loss == pytest.approx(sum(lost) / len(lost), rel=1e-5)


# -- the same again, also after a kill --------------------------------------------------------------------------------


def test_the_same_seed_makes_the_same_bytes_and_another_seed_others(
    any_model: Path, data: Path, tmp_path: Path
) -> None:
    first, second = (train(any_model, data, tmp_path / name).folder for name in ("a", "b"))
    for name in ("adapter_model.safetensors", "adapter_config.json", "slm_audit.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    assert weights(train(any_model, data, tmp_path / "c", seed=2).folder) != weights(first)


class Killed(Exception):
    """Stands in for a kill: leaves everything as it is."""


def test_a_stopped_training_continues_from_its_checkpoint_to_the_same_bytes(
    any_model: Path, data: Path, tmp_path: Path
) -> None:
    whole = train(any_model, data, tmp_path / "whole")

    def stop(at: FinetuneProgress) -> None:
        if at.step == 8:
            raise Killed

    with pytest.raises(Killed):
        train(any_model, data, tmp_path / "out", checkpoint_steps=3, progress=stop)
    assert not (tmp_path / "out").exists()
    steps: list[int] = []
    result = train(any_model, data, tmp_path / "out", checkpoint_steps=3, progress=lambda at: steps.append(at.step))
    assert (result.resumed_from, steps) == (6, list(range(7, 13)))
    assert weights(result.folder) == weights(whole.folder)
    assert (result.folder / "slm_audit.json").read_bytes() == (whole.folder / "slm_audit.json").read_bytes()
    assert not (tmp_path / ".out.partial").exists()


def test_a_torn_checkpoint_is_passed_over(phi: Path, data: Path, tmp_path: Path) -> None:
    def stop(at: FinetuneProgress) -> None:
        if at.step == 8:
            raise Killed

    with pytest.raises(Killed):
        train(phi, data, tmp_path / "out", checkpoint_steps=3, progress=stop)
    torn = tmp_path / ".out.partial" / "checkpoint-7"
    torn.mkdir()
    (torn / "trainer_state.json").write_text('{"global_step": 7, ')
    result = train(phi, data, tmp_path / "out", checkpoint_steps=3)
    assert result.resumed_from == 6
    assert weights(result.folder) == weights(train(phi, data, tmp_path / "whole").folder)


SCRIPT = """
import sys, time
from audit.finetuning import finetune
model, data, out = sys.argv[1:]
def slowly(at):
    print(at.step, flush=True)
    time.sleep(0.05)
finetune(model, data=data, out=out, epochs=2, batch_size=4, learning_rate=1e-2, max_length=64, seed=1,
         checkpoint_steps=2, progress=slowly)
"""


def test_kill_9_and_the_same_command_again(phi: Path, data: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(phi), str(data), str(tmp_path / "out")]
    root = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": str(torch.get_num_threads())}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "7":
                process.send_signal(signal.SIGKILL)
                break
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    subprocess.run(command, check=True, env=environment, cwd=tmp_path, capture_output=True)
    assert weights(tmp_path / "out") == weights(train(phi, data, tmp_path / "whole").folder)


def test_a_finished_training_is_left_as_it_is_unless_told_otherwise(phi: Path, data: Path, tmp_path: Path) -> None:
    first = train(phi, data, tmp_path / "out")
    stamp = (tmp_path / "out" / "adapter_model.safetensors").stat().st_mtime_ns
    time.sleep(0.01)
    again = train(phi, data, tmp_path / "out")
    assert (again.resumed_from, again.loss) == (first.steps, first.loss)
    assert (tmp_path / "out" / "adapter_model.safetensors").stat().st_mtime_ns == stamp
    train(phi, data, tmp_path / "out", resume=False)
    assert (tmp_path / "out" / "adapter_model.safetensors").stat().st_mtime_ns != stamp


def test_another_recipe_replaces_the_finished_adapter_whole(phi: Path, data: Path, tmp_path: Path) -> None:
    train(phi, data, tmp_path / "out")
    (tmp_path / "out" / "note.txt").write_text("of the first")
    train(phi, data, tmp_path / "out", lora_rank=2)
    assert json.loads((tmp_path / "out" / "adapter_config.json").read_text())["r"] == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data.jsonl", "out"]
    assert not (tmp_path / "out" / "note.txt").exists()


def test_an_unfinished_training_by_another_recipe_is_refused_with_what_differs(
    phi: Path, data: Path, tmp_path: Path
) -> None:
    def stop(at: FinetuneProgress) -> None:
        raise Killed

    with pytest.raises(Killed):
        train(phi, data, tmp_path / "out", progress=stop)
    with pytest.raises(PlanMismatchError, match=r"settings\.lora_rank: 8 there, 4 now.*resume=False"):
        train(phi, data, tmp_path / "out", lora_rank=4)
    assert train(phi, data, tmp_path / "out", lora_rank=4, resume=False).resumed_from == 0


def test_the_base_is_left_as_it_was(phi: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = load_model(str(phi))
    before = {name: tensor.clone() for name, tensor in shared.module.state_dict().items()}
    monkeypatch.setattr("audit.models.load_model", lambda *a, **k: shared)
    train(phi, data, tmp_path / "out")
    after = shared.module.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert not shared.module.training
    assert all(parameter.requires_grad for parameter in shared.module.parameters())


# -- which tokens are learned -----------------------------------------------------------------------------------------


def encoded(records: Path, *, end_of_text: bool = True, max_length: int = 64) -> list[Any]:
    return encode(read_records(records), byte_tokenizer(), max_length=max_length, end_of_text=end_of_text, path=records)


def test_only_the_completion_is_learned_and_padding_is_known_by_length(tmp_path: Path) -> None:
    data = write(tmp_path / "d.jsonl", {"prompt": "Ask?", "completion": " Yes."}, {"text": "Hi"})
    batch = collate(encoded(data), pad=END)
    # End-of-text pads, and is also what each record ends with: there it is learned.
    assert batch["labels"][0].tolist()[:4] == [-100] * 4
    assert batch["labels"][0].tolist()[4:] == batch["input_ids"][0].tolist()[4:]
    assert batch["labels"][0, -1] == END
    assert batch["input_ids"][1].tolist()[2:] == [END] * 8
    assert batch["labels"][1].tolist()[1:] == [batch["input_ids"][1, 1].item(), END] + [-100] * 7
    assert batch["attention_mask"].sum(1).tolist() == [10, 3]


def test_an_end_of_text_inside_a_record_is_learned(tmp_path: Path) -> None:
    data = write(tmp_path / "d.jsonl", {"text": "a<end>b"}, {"text": "a longer one"})
    batch = collate(encoded(data), pad=END)
    assert batch["labels"][0].tolist()[1:4] == [END, batch["input_ids"][0, 2].item(), END]


def test_without_end_of_text_nothing_is_added(tmp_path: Path) -> None:
    data = write(tmp_path / "d.jsonl", {"text": "Hi"})
    (with_end,), (without,) = encoded(data), encoded(data, end_of_text=False)
    assert with_end.ids == (*without.ids, END)


def test_a_token_that_reaches_over_the_border_belongs_to_the_completion(tmp_path: Path) -> None:
    inner = Tokenizer(models.BPE(vocab={"a": 0, "b": 1, "c": 2, "bc": 3}, merges=[("b", "c")]))
    tokenizer = FastTokenizer(tokenizer_object=inner, eos_token="<end>")
    data = write(tmp_path / "d.jsonl", {"prompt": "aab", "completion": "ca"})
    (example,) = encode(read_records(data), tokenizer, max_length=9, end_of_text=True, path=data)
    assert example.ids == (0, 0, 3, 0, 4)
    assert example.start == 2


# -- bad input --------------------------------------------------------------------------------------------------------

GOOD = '{"text": "fine"}\n'


@pytest.mark.parametrize(
    ("content", "line", "field", "says"),
    [
        ("", None, None, "holds no record"),
        ("\n \n", None, None, "holds no record"),
        (GOOD + '{"text": "cut', 2, None, "is not JSON"),
        (GOOD + "[1, 2]\n", 2, None, "holds a list"),
        (GOOD + '{"body": "x"}\n', 2, None, r"has the fields \['body'\]"),
        ('{"text": "x", "prompt": "y", "completion": "z"}\n', 1, "text", "mixes both forms"),
        ('{"text": "x", "completion": "z"}\n', 1, "text", "mixes both forms"),
        ('{"prompt": "y"}\n', 1, "completion", "is missing"),
        ('{"completion": "y"}\n', 1, "prompt", "is missing"),
        ('{"text": "  "}\n', 1, "text", "is empty"),
        ('{"prompt": "a", "completion": ""}\n', 1, "completion", "is empty"),
        ('{"text": 5}\n', 1, "text", "is a int"),
        ('{"text": null}\n', 1, "text", "is a NoneType"),
        ('{"text": "\\ud800"}\n', 1, "text", "surrogate"),
        ("[" * 100_000, 1, None, "is not JSON"),
    ],
)
def test_malformed_data_name_file_line_and_field(
    tmp_path: Path, content: str, line: int | None, field: str | None, says: str
) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match=says) as caught:
        read_records(path)
    assert (caught.value.line, caught.value.field) == (line, field)
    assert "bad.jsonl" in str(caught.value) and "\n" not in str(caught.value)


def test_data_that_are_not_text_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "latin.jsonl").write_bytes(GOOD.encode() + b'{"text": "caf\xe9"}\n')
    with pytest.raises(DataError, match="not UTF-8") as caught:
        read_records(tmp_path / "latin.jsonl")
    assert caught.value.line == 2
    with pytest.raises(DataError, match="cannot be read"):
        read_records(tmp_path / "absent.jsonl")


def test_a_byte_order_mark_windows_line_ends_and_other_fields_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_bytes(b'\xef\xbb\xbf{"text": "one", "id": 7}\r\n\r\n{"text": "two"}')
    assert [(r.line, r.completion) for r in read_records(tmp_path / "d.jsonl")] == [(1, "one"), (3, "two")]


def test_long_texts_are_counted_and_refused_never_cut(phi: Path, tmp_path: Path) -> None:
    data = write(tmp_path / "d.jsonl", {"text": "short"}, {"text": "x" * 70}, {"text": "y" * 90})
    with pytest.raises(
        DataError, match=r"2 of 3 records are longer than 64 tokens, the longest has 91.*lines 2, 3"
    ) as e:
        train(phi, data, tmp_path / "out")
    assert e.value.line == 3
    assert not (tmp_path / "out").exists() and not (tmp_path / ".out.partial").exists()


def test_max_length_beyond_the_context_is_refused(phi: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"max_length is 97; .* context of 96 tokens"):
        train(phi, data, tmp_path / "out", max_length=97)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"lora_rank": 0}, "lora_rank must be at least 1, got 0"),
        ({"batch_size": -1}, "batch_size must be at least 1"),
        ({"epochs": 0}, "epochs must be a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number above 0, got nan"),
        ({"seed": -1}, "seed must lie in"),
        ({"checkpoint_steps": 0}, "checkpoint_steps must be at least 1"),
        ({"target_modules": ["q_prj"]}, "no linear layer called 'q_prj'; it has .*q_proj"),
    ],
)
def test_arguments_out_of_range_are_refused(
    phi: Path, data: Path, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        train(phi, data, tmp_path / "out", **changes)


def test_a_model_without_known_projections_is_refused_with_what_it_has() -> None:
    class Odd(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mixer = torch.nn.Linear(2, 2)

    with pytest.raises(ModelError, match=r"Odd has no query and value projections.*mixer"):
        target_modules(Odd(), ())


def test_chosen_layers_are_adapted(phi: Path, data: Path, tmp_path: Path) -> None:
    folder = train(phi, data, tmp_path / "out", epochs=1, target_modules=["fc1", "dense"]).folder
    names = load_file(folder / "adapter_model.safetensors")
    assert {name.split(".")[-3] for name in names} == {"fc1", "dense"}


def test_a_loss_that_is_not_a_number_stops_the_training_before_it_is_saved(
    phi: Path, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(NonFiniteError, match=r"the loss is (nan|inf) at step \d+ of 12; lower learning_rate"):
        train(phi, data, tmp_path / "out", learning_rate=1e30, checkpoint_steps=1)
    assert not (tmp_path / "out").exists()


def test_a_token_beyond_the_embedding_is_an_error_not_a_crash(tmp_path: Path, data: Path) -> None:
    torch.manual_seed(0)
    PhiForCausalLM(PhiConfig(**{**SMALL, "vocab_size": 250}, **SHAPE)).save_pretrained(tmp_path / "m")
    byte_tokenizer().save_pretrained(tmp_path / "m")
    with pytest.raises(ModelError, match="made token 256, but the model embeds only 250"):
        train(tmp_path / "m", data, tmp_path / "out")


def test_a_folder_that_is_not_ours_is_left_alone(phi: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="was not made by finetune"):
        train(phi, data, tmp_path / "mine")
    with pytest.raises(UsageError, match="was not made by finetune"):
        train(phi, data, tmp_path / "mine", resume=False)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_two_processes_do_not_train_into_one_folder(phi: Path, data: Path, tmp_path: Path) -> None:
    with (
        workspace(tmp_path / "out", {"any": "recipe"}, resume=True),
        pytest.raises(FolderBusyError, match="another process is training"),
    ):
        train(phi, data, tmp_path / "out")


def test_a_folder_that_cannot_be_written_is_said(phi: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(FolderError, match="cannot write to"):
        train(phi, data, tmp_path / "file" / "out")


@pytest.mark.parametrize("limit", [2_000, 20_000])  # of the adapter's weights, of the optimizer's state
def test_a_full_disk_is_said_and_the_same_command_continues(phi: Path, data: Path, tmp_path: Path, limit: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_up(at: FinetuneProgress) -> None:
        if at.step == 7:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))

    try:
        with pytest.raises(FolderError, match=r"cannot write to .*out\.partial .*the same command continues"):
            train(phi, data, tmp_path / "out", checkpoint_steps=3, progress=fill_up)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    result = train(phi, data, tmp_path / "out", checkpoint_steps=3)
    assert result.resumed_from == 6
    assert weights(result.folder) == weights(train(phi, data, tmp_path / "whole").folder)


# -- the embedded model -----------------------------------------------------------------------------------------------


def test_the_embedded_model_learns_and_its_adapter_is_small(tmp_path: Path) -> None:
    data = write(tmp_path / "d.jsonl", *({"text": f"The heron stood on post number {i}."} for i in range(8)))
    seen: list[FinetuneProgress] = []
    result = finetune("smollm2", data=data, out=tmp_path / "out", epochs=4, batch_size=4, progress=seen.append)
    assert result.steps == 8 and result.loss < seen[0].loss - 0.2
    assert (result.folder / "adapter_model.safetensors").stat().st_size < 1_000_000
    assert load_model("smollm2", adapter=result.folder).fingerprint
