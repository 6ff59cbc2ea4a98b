"""What is installed: imports are declared, data files are shipped, and the addresses are the placeholder."""

import ast
import re
import sys
import tomllib
from fnmatch import fnmatch
from importlib.metadata import packages_distributions
from pathlib import Path

from bench.judge.claims_file import default_claims

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = ("bench", "baselines")
FILES = [path for folder in PACKAGES for path in sorted((ROOT / folder).rglob("*.py"))]
WITH_TORCH = {"triton"}  # torch brings it where it exists; torch alone knows which version fits


def plain(name: str) -> str:
    """A distribution's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> set[str]:
    """The distributions that pyproject.toml names for users, extras included and development tools not."""
    extras = PROJECT["project"]["optional-dependencies"]
    lines = [*PROJECT["project"]["dependencies"], *(line for extra in set(extras) - {"dev"} for line in extras[extra])]
    return {plain(re.match(r"[\w.-]+", line)[0]) for line in lines}


def imported(path: Path) -> set[str]:
    """The top-level packages that a file imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - {*PACKAGES} - WITH_TORCH


def test_every_dependency_has_a_lower_bound():
    lines = PROJECT["project"]["dependencies"]
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+>=[\w.]+", line)] == []


def test_every_imported_package_is_declared():
    known, names = declared(), packages_distributions()
    missing = {
        f"{path.relative_to(ROOT)}: {package}"
        for path in FILES
        for package in imported(path)
        # TensorBoard is optional for users, and looked for before it is used.
        if package != "tensorboard" and not known & {plain(name) for name in names.get(package, [package])}
    }
    assert missing == set()


def test_every_data_file_is_shipped():
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["*"]
    data = [path for folder in PACKAGES for path in (ROOT / folder).rglob("*") if path.is_file()]
    left_out = [
        str(path.relative_to(ROOT))
        for path in data
        if path.suffix not in (".py", ".pyc")
        and not any(fnmatch(f"/{path.name}", p.removeprefix("**")) for p in patterns)
    ]
    assert left_out == []


def test_the_claims_at_the_root_are_those_that_are_shipped():
    assert (ROOT / "claims.toml").resolve() == ROOT / "bench" / "judge" / "claims.toml"


def test_claims_of_the_folder_come_before_those_of_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert default_claims().samefile(ROOT / "claims.toml")
    Path("claims.toml").touch()
    assert default_claims() == Path("claims.toml")


def test_the_addresses_are_the_placeholder():
    for url in PROJECT["project"]["urls"].values():
        assert url.startswith("https://github.com/OWNER/REPOSITORY"), url
