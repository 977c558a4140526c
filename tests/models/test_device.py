"""What a GPU asks of a decoding step and of scoring, shown without one.

A step that is recorded as a CUDA graph must ask nothing of the host and use no tensor of another device. Both are
properties of the operations, not of the numbers: on torch's ``meta`` device, whose tensors have a shape and no numbers,
a question for a number fails, and a tensor of the CPU is one of another device.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch

import audit.models
from audit.models import graphs
from audit.models.graphs import FixedStep, Graphs, Shape
from audit.models.head import Head
from audit.models.hostless import Hostless, HostlessError
from audit.models.memory import out_of_memory
from audit.models.prefix import SharedRows
from audit.models.sampling import sample_keys
from audit.models.scoring import States, target_logprobs
from audit.models.tree import Tree, hidden_states
from probes.suite import Decoding
from tests.models.conftest import phi
from tests.models.test_prefix import drawn, generate
from tests.models.zoo import GAIN, build

DECODINGS = [
    Decoding(9, temperature=0),
    Decoding(9),
    Decoding(9, temperature=0.7, top_p=0.9),
    Decoding(9, top_k=12),
    Decoding(9, top_k=12, top_p=0.8),
]
KINDS = ["phi", "llama", "gpt2", "mistral", "gemma2"]
META = torch.device("meta")


def of(kind: str, device: str):
    module = (phi(320) if kind == "phi" else build(GAIN[kind])).to(device)
    # Where prompts are read transformers asks whether its mask hides anything; that is not the step.
    module.set_attn_implementation("eager")
    return module


def step(module, decoding, device) -> FixedStep:
    """A step over the buffers of two prompts with two rows each, as a batch makes it."""
    work = SharedRows(module, Head(module), [[1, 2, 3], [4] * 7], [2, 1], room=0, pad=0, device=torch.device(device))
    work.begin()
    return FixedStep(work, Shape.of(2, 2, 7, 8), 300, decoding, capture=False)


@torch.inference_mode()
@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_asks_nothing_of_the_host_and_stays_on_its_device(kind, device):
    module = of(kind, device)
    for decoding in DECODINGS if kind == "phi" else DECODINGS[:3]:
        made = step(module, decoding, device)
        with Hostless(torch.device(device)):
            made._step()
        assert made.tokens.device.type == device


@torch.inference_mode()
@pytest.mark.parametrize(
    "asks",
    [
        lambda logits: logits.sum().item(),
        lambda logits: bool(logits.sum() > 0),
        lambda logits: logits.nonzero(),
        lambda logits: logits[logits > 0],
        lambda logits: torch.repeat_interleave(logits, torch.ones(len(logits), dtype=torch.int64), dim=0),
        lambda logits: torch.unique(logits),
        lambda logits: torch.equal(logits, logits),
    ],
    ids=["item", "condition", "nonzero", "mask", "repeat", "unique", "equal"],
)
def test_a_step_that_asks_is_found(asks, monkeypatch):
    """In a model's layer as in our own code; on a CPU the question would be answered without a word."""
    module = phi(320)
    made = step(module, Decoding(9), "cpu")
    right = FixedStep._fed

    def fed(self):
        asks(logits := right(self))
        return logits

    monkeypatch.setattr(FixedStep, "_fed", fed)
    with pytest.raises(HostlessError, match="asks the host"), Hostless(torch.device("cpu")):
        made._step()


@torch.inference_mode()
@pytest.mark.parametrize(
    "leaves",
    [
        lambda logits: logits + torch.ones(320),
        lambda logits: logits[torch.tensor([0])],
        lambda logits: torch.ones(4).to(logits.device),
        lambda logits: torch.ops.aten.lift_fresh(logits),  # the end of torch.tensor(3, device=...)
        lambda logits: logits.tolist(),
        lambda logits: logits.cpu(),
    ],
    ids=["sum", "index", "to", "number", "list", "from"],
)
def test_a_tensor_that_lives_elsewhere_is_found(leaves):
    logits = torch.zeros(3, 320, device=META)
    with pytest.raises((HostlessError, RuntimeError)), Hostless(META):
        leaves(logits)


@torch.inference_mode()
def test_what_a_kernel_takes_as_a_number_may_stand_on_the_cpu():
    logits = torch.zeros(3, 320, device=META)
    with Hostless(META):
        found = (logits * torch.tensor(2.0)).masked_fill(logits > 1, 0.0)
        found[logits > 1] = 3.0
    assert found.device.type == "meta"


@torch.inference_mode()
@pytest.mark.parametrize("kind", KINDS)
def test_scoring_over_a_tree_stays_on_the_models_device(kind):
    """Until the numbers are read, at the very end."""
    module = of(kind, "meta")
    head = Head(module)
    tree = Tree.of([[1, 2, 3, 4], [1, 2, 5], [6, 7]])
    hidden = hidden_states(head, tree, META)
    assert hidden.device.type == "meta" and len(hidden) == len(tree.ids)
    found = target_logprobs(States(hidden, [], head.logits), [0, 1, 1, 2], [2, 3, 5, 4])
    assert (found.device.type, found.shape) == ("meta", (4,))


def test_buffers_that_were_kept_are_given_up_where_memory_ran_out():
    kept = Graphs(capture=False)
    generate(phi(320), *drawn(1), Decoding(5), "fixed", graphs=kept)
    assert len(kept) == 1
    kept.clear()
    assert not len(kept)


