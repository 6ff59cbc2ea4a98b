"""The committed report in the programs that read it: LaTeX and Chromium."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

REPORT = Path(__file__).parent.parent.parent / "reports" / "reference"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--virtual-time-budget=10000", "--enable-logging=stderr", "--v=0", "--dump-dom",
)  # fmt: skip
pytestmark = pytest.mark.slow


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed; it comes with TeX Live")
def test_latex_sets_every_table_of_the_reference_report(tmp_path):
    shutil.copy(REPORT / "tables.tex", tmp_path)
    head = r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}"
    (tmp_path / "paper.tex").write_text(rf"{head}\input{{tables.tex}}\end{{document}}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "paper.pdf").stat().st_size > 0


@pytest.mark.skipif(CHROMIUM is None, reason="neither Chromium nor Chrome is installed")
def test_the_script_of_the_reference_report_runs_in_chromium_without_an_error(tmp_path):
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path}", (REPORT / "report.html").as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    assert [line for line in shown.stderr.splitlines() if "CONSOLE" in line] == []
    assert re.search(r'<html[^>]* data-ready="yes"', shown.stdout)
