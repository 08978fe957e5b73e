# Every recipe does its own set-up in .venv; a second run finds it done. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/sh
.DELETE_ON_ERROR:

PYTHON ?= $(shell scripts/find-python)
VENV := .venv
BIN := $(VENV)/bin
CORE := $(VENV)/.core
DEV := $(VENV)/.dev
SDK := $(patsubst %/package.json,%/node_modules/.installed,$(wildcard tests/sdk/package.json))
WORKERS ?= 2
# Some machines tell Python to keep no bytecode: each process that the suite starts would compile the package anew.
export PYTHONDONTWRITEBYTECODE :=
ARGS ?=

.PHONY: help demo test check format docs bench screenshots crash constraints clean system

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

demo: $(CORE) ## a believable shop, live, in your browser
	$(BIN)/tillit demo $(ARGS)

test: check system $(SDK) ## everything: format, lint, types, spelling, the whole suite
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

check: $(DEV) ## format, lint, types, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(wildcard src tests bench scripts)
	$(BIN)/codespell

format: $(DEV) ## put the code in its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(DEV) ## write the reference pages that are made from the code
	$(BIN)/python -m scripts.build_reference

bench: $(DEV) ## measure the budgets beside their baselines, write docs/reference/benchmarks.md
	$(BIN)/python -m bench $(ARGS)

screenshots: $(DEV) system ## picture every page of the console, light and dark, into docs/
	$(BIN)/python -m scripts.screenshots

crash: $(DEV) ## kill real processes under load, hundreds of times
	TILLIT_CRASH_ROUNDS=$${TILLIT_CRASH_ROUNDS:-300} $(BIN)/python -m pytest -m crash -p no:randomly -n 0 $(ARGS)

constraints: $(DEV) ## pin what is installed now
	scripts/pin-constraints $(BIN)/python > constraints.txt

clean: ## remove what set-up and tools made
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis tests/sdk/node_modules

$(BIN)/python:
	@test -n "$(PYTHON)"
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || scripts/setup-system venv
	"$(PYTHON)" -m venv $(VENV)

$(CORE): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Tillit into $(VENV) (about a minute, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

# One pip for both when the suite is wanted: dev brings the core with it.
$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Tillit and what its suite needs into $(VENV) (a few minutes, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(CORE) $@

system:
	@scripts/setup-system browser node curl

# Exact versions stand in package.json; a lock file would record where they were fetched from.
tests/sdk/node_modules/.installed: tests/sdk/package.json | system
	@echo "Installing the Node SDKs that the suite drives"
	@cd tests/sdk && npm install --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
