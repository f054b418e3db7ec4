# Every target sets itself up on a fresh machine: a virtual environment in .venv, then the install.
# The second time the stamp file says that nothing is left to do.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
# Test processes side by side, each with one thread of torch; a worker without tests takes some of
# another's, so that all end together.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
export HF_HUB_OFFLINE ?= 1

.PHONY: help install quickstart test test-fast browser bench lint format clean

help:
	@echo "make quickstart   install, train, draw prompts that no caption had, print metrics"
	@echo "make test         install, lint, run the whole test suite (WORKERS=2 processes)"
	@echo "make test-fast    install, run the unit tests but the slow ones: while you work"
	@echo "make browser      install a Chromium (by apt) for the tests of the page"
	@echo "make bench        install, short forms of the benchmarks that need no trained model"
	@echo "make lint         ruff check and format check, types checked by mypy"
	@echo "make format       what ruff can mend and format"
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

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test test-fast: export OMP_NUM_THREADS := 1

test: lint
	$(PYTEST)
	@echo "make test: all checks passed"

test-fast: install
	$(PYTEST) -m "not slow" tests/unit
	@echo "make test-fast: all checks passed"

# Takes root, or sudo that asks nothing. Where it cannot be installed, this says so and goes on: the
# tests of the page are then skipped.
browser: install
	@for name in "$$TEXTDIFF_CHROMIUM" chromium chromium-browser google-chrome chrome; do \
	  command -v "$$name" >/dev/null && exit 0; \
	done; \
	root=; test "$$(id -u)" = 0 || root="sudo -n"; \
	{ $$root apt-get update -qq && $$root apt-get install -y -qq chromium >/dev/null; } || \
	echo "NO BROWSER: Chromium cannot be installed here; tests of the page will be SKIPPED" >&2

bench: install
	$(BIN)/python -m benchmarks.convergence
	$(BIN)/python benchmarks/contrastive_loss.py --rows 1024 4096 --repeats 2
	$(BIN)/python benchmarks/training_step.py --repeats 2
	$(BIN)/python benchmarks/training_gains.py --repeats 2
	$(BIN)/python benchmarks/training_loop.py --windows 1 --steps 3
	$(BIN)/python benchmarks/sampling.py --short
	$(BIN)/python benchmarks/crash.py --short
	$(BIN)/python benchmarks/clip_pretraining.py --minutes 0.5

clean:
	rm -rf $(VENV)
