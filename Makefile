# The commands of the project. `make sandbox` shows it, `make test` proves it; both make their own environment.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help setup fmt lint type layers unit check test test-e2e sim model chaos sandbox bench bench-precision bench-trace lock clean
.DEFAULT_GOAL := help

help: ## list the commands
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): pyproject.toml requirements/dev.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Lotvine needs Python 3.11 or newer: make PYTHON=python3.x")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --only-binary :all: -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

setup: $(STAMP) ## make the environment in .venv/

fmt: setup ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: setup ## style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

type: setup ## types
	$(BIN)/mypy

layers: setup ## the map of ARCHITECTURE.md as import contracts
	$(BIN)/lint-imports --no-cache

unit: setup ## all tests but the networks of processes
	$(BIN)/python -m pytest -n auto -m "not e2e"

check: lint type layers ## lint, types, layers and all tests, with the coverage floor of the core
	$(BIN)/python -m pytest -n auto -m "not e2e" --cov --cov-report=
	$(BIN)/coverage report --include='consensus/*,node/replica/*,node/feed/*,node/ledger/*' --skip-covered --fail-under=95
	$(BIN)/python -m tests.sim --seeds 200 --first-seed 1
	$(BIN)/python -m pytest -m e2e

test: setup check ## make the environment, pass the tests

test-e2e: setup ## networks of real processes
	$(BIN)/python -m pytest -m e2e

SEEDS ?= 50
sim: FIRST_SEED ?= 1
sim: setup ## simulated networks under every fault: make sim SEEDS=300 FIRST_SEED=1; SEEDS=1 shows one
	$(BIN)/python -m tests.sim --seeds $(SEEDS) --first-seed $(FIRST_SEED)

VIEWS ?= 2
model: setup ## every run of the core in small worlds: make model VIEWS=3
	$(BIN)/python -m tests.model --views $(VIEWS) $(MODEL)

MINUTES ?= 5
SEED ?= $(shell $(PYTHON) -c 'import random; print(random.randrange(10**6))')
VALIDATORS ?= 7
chaos: setup ## real processes under random faults: make chaos MINUTES=10 SEED=1
	$(BIN)/python -m tests.e2e.chaos --minutes $(MINUTES) --seed $(SEED) --validators $(VALIDATORS)

sim-planted: setup ## plant each known bug in a scratch copy and have a seed or a test find it
	$(BIN)/python -m tests.sim.planted

sandbox: setup ## four firms on this machine, a story and a trace
	$(BIN)/lotvine sandbox

bench: setup ## speed and memory, side by side with what one would pick instead
	$(BIN)/python -m bench

WORLDS ?= 1000
bench-precision: FIRST_SEED ?= 100000
bench-precision: setup ## how small scopes are, and that none is too small: make bench-precision WORLDS=1000 FIRST_SEED=100000
	$(BIN)/python -m bench.precision --worlds $(WORLDS) --first-seed $(FIRST_SEED) $(PRECISION)

EVENTS ?= 100000
bench-trace: setup ## traces of a made-up food network beside SQLite, DuckDB, PostgreSQL and a graph library: EVENTS=1000000
	$(BIN)/python -m pip install --quiet --require-hashes --only-binary :all: -r requirements/bench.txt
	$(BIN)/python -m bench.trace --events $(EVENTS)

lock: ## pin the exact versions of the development environment again
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --extra dev pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --constraint requirements/dev.txt --extra bench pyproject.toml -o requirements/bench.txt

clean: ## remove what the commands made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* htmlcov dist bench/results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
