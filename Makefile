# Set-up, the demo and the checks; `make demo` and `make test` need nothing before them.
SHELL := /bin/bash
PYTHON ?= python3
EXTRAS ?= demo,train,dev
TEST_PROCESSES ?= 2
comma := ,
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-$(subst $(comma),-,$(EXTRAS))

# DeepSpeed looks for ninja on the path when it compiles its op.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow bench lint types contracts audit constraints clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

install: $(STAMP) ## makes .venv (a CPU build of torch where there is no CUDA)

$(STAMP): pyproject.toml constraints.txt infra/install.sh
	PYTHON=$(PYTHON) EXTRAS=$(EXTRAS) infra/install.sh $(VENV)
	touch $@

demo: install ## the whole loop on this machine; ends with a table and out/demo/report.html
	$(BIN)/levo demo $(ARGS)

test: install ## every test but the slow ones
	$(BIN)/python -m pytest -m "not slow" -n $(TEST_PROCESSES) --dist loadgroup $(ARGS)

test-slow: install ## the slow tests
	$(BIN)/python -m pytest -m slow $(ARGS)

bench: install ## measured ratios; ARGS="NAME --json"
	$(BIN)/levo bench $(ARGS)

lint: install ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install ## mypy --strict over everything
	$(BIN)/mypy

contracts: install ## who may import whom
	$(BIN)/lint-imports

audit: ## known faults of the pinned packages: a report, which fails nothing
	PYTHON=$(PYTHON) infra/audit.sh

constraints: install ## pins what .venv holds now
	$(BIN)/python -m pip freeze --exclude-editable | sed -E 's/\+[A-Za-z0-9.]+$$//' | LC_ALL=C sort -f > constraints.txt

clean: ## removes caches and what the demo wrote, not .venv
	rm -rf out dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
