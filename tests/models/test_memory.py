"""Memory: what is counted, what is left, and what proved too much."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from audit.models import memory
from audit.models.memory import Footprint, budget, free_bytes, out_of_memory, remember
from tests.models.conftest import phi

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLM_AUDIT_CACHE", str(tmp_path))
    return tmp_path / "memory.json"


def test_a_token_and_a_row_are_counted_from_the_configuration():
    found = Footprint.of(phi(300))
    # 2 layers x (keys + values) x 64 wide x 4 bytes; 300 logits in float32.
    assert found.key_values == 2 * 2 * 64 * 4
    assert found.logits == 300 * 4
    assert Footprint.of(phi(300).to(torch.bfloat16)).key_values == found.key_values // 2
    assert Footprint.of(phi(300, num_key_value_heads=2)).key_values == found.key_values // 2


def test_shared_prompts_are_counted_once_and_plain_ones_once_a_row():
    found = Footprint.of(phi(300))
    drawing = found.generation(1, 0, 32, 0, shared=True)
    shared = found.generation(1, 10, 32, 20, shared=True)
    plain = found.generation(1, 10, 32, 20, shared=False)
    assert shared - drawing == (10 + 32 * 20) * found.key_values
    assert plain - drawing == 32 * (10 + 20) * found.key_values


def test_what_is_left_is_positive_and_less_than_the_machine_has():
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert 0 < free_bytes(CPU) < total


def test_a_limit_on_the_address_space_counts(monkeypatch):
    taken = memory._fields(Path("/proc/self/status"))["VmSize"]
    monkeypatch.setattr(resource, "getrlimit", lambda which: (taken + (64 << 20), resource.RLIM_INFINITY))
    assert free_bytes(CPU) == pytest.approx(64 << 20, rel=0.2)


def test_the_narrowest_control_group_above_the_process_counts(tmp_path):
    own = tmp_path / "cgroup"
    own.write_text("0::/outer/inner\n")
    for folder, most, taken in (("", "max", 0), ("outer", 1000, 400), ("outer/inner", 2000, 300)):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "memory.max").write_text(f"{most}\n")
        (tmp_path / folder / "memory.current").write_text(f"{taken}\n")
        (tmp_path / folder / "memory.stat").write_text("anon 10\ninactive_file 50\n")
    assert memory._left_of_group(tmp_path, own) == 1000 - 400 + 50
    assert memory._left_of_group(tmp_path / "nowhere", own) is None


def test_what_proved_too_much_halves_the_next_budget_of_that_model_only(cache):
    free = budget(CPU, "a" * 64, "float32")
    remember(CPU, "a" * 64, "float32", 30_000_000)
    remember(CPU, "a" * 64, "float32", 10_000_000)
    assert budget(CPU, "a" * 64, "float32") == 5_000_000
    for other in (("b" * 64, "float32"), ("a" * 64, "bfloat16")):
        assert budget(CPU, *other) == pytest.approx(free, rel=0.5)
    remember(CPU, "a" * 64, "float32", 4_000_000)
    assert budget(CPU, "a" * 64, "float32") == 2_000_000
    assert [path.name for path in cache.parent.iterdir()] == ["memory.json"], "no scratch file is left"


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"a": "b"}', "\x00"])
def test_a_damaged_memory_holds_nothing_and_is_written_anew(cache, damage):
    cache.write_text(damage)
    assert budget(CPU, "a" * 64, "float32") > 0
    remember(CPU, "a" * 64, "float32", 1000)
    assert budget(CPU, "a" * 64, "float32") == 500


def test_a_cache_that_cannot_be_written_is_no_fault(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SLM_AUDIT_CACHE", str(tmp_path / "file"))
    remember(CPU, "a" * 64, "float32", 1000)
    assert budget(CPU, "a" * 64, "float32") > 500


def test_errors_of_memory_are_told_from_others():
    with pytest.raises(RuntimeError) as told:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert out_of_memory(told.value)
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert out_of_memory(MemoryError())
    assert not out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not out_of_memory(ValueError("out of memory"))


def test_the_peak_is_this_processs_own_and_not_that_of_the_one_that_started_it():
    held = bytearray(2 << 30)  # the kernel hands the starting process's largest resident set on
    held[::4096] = b"x" * len(held[::4096])
    assert memory.peak() >= len(held)
    told = subprocess.run(
        [sys.executable, "-c", "from audit.models import memory; print(memory.peak())"], capture_output=True, check=True
    )
    assert 0 < int(told.stdout) < len(held)
