# Four verbs, each of which sets up what it needs in .venv first: run, test, lint, report.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test lint report

run: .venv/installed
	$(BIN)/bench run --all

test: .venv/installed
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
