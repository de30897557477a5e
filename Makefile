# Bailee: every task is one command, and sets up what it needs.

SHELL  := bash
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PIP    := $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation

.DEFAULT_GOAL := help
.PHONY: help setup demo dev down test test-slow bench lint format proto lock check-fresh clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[1m%-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Create .venv with exactly the locked, hash-checked dependencies
$(READY): requirements.lock pyproject.toml
	@echo "Setting up $(VENV) (about a minute, once)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Bailee needs Python 3.11 or newer")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@# What comes without a wheel is built by the locked setuptools, never by one that pip fetches unchecked.
	@$(PIP) --require-hashes -r <(awk '/^[^ ]/ {wanted = /^setuptools==/} wanted' requirements.lock)
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --editable .
	@$(BIN)/pip check --disable-pip-version-check
	@touch $@

demo: $(READY) ## Run the main job end to end on real nodes; writes build/demo.json
	@$(BIN)/python -m deploy.localnet.demo

dev: $(READY) ## Keep a whole local network up and print how to use it
	@$(BIN)/python -m deploy.localnet up

down: $(READY) ## End the local network that `make dev` started
	@$(BIN)/python -m deploy.localnet down

test: $(READY) ## Run the tests, real nodes included (under 12 minutes on 2 cores)
	@$(BIN)/python -m pytest -m "not slow"

test-slow: $(READY) ## Run the full matrices
	@$(BIN)/python -m pytest -m slow

bench: $(READY) ## Measure, and print JSON with machine, figure, floor and ratio
	@$(BIN)/python -m tests.bench

lint: $(READY) ## Check style, types, import contracts, protos and generated code
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/buf lint proto
	@$(BIN)/buf format -d --exit-code proto
	@set -o pipefail; $(BIN)/buf build proto -o - | $(BIN)/buf breaking - --against proto/baseline.binpb
	@$(BIN)/python proto/generate.py --check

format: $(READY) ## Format Python and protos
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/buf format -w proto

proto: $(READY) ## Regenerate proto/gen from the protos
	@$(BIN)/python proto/generate.py

lock: $(READY) ## Resolve requirements.lock anew; versions that still fit stay
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes --no-header \
	  --output-file requirements.lock pyproject.toml

check-fresh: ## Clone, empty the caches, and run `make demo` and `make test` as root and as an ordinary user
	@$(PYTHON) deploy/check_fresh.py

clean: down ## Remove everything that the targets above made
	@for folder in .localnet .localnet-demo; do \
	  test ! -d $$folder || flock --nonblock $$folder/lock rm -rf $$folder || { echo "a network runs in $$folder"; exit 1; }; \
	done
	@rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
