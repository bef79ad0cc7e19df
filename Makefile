# Every target sets up what it needs: the environment in .venv, from constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MARK ?= not slow

NATIVE := CMakeLists.txt $(shell find native -name '*.cc' -o -name '*.h')

.PHONY: demo test check fix bench docs native-asan clean help

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.use: pyproject.toml constraints.txt $(NATIVE)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[data,train]'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt $(NATIVE)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@ $(VENV)/.use

demo: $(VENV)/.use ## complete real code with the embedded model
	$(BIN)/python benchmarks/demo.py

test: $(VENV)/.dev ## run the tests (MARK=slow for the long proofs)
	$(BIN)/python -m pytest -m '$(MARK)'

check: $(VENV)/.dev ## linter, formatter, types, floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(VENV)/.dev ## let the linter and the formatter mend what they can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev ## measure training speed beside the transformers Trainer
	$(BIN)/python benchmarks/train_step.py

docs: $(VENV)/.dev ## write docs/commands.md from the command line
	$(BIN)/python docs/commands.py

native-asan: $(VENV)/.dev ## test the native core under the address and undefined-behaviour sanitizers
	$(BIN)/python native/sanitized.py

clean: ## remove the environment and all caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
