"""Writes a report in the formats that were asked for; a renderer a format, one line each."""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from bench.errors import unknown
from bench.report.document import Document
from bench.report.drawing import draw_together
from bench.report.pictures import KINDS

# By name: the module whose `write(document, folder)` makes it and returns the paths, the first to read first; and the
# files that it may leave, so that a later report without them takes them away; and whether it has pictures.
FORMATS: dict[str, tuple[str, tuple[str, ...], bool]] = {
    "pdf": ("bench.report.pdf", ("report.pdf",), True),
    "html": ("bench.report.html", ("report.html",), True),
    "markdown": ("bench.report.markdown", ("report.md", "*.svg", "*.png"), True),
    "latex": ("bench.report.latex", ("tables.tex",), False),
    "csv": ("bench.report.tidy", ("table.csv", "paired.csv"), False),
    "parquet": ("bench.report.parquet", ("table.parquet", "paired.parquet"), False),
}


def write_report(document: Document, folder: Path, formats: Sequence[str] = tuple(FORMATS)) -> list[Path]:
    """Write the report into the folder; the paths of what was written, in the order of the formats.

    What an earlier report left there in these formats and this one does not have is taken away: it would be read as a
    part of it. UserError for an unknown format.
    """
    writers = {name: writer(name) for name in formats}
    folder.mkdir(parents=True, exist_ok=True)
    if any(FORMATS[name][2] for name in formats):
        draw_together([picture for part in document.parts for picture in part.pictures])
    ours = tuple(f"{kind.name}-" for kind in KINDS)
    written = [path for write in writers.values() for path in write(document, folder)]
    for name in formats:
        for pattern in FORMATS[name][1]:
            for path in set(folder.glob(pattern)) - set(written):
                if path.suffix not in (".svg", ".png") or path.name.startswith(ours):
                    path.unlink()
    return written


def writer(name: str) -> Callable[[Document, Path], list[Path]]:
    """The renderer of a format."""
    if name not in FORMATS:
        raise unknown("format", name, FORMATS)
    found: Callable[[Document, Path], list[Path]] = import_module(FORMATS[name][0]).write
    return found
