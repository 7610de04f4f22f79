# Every target does its own set-up: a machine with python3, git and make is enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help install study test test-slow lint format bench rankings accuracy reproduce clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[plot,test]"
	@touch $@

install: $(READY) ## make .venv with the tested set of versions

study: $(READY) ## train, find relays, knock them out; table here, figures and results in study/
	$(BIN)/python -m relayestimators study --output study

test: $(READY) ## the test suite, on all cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n auto --dist loadfile

test-slow: $(READY) ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

lint: $(READY) ## ruff: lint and format check
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

format: $(READY) ## ruff: fix and format
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

$(VENV)/.bench: $(READY)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[bench]"
	@touch $@

bench: $(VENV)/.bench ## benchmarks of truth, calibration and speed; writes docs/benchmarks.md
	PYTHONPATH=tests $(BIN)/python -m benchmarks --output docs/benchmarks.md

rankings: $(VENV)/.bench ## rankings of nodes compared by knockouts; writes docs/rankings.md
	PYTHONPATH=tests $(BIN)/python -m benchmarks rankings --output docs/rankings.md

accuracy: $(VENV)/.bench ## accuracy and time to train beside sktime; writes docs/accuracy.md
	PYTHONPATH=tests $(BIN)/python -m benchmarks accuracy --output docs/accuracy.md

reproduce: $(READY) ## the claims of the paper over many seeds; goes on where it stopped; writes docs/findings
	$(BIN)/python -m relayestimators reproduce --output docs/findings --jobs 2

clean: ## remove what the targets made
	rm -rf $(VENV) study build *.egg-info .pytest_cache .ruff_cache
