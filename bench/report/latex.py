"""The tables as LaTeX to paste into a paper: booktabs, best bold, second underlined, notes below."""

import re
from pathlib import Path

from bench.files import write_whole
from bench.report.columns import Cell
from bench.report.document import Document
from bench.report.tables import Table

SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "–": "--", "±": r"$\pm$", "†": r"\textdagger{}", "‡": r"\textdaggerdbl{}", "§": r"\S{}", "×": r"$\times$",
    "−": "$-$",
}  # fmt: skip
HEAD = "% Needs \\usepackage{booktabs} and \\usepackage{graphicx}; written by `bench report`.\n"


def write(document: Document, folder: Path) -> list[Path]:
    """Write tables.tex: every table of the report."""
    tables = [
        latex(table, f"{part.name}-{number}") for part in document.parts for number, table in enumerate(part.tables)
    ]
    return [write_whole(folder / "tables.tex", "\n".join([HEAD, *tables]))]


def latex(table: Table, label: str) -> str:
    """A table environment; one that is too wide for the page is made to fit."""
    columns = f"l{'r' * len(table.columns)}"
    header = " & ".join(["Network", *(escaped(column.header) for column in table.columns)])
    lines = [" & ".join([escaped(title), *map(_text, cells)]) + r" \\" for title, cells in table.lines]
    notes = " ".join(f"{escaped(note[:1].upper() + note[1:])}." for note in table.notes)
    return "\n".join([
        r"\begin{table}", r"\centering", f"\\caption{{{escaped(table.caption)}}}",
        f"\\label{{tab:{re.sub('[^A-Za-z0-9-]', '-', label)}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        f"\\begin{{tabular}}{{{columns}}}", r"\toprule", header + r" \\", r"\midrule", *lines, r"\bottomrule",
        r"\end{tabular}}", f"\\par\\smallskip{{\\footnotesize {notes}\\par}}" if notes else "", r"\end{table}", "",
    ])  # fmt: skip


def escaped(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(SPECIAL.get(character, character) for character in text)


def _text(cell: Cell) -> str:
    figure = escaped(cell.figure)
    if cell.best:
        figure = f"\\textbf{{{figure}}}"
    elif cell.second:
        figure = f"\\underline{{{figure}}}"
    return " ".join(filter(None, (figure + escaped(cell.mark), escaped(cell.deviation), escaped(cell.interval))))
