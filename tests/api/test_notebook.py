"""The notebook of the docs: it was executed from top to bottom, and still runs and counts the same."""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

DOCS = Path(__file__).parents[2] / "docs"
SECONDS = 300  # for one cell; it times two networks


def stored() -> Any:
    return nbformat.read(DOCS / "notebook.ipynb", as_version=4)


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def counts(notebook: Any) -> list[str]:
    """The tables of counts, which no machine changes."""
    shown = [output.data["text/plain"] for cell in code(notebook) for output in cell.outputs if "data" in output]
    return [text for text in shown if "GMAC" in text]


def test_it_was_executed_once_from_top_to_bottom():
    cells = code(stored())
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
    assert cells


def test_what_is_stored_names_no_folder_of_the_machine_and_nothing_that_only_passed_by():
    nbformat.validate(stored())
    outputs = [output for cell in code(stored()) for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"execute_result", "display_data"}
    assert re.findall(r"/(?:home|root|tmp|usr|work|Users)/\S*", (DOCS / "notebook.ipynb").read_text()) == []


@pytest.mark.slow
def test_it_runs_and_counts_what_it_counted():
    from nbclient import NotebookClient

    notebook = stored()
    NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": str(DOCS)}}).execute()
    assert counts(notebook) == counts(stored()) != []
