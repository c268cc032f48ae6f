# The two commands: `make up` and `make test`. Everything else is for people who work on the project.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help up down test lint bench clean

help: ## Show this
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(VENV)/.installed ## Install what is missing, start the cloud, come back when it is ready
	@$(BIN)/aerekos up

down: $(VENV)/.installed ## Stop the cloud; its data stays
	@$(BIN)/aerekos down

# Tests make their own homes and ports. Should one forget, it meets an empty folder, never the user's cloud.
test: $(VENV)/.installed-dev ## Run all tests
	@home=$$(mktemp -d) && trap 'rm -rf "$$home"' EXIT && \
	env -u AEREKOS_PORT -u AEREKOS_RUNTIME -u AEREKOS_ADMIN_PASSWORD \
	    AEREKOS_HOME="$$home/home" XDG_CONFIG_HOME="$$home/config" XDG_DATA_HOME="$$home/data" \
	    $(BIN)/python -m pytest -n 2 $(ARGS)

lint: $(VENV)/.installed-dev ## Check style, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed-dev ## Measure, as ratios within one run
	@home=$$(mktemp -d) && trap 'rm -rf "$$home"' EXIT && \
	if [ -f bench/run.py ]; then AEREKOS_HOME="$$home/home" XDG_CONFIG_HOME="$$home/config" $(BIN)/python bench/run.py; \
	else for each in bench/*.py; do [ -f "$$each" ] || continue; \
	     AEREKOS_HOME="$$home/home" XDG_CONFIG_HOME="$$home/config" $(BIN)/python "$$each" || exit 1; done; fi

clean: ## Remove the virtualenv and caches; never the cloud's data
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build *.egg-info

# Stamps: installing again costs time, so it happens only when a lock file or pyproject.toml is newer.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "aerekos needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || echo missing)." >&2; \
	  echo "  try: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@echo "==> making a virtualenv in $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "  try: install Python's venv module (Debian: apt install python3-venv)" >&2; rm -rf $(VENV); exit 1; }

$(VENV)/.installed: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "==> installing dependencies"
	@$(PIP) install --require-hashes -r requirements.lock
	@echo "==> installing aerekos"
	@$(PIP) install --quiet --no-deps -e .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	@echo "==> installing development dependencies"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@
