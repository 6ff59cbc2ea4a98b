# Each verb sets up what it needs in .venv first. `test` is quick; `test-all` also starts many processes, builds the wheel
# and opens the documents in LaTeX and Chromium where they are installed.
PYTHON ?= python3
JOBS ?= 2
BIN := .venv/bin

.PHONY: run test test-slow test-all drills lint report docs

# A run that is stopped says what to type to go on.
run: .venv/installed
	BENCH_TYPED="make run" $(BIN)/bench run --all

test: .venv/installed
	$(BIN)/pytest -m "not slow" --numprocesses $(JOBS) --dist loadscope

# One after the other: some of them time what they run, or use all cores.
test-slow: .venv/installed
	$(BIN)/pytest -m slow -rs

test-all: test test-slow

# Runs that are killed, starved and fed rubbish; about an hour. `make drills DRILLS=--short` takes two minutes.
drills: .venv/installed
	$(BIN)/python -m tests.drills $(DRILLS)

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

report: .venv/installed
	$(BIN)/bench report results/reference --to reports/reference

# The site, in docs/_build; a warning is an error. Open docs/_build/index.html.
docs: .venv/docs-installed
	$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --quiet docs docs/_build

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

.venv/docs-installed: .venv/installed
	$(BIN)/pip install --quiet --editable '.[docs]'
	touch $@
