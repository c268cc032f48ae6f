# Two commands: `make up` starts your cloud, `make test` proves it. Both install what they need into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help up down test lint format bench lock clean

help: ## Show what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

up: $(VENV)/.runtime ## Start the cloud, and return when it is ready
	@$(BIN)/aerekos up

down: ## Stop the cloud and everything it started
	@if [ -x $(BIN)/aerekos ]; then $(BIN)/aerekos down; else echo "nothing is installed, so nothing runs"; fi

test: $(VENV)/.dev ## Run every test
	@$(BIN)/python -m pytest -q

lint: $(VENV)/.dev ## Style, types and import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/.dev ## Put every file into the house style
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/.dev ## Measure, as ratios within one run
	@for each in bench/*.py; do echo "== $$each"; $(BIN)/python $$each || exit 1; done

lock: $(VENV)/.dev ## Resolve the dependencies anew
	@$(BIN)/pip install -q uv
	@$(BIN)/uv pip compile pyproject.toml --extra dev --python-version 3.11 --no-header --no-annotate \
		--generate-hashes -q -o requirements-dev.lock
	@$(BIN)/uv pip compile pyproject.toml --python-version 3.11 --no-header --no-annotate \
		--generate-hashes -q -c requirements-dev.lock -o requirements.lock

clean: ## Remove what was installed and cached here (the cloud's own data stays)
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	@echo "making a virtualenv in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

# Stamps: a warm start compares three file times and installs nothing.
$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "installing dependencies (about half a minute, only the first time)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo "installing what the tests need"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
