import shutil
import subprocess

import pytest
from handmade import cost_record

from bench.read.sections import sections
from bench.report.document import document
from bench.report.latex import write


def made(records):
    found = sections(records)
    return document(records, found, [])


def test_best_is_bold_and_special_characters_are_escaped(tmp_path, reference):
    (path,) = write(made(reference), tmp_path)
    text = path.read_text()
    assert r"\textbf{6.58}" in text
    assert "%" not in text.replace(r"\%", "").replace("{%", "").replace("% Needs", "")
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 5


def test_names_of_strangers(tmp_path):
    (path,) = write(made([cost_record("my_net#1<script>")]), tmp_path)
    assert r"my\_net\#1\textless{}script\textgreater{}" in path.read_text()


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_latex_takes_it(tmp_path, reference):
    (path,) = write(made(reference), tmp_path)
    head = r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}"
    frame = rf"{head}\input{{{path.name}}}\end{{document}}"
    (tmp_path / "frame.tex").write_text(frame)
    subprocess.run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "frame.tex"], cwd=tmp_path, check=True)