def test_a_batch_gives_up_its_prompts_once_they_stand_in_the_buffers(monkeypatch):
    """Else its keys and values would be there twice; its own tails it never has."""
    held = []
    right = graphs.GraphSteps._block

    def block(self, count):
        batch = self._work.batch
        tensors = [part for pair in batch.prompts for part in pair]
        held.append(sum(part.numel() for part in [*tensors, *(tail.keys for tail in batch.tails)]))
        assert all(part.untyped_storage().nbytes() == 0 for part in tensors)
        return right(self, count)

    monkeypatch.setattr(graphs.GraphSteps, "_block", block)
    prompts, counts = drawn(2)
    decoding = Decoding(12, top_p=0.9)
    module = phi(320)
    found = generate(module, prompts, counts, decoding, "fixed", ends=range(0, 300, 9))
    assert found == generate(module, prompts, counts, decoding, ends=range(0, 300, 9))
    assert held and not any(held)


@pytest.mark.parametrize("words", ["CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"])
def test_what_ran_out_within_a_recording_is_for_the_planner(words, monkeypatch):
    """The end of a recording raises once more: what counts is what was raised first."""

    def full(self):
        try:
            raise RuntimeError(words)
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")

    monkeypatch.setattr(FixedStep, "_captured", full)
    with pytest.raises(RuntimeError) as caught:
        generate(phi(320), [[1, 2]], [2], Decoding(5), "fixed", graphs=Graphs(capture=True))
    assert out_of_memory(caught.value)


def test_the_reason_is_what_went_wrong_first(monkeypatch):
    def refuse(self):
        try:
            raise RuntimeError("an operation is not permitted when a stream is capturing")
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")

    monkeypatch.setattr(FixedStep, "_captured", refuse)
    kept = Graphs(capture=True)
    with pytest.warns(UserWarning, match="an operation is not permitted"):
        generate(phi(320), [[1, 2]], [2], Decoding(5), "fixed", graphs=kept)
    assert not kept.capture


def test_noise_for_many_rows_is_made_in_one_go_on_a_gpu():
    """Kernels of five rows each would be started two hundred times a step."""
    calls = []

    class Count(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            calls.append(func)
            return func(*args, **(kwargs or {}))

    from audit.models.sampling import draw

    keys = sample_keys(0, [("item", k) for k in range(1024)]).to(META)
    with Count():
        draw(torch.zeros(1024, 51_200, device=META), Decoding(9), keys, 3)
    assert len(calls) < 100


@pytest.mark.parametrize("reason", ["", "it drew others", RuntimeError("no compiler"), torch.OutOfMemoryError("full")])
def test_the_kernel_is_used_if_its_trial_allows_it(reason, monkeypatch):
    def trial(*given):
        if isinstance(reason, Exception):
            raise reason
        return reason

    stub = SimpleNamespace(trial=trial, draw=object())
    monkeypatch.setitem(sys.modules, "audit.models.fused", stub)
    monkeypatch.setattr(audit.models, "fused", stub, raising=False)
    logits, kept = SimpleNamespace(device=torch.device("cuda")), Graphs(capture=True)
    given = (logits, Decoding(9, top_p=0.9), None, 300)
    if isinstance(reason, torch.OutOfMemoryError):
        with pytest.raises(torch.OutOfMemoryError):
            kept.try_kernel(*given)
        monkeypatch.setattr(stub, "trial", lambda *given: "")
        kept.try_kernel(*given)
    elif reason:
        with pytest.warns(UserWarning, match="torch's operations draw them"):
            kept.try_kernel(*given)
        kept.try_kernel(*given)  # once is enough
    else:
        kept.try_kernel(*given)
    wanted = not reason or isinstance(reason, torch.OutOfMemoryError)
    assert (kept.kernel is stub.draw) == wanted


@pytest.mark.parametrize("decoding", [Decoding(9, temperature=0), Decoding(9, top_k=5)], ids=str)
def test_the_kernel_is_not_for_what_it_cannot_do(decoding):
    kept = Graphs(capture=True)
    kept.try_kernel(SimpleNamespace(device=torch.device("cuda")), decoding, None, 300)
    assert kept.kernel is None


# -- the script that runs on a GPU --


def test_a_part_of_the_device_script_that_hangs_is_ended_with_what_it_started(tmp_path):
    from benchmarks.device import part

    said = tmp_path / "child"
    (tmp_path / "hangs.py").write_text(
        "import pathlib, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"pathlib.Path({str(said)!r}).write_text(str(child.pid))\n"
        "time.sleep(60)\n"
    )
    environment = pytest.MonkeyPatch()
    environment.setenv("PYTHONPATH", str(tmp_path))
    try:
        found = part(("hangs",), 2.0)
    finally:
        environment.undo()
    assert found["exit"] == "cut off" and 2 <= found["seconds"] < 20
    assert not running(int(said.read_text()))
    assert part(("json.no_such_module",), 20.0)["exit"] == 1


def running(process: int) -> bool:
    """Whether a process is there and not merely waiting to be collected."""
    from pathlib import Path

    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_earlier_calls_did_is_kept_for_the_same_commit_and_device(tmp_path, monkeypatch):
    import json

    from benchmarks import device

    monkeypatch.setattr(device, "RESULTS", tmp_path)
    here = {"device": "one", "packages": {"torch": "2"}, "code": {"commit": "abc", "dirty": False}, "date": "now"}
    assert device.earlier(here) == {}
    (tmp_path / "device.json").write_text(json.dumps({"hardware": here, "parts": {"tests": {"exit": 0}}}))
    written = here | {"date": "later", "code": {"commit": "abc", "dirty": True}}
    assert device.earlier(written) == {"tests": {"exit": 0}}
    assert device.earlier(here | {"code": {"commit": "def"}}) == {}
    assert device.earlier(here | {"device": "another"}) == {}
    (tmp_path / "device.json").write_text("{")
    assert device.earlier(here) == {}
