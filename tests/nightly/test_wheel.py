"""The wheel in an empty folder: what is installed needs nothing of this repository."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]  # torch is large

# `full` installs the dependencies too, as a user does. By default those of this environment are used.
FULL = os.environ.get("WHEEL_DEPENDENCIES") == "full"
BUILD = "import sys, setuptools.build_meta as backend; print(backend.build_sdist(sys.argv[1]))"


def output(*command: str | Path, cwd: Path | None = None) -> str:
    """What a command prints; its errors are shown where it fails. Nothing of this checkout is on its path."""
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=variables)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from the source distribution, which is built from a copy of the tree."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for package in ("bench", "baselines", "tests"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy2(path, source / path.name, follow_symlinks=False)  # claims.toml is a link, as in a clone
    made = output(sys.executable, "-c", BUILD, folder, cwd=source).splitlines()[-1]
    output(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", folder, folder / made)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def bench(wheel, tmp_path_factory) -> Path:
    """The command in a fresh virtual environment."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    if not FULL:
        # A path in a .pth file lends this environment's packages, but not its editable installs.
        paths = {key: sysconfig.get_path(key) for key in ("purelib", "platlib")}
        place = output(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        Path(place, "lent.pth").write_text("\n".join(dict.fromkeys(paths.values())))
    output(python, "-m", "pip", "install", *([] if FULL else ["--no-deps"]), wheel)
    return folder / "bin" / "bench"


@pytest.fixture(scope="module")
def ran(bench, tmp_path_factory) -> Path:
    """A folder in which one network was run."""
    folder = tmp_path_factory.mktemp("empty")
    printed = output(bench, "run", "mdsa_unet", "--budget", "smoke", "--quiet", cwd=folder)
    assert "MDSA-UNet" in printed
    assert "Claims: " in printed
    return folder


def test_it_is_the_wheel_that_runs(bench, tmp_path):
    python = bench.parent / "python"
    where = output(python, "-c", "import bench, baselines; print(bench.__file__, baselines.__file__)", cwd=tmp_path)
    assert all(Path(file).is_relative_to(bench.parent.parent) for file in where.split())


def test_it_lists_the_networks(bench, tmp_path):
    assert "mdsa_unet" in output(bench, "list", "networks", cwd=tmp_path)


def test_it_checks_the_claims_it_comes_with(bench, ran):
    assert "holds" in output(bench, "check", "--only", "paper-parameters", cwd=ran)


def test_it_writes_a_report_in_every_format(bench, ran):
    output(bench, "report", "--to", "again", cwd=ran)
    written = {path.suffix for path in (ran / "again").iterdir()}
    assert written >= {".pdf", ".html", ".md", ".tex", ".csv", ".parquet"}


def test_it_picks_a_network(bench, ran):
    assert "MDSA-UNet" in output(bench, "pick", "--max-params", "10M", cwd=ran)
