# Every target does its own set-up: a machine with python3, git and make is enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
OLDEST := .venv-oldest

.DEFAULT_GOAL := help
.PHONY: help install study test test-slow test-oldest lint format package bench rankings accuracy reproduce clean

help: ## List the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[plot,test]"
	@touch $@

$(VENV)/.dev: $(READY)
	$(BIN)/python -m pip install --quiet -c constraints.txt --group dev
	@touch $@

$(OLDEST)/.ready: pyproject.toml constraints-oldest.txt
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --upgrade pip
	$(OLDEST)/bin/python -m pip install --quiet -c constraints-oldest.txt -e ".[plot,test]"
	@touch $@

install: $(READY) ## Make .venv with the tested set of versions.

study: $(READY) ## Train networks, find relays, knock them out; print a table and write study/.
	$(BIN)/python -m relayestimators study --output study

test: $(READY) ## Run the test suite on all cores.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n auto --dist loadfile

test-slow: $(READY) ## Run the tests that take minutes.
	$(BIN)/python -m pytest -m slow

test-oldest: $(OLDEST)/.ready ## Run the test suite with the lowest versions that pyproject.toml allows.
	OMP_NUM_THREADS=1 $(OLDEST)/bin/python -m pytest -m "not slow" -n auto --dist loadfile

lint: $(READY) ## Check the code and its format with ruff.
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

format: $(READY) ## Fix and format the code with ruff.
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

package: $(VENV)/.dev ## Build the wheel and the sdist, and use each in a fresh environment.
	.ci/package $(BIN)/python

$(VENV)/.bench: $(READY)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[bench]"
	@touch $@

bench: $(VENV)/.bench ## Measure truth, calibration and speed; write docs/benchmarks.md.
	PYTHONPATH=tests $(BIN)/python -m benchmarks --output docs/benchmarks.md

rankings: $(VENV)/.bench ## Compare rankings of nodes by knockouts; write docs/rankings.md.
	PYTHONPATH=tests $(BIN)/python -m benchmarks rankings --output docs/rankings.md

accuracy: $(VENV)/.bench ## Compare accuracy and training time with sktime; write docs/accuracy.md.
	PYTHONPATH=tests $(BIN)/python -m benchmarks accuracy --output docs/accuracy.md

reproduce: $(READY) ## Test the claims of the paper over many seeds, resuming; write docs/findings.
	PYTHONPATH=examples $(BIN)/python -m paper --output docs/findings --jobs 2

clean: ## Remove what the targets made.
	rm -rf $(VENV) $(OLDEST) study build dist *.egg-info .pytest_cache .ruff_cache
