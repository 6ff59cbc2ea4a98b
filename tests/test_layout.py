"""The tree: imports go one way, files stay short, every command has help with an example."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BENCH = ROOT / "bench"
FILES = [path for folder in ("bench", "baselines") for path in sorted((ROOT / folder).rglob("*.py"))]

# The road of a number. A stage imports only from stages before it; in a folder, a file may import its neighbors.
ROAD = (
    "errors", "files", "toml_files", "locks", "processes", "forks", "units", "stats", "quantities", "machine",
    "mdsa_unet", "networks", "data", "measure", "training", "run", "read", "judge", "report", "cli", "api",
)  # fmt: skip


def stage(module: str) -> str:
    return module.split(".")[1] if module.count(".") else ""


def imports(path: Path) -> set[str]:
    """The stages of `bench` that a file imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("bench"):
            found |= {node.module} if node.module != "bench" else {f"bench.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("bench")}
    return {stage(module) for module in found} - {"", "__version__"}


def test_every_stage_is_on_the_road():
    stages = {path.stem if path.is_file() else path.name for path in BENCH.iterdir() if path.suffix in ("", ".py")}
    assert stages - {"__init__", "__pycache__"} == set(ROAD)


@pytest.mark.parametrize("path", [p for p in FILES if p.is_relative_to(BENCH)], ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_one_way(path):
    own = path.relative_to(BENCH).parts[0].removesuffix(".py")
    if own != "__init__":
        allowed = set(ROAD[: ROAD.index(own) + 1])
        assert imports(path) <= allowed, f"{own} comes before {imports(path) - allowed}"


def test_one_file_alone_knows_the_terminals_library():
    importing = [path for path in FILES if re.search(r"^\s*(from|import) rich\b", path.read_text(), re.MULTILINE)]
    assert importing == [BENCH / "cli" / "terminal.py"]


def test_baselines_know_nothing_of_the_harness_but_its_errors():
    assert all(imports(path) <= {"errors"} for path in FILES if "baselines" in path.parts)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_are_short_and_say_what_they_are(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(ast.parse(text))


def test_no_file_is_a_scrap():
    """A file of under 30 lines belongs in another one, unless it is a format, a data set, a quantity or a form."""
    kinds = [BENCH / "data", BENCH / "quantities", BENCH / "report", BENCH / "measure" / "forms"]
    scraps = [
        str(path.relative_to(BENCH))
        for path in BENCH.rglob("*.py")
        if len(path.read_text().splitlines()) < 30 and path.stem not in ("__init__", "__main__")
        and not any(path.is_relative_to(kind) for kind in kinds)
    ]  # fmt: skip
    assert scraps == []


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_functions_are_short(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            body = node.end_lineno - node.body[0].lineno + 1
            assert body <= 50, f"{node.name} has {body} lines"


def test_contributing_names_files_and_at_most_three_for_each_addition():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith(("| a ", "| an "))]
    assert len(rows) == 8
    assert all(1 <= int(row.rstrip(" |")[-1]) <= 3 for row in rows)


def test_every_command_has_help_with_an_example_and_is_in_the_docs():
    from bench.cli import app

    pages = "\n".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    for command in app.registered_commands:
        name = (command.name or command.callback.__name__).rstrip("_")
        assert "Example" in command.callback.__doc__, name
        assert f"bench {name}" in command.callback.__doc__, name
        assert f"bench {name}" in pages, name
