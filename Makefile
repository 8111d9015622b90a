# Two commands on a fresh machine, each doing its own set-up:  make train   make test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TASK ?= Seaquest
SEED ?= 0
ifndef STEPS  # the run of the README, which is to end in time on any two cores
STEPS := 40000
MINUTES ?= 8
endif
LIMIT := $(if $(MINUTES),--minutes $(MINUTES))
RUN_DIR ?= runs/$(TASK)-seed$(SEED)
ifdef COVERAGE  # costs the suite a third of its time
MEASURE := --cov --cov-report=term:skip-covered --cov-fail-under=95
endif

.PHONY: train test test-slow lint types check bench gpu kernels docs wheel clean

# Each process that a test starts would otherwise compile the package anew.
export PYTHONDONTWRITEBYTECODE :=

# The stamp is newer than what it was made from, or the environment is brought up to date.
$(VENV)/.ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps dm-control
	touch $@

train: $(VENV)/.ready  ## train GLAMOR on TASK for STEPS, evaluate it, write the report
	$(BIN)/glamor-gym train --task $(TASK) --steps $(STEPS) --seed $(SEED) \
		--episodes-per-goal 4 $(LIMIT) --run-dir $(RUN_DIR)

test: $(VENV)/.ready  ## the whole suite, but what is marked slow or gpu; COVERAGE=1 measures it
	$(BIN)/pytest -n 2 -m 'not slow and not gpu' $(MEASURE)

test-slow: $(VENV)/.ready  ## what takes minutes: learning to the end, on small worlds
	$(BIN)/pytest -m slow

gpu: $(VENV)/.ready  ## what needs a CUDA device
	@$(BIN)/python -c 'import sys, torch; \
		sys.exit(None if torch.cuda.is_available() else f"PyTorch {torch.__version__} sees no CUDA device")'
	$(BIN)/pytest -m gpu

kernels: $(VENV)/.ready  ## a GPU's kernels without a GPU: interpreted, and compiled for one
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt triton
	$(BIN)/pytest -m 'triton and not gpu'

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready
	$(BIN)/mypy

bench: $(VENV)/.ready  ## every hot path against its plain reference, in one run
	$(BIN)/python -m benchmarks.run

check: test lint types

docs: $(VENV)/.ready  ## the README and a reference from the docstrings, in docs/build
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(BIN)/python -m sphinx --quiet --fail-on-warning -b html docs docs/build

wheel: $(VENV)/.ready
	$(BIN)/python -m build --wheel

clean:
	rm -rf $(VENV) build dist docs/build *.egg-info .pytest_cache .mypy_cache .ruff_cache
