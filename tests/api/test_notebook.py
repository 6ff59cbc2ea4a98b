"""The notebook of the documentation: what it shows was really run, and it still runs."""

import json
import os
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
NEEDED = ("nbclient", "nbformat", "ipykernel")
PATHS = re.compile(r"(?<![\w.~-])/(home|root|tmp|work|usr|opt|Users|mnt)/")


def cells(kind: str) -> list[dict]:
    return [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == kind]


def test_every_cell_was_run_in_order_and_none_failed():
    assert [cell["execution_count"] for cell in cells("code")] == list(range(1, len(cells("code")) + 1))
    outputs = [output for cell in cells("code") for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"execute_result", "display_data", "stream"}
    assert sum("text/html" in output.get("data", {}) for output in outputs) >= 3


def test_it_calls_what_a_notebook_needs_and_names_no_place_of_the_machine_it_ran_on():
    code = "\n".join("".join(cell["source"]) for cell in cells("code"))
    for name in ("network", "count", "time", "records"):
        assert f"bench.{name}(" in code
    assert PATHS.findall(NOTEBOOK.read_text()) == []
    assert NOTEBOOK.stat().st_size < 100_000


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_runs_from_its_first_cell_to_its_last(monkeypatch):
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    found = nbformat.read(NOTEBOOK, as_version=4)
    place = {"metadata": {"path": NOTEBOOK.parent}}
    NotebookClient(found, timeout=600, kernel_name="python3", resources=place).execute()
    shown = [
        output.data["text/plain"] for cell in found.cells if cell.cell_type == "code"
        for output in cell.outputs if "text/html" in output.get("data", {})
    ]  # fmt: skip
    told = "\n".join(shown)
    assert "times as long as U-Net (95 % interval" in told
    assert "GMAC (torch)" in told
    assert "latency_s" in told
