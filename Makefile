# Every target sets itself up on a fresh machine: a virtual environment in .venv, then the install.
# The second time the stamp file says that nothing is left to do.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
export HF_HUB_OFFLINE ?= 1

.PHONY: help install quickstart test lint clean

help:
	@echo "make quickstart   install, train on OpenMoji, draw a grid of prompts, print metrics"
	@echo "make test         install, lint, run the whole test suite"
	@echo "make lint         ruff check and format check"
	@echo "make clean        remove .venv (runs/ and the data cache stay)"

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -e '.[openmoji,dev]'
	@touch $@

install: $(STAMP)

quickstart: install
	$(BIN)/textdiff quickstart

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

test: lint
	$(BIN)/python -m pytest
	@echo "make test: all checks passed"

clean:
	rm -rf $(VENV)
