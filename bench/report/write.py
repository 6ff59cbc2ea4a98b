"""Writes a report in the formats that were asked for; a renderer a format, one line each."""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from bench.errors import unknown
from bench.report.document import Document

# By name: the module whose `write(document, folder)` makes it and returns the paths, the first to read first; and the
# files that it may leave, so that a later report without them takes them away.
FORMATS: dict[str, tuple[str, tuple[str, ...]]] = {
    "pdf": ("bench.report.pdf", ("report.pdf",)),
    "html": ("bench.report.html", ("report.html",)),
    "markdown": ("bench.report.markdown", ("report.md", "*.png")),
    "latex": ("bench.report.latex", ("tables.tex",)),
    "csv": ("bench.report.tidy", ("table.csv", "paired.csv")),
    "parquet": ("bench.report.parquet", ("table.parquet", "paired.parquet")),
}
KINDS = (
    "dice-latency",
    "dice-counts",
    "learning-curves",
    "throughput",
    "by-size",
    "calls",
    "paired-",
    "outlines",
    "regions",
    "modules",
)  # how our figures' names begin


def write_report(document: Document, folder: Path, formats: Sequence[str] = tuple(FORMATS)) -> list[Path]:
    """Write the report into the folder; the paths of what was written, in the order of the formats.

    What an earlier report left there in these formats and this one does not have is taken away: it would be read as a
    part of it. UserError for an unknown format.
    """
    writers = {name: writer(name) for name in formats}
    folder.mkdir(parents=True, exist_ok=True)
    written = [path for write in writers.values() for path in write(document, folder)]
    for name in formats:
        for pattern in FORMATS[name][1]:
            for path in set(folder.glob(pattern)) - set(written):
                if path.suffix != ".png" or path.name.startswith(KINDS):
                    path.unlink()
    return written


def writer(name: str) -> Callable[[Document, Path], list[Path]]:
    """The renderer of a format."""
    if name not in FORMATS:
        raise unknown("format", name, FORMATS)
    found: Callable[[Document, Path], list[Path]] = import_module(FORMATS[name][0]).write
    return found
