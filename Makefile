# Each verb sets up what it needs in .venv first; test leaves out what starts many processes, test-all does not.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test test-all lint report

run: .venv/installed
	$(BIN)/bench run --all

test: .venv/installed
	$(BIN)/pytest -m "not slow"

test-all: .venv/installed
	$(BIN)/pytest

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

report: .venv/installed
	$(BIN)/bench report results/reference --to reports/reference

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@
