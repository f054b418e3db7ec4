# Every target sets itself up on a fresh machine: a virtual environment in .venv, then the install.
# The second time the stamp file says that nothing is left to do.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
export HF_HUB_OFFLINE ?= 1

.PHONY: help install quickstart test bench lint clean

help:
	@echo "make quickstart   install, train on OpenMoji, draw a grid of prompts, print metrics"
	@echo "make test         install, lint, run the whole test suite"
	@echo "make bench        install, short forms of the benchmarks that need no trained model"
	@echo "make lint         ruff check and format check, types checked by mypy"
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
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest
	@echo "make test: all checks passed"

bench: install
	$(BIN)/python -m benchmarks.convergence
	$(BIN)/python benchmarks/contrastive_loss.py --rows 1024 4096 --repeats 2
	$(BIN)/python benchmarks/training_step.py --repeats 2
	$(BIN)/python benchmarks/training_gains.py --repeats 2
	$(BIN)/python benchmarks/training_loop.py --windows 1 --steps 3
	$(BIN)/python benchmarks/sampling.py --short
	$(BIN)/python benchmarks/clip_pretraining.py --minutes 0.5

clean:
	rm -rf $(VENV)
