"""The tables as LaTeX to paste into a paper: booktabs, best bold, second underlined, notes below."""

from pathlib import Path

from bench.files import write_whole
from bench.report.columns import Cell, Table
from bench.report.document import Document
from bench.report.text import joined, latex, slug

HEAD = "% Needs \\usepackage{booktabs} and \\usepackage{graphicx}; written by `bench report`.\n"
FITTED = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"  # no wider than the page


def write(document: Document, folder: Path) -> list[Path]:
    """Write tables.tex: every table of the report."""
    found = [latex_table(table, f"{part.name}-{table.key}") for part in document.parts for table in part.tables]
    return [write_whole(folder / "tables.tex", "\n".join([HEAD, *found]))]


def latex_table(table: Table, label: str) -> str:
    """A table environment; one that is too wide for the page is made to fit."""
    header = ["Network", *(latex(column.header) for column in table.columns)]
    # A bracket or a star after the end of a line would be that end's own.
    titles = (f"{{}}{told}" if told.startswith(("[", "*")) else told for told in (latex(t) for t, _ in table.lines))
    rows = [[title, *map(_text, cells)] for title, (_, cells) in zip(titles, table.lines, strict=True)]
    alignment = f"l{'r' * len(table.columns)}"
    head, *body = [" & ".join(line) + r" \\" for line in [header, *rows]]
    begin = f"\\begin{{tabular}}{{{alignment}}}"
    tabular = [begin, r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}}"]
    notes = " ".join(f"{latex(note[:1].upper() + note[1:])}." for note in table.notes)
    return "\n".join([
        r"\begin{table}", r"\centering", f"\\caption{{{latex(table.caption)}}}", f"\\label{{tab:{slug(label)}}}",
        FITTED, *tabular, f"\\par\\smallskip{{\\footnotesize {notes}\\par}}" if notes else "",
        r"\end{table}", "",
    ])  # fmt: skip


def _text(cell: Cell) -> str:
    figure = latex(cell.figure)
    if cell.best or cell.second:
        figure = f"\\{'textbf' if cell.best else 'underline'}{{{figure}}}"
    return joined(figure + latex(cell.mark), latex(cell.small))
