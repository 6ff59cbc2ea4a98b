"""Writes a report in the requested formats, which are listed in one table."""

from collections.abc import Sequence
from pathlib import Path
from pkgutil import resolve_name

from bench.errors import unknown
from bench.report.document import Document
from bench.report.figures import FIGURES, draw_together

# By name: "module:function" of what writes a document into a folder and returns the paths, the first to read first; the
# files it may leave, so that a later report without them removes them; and whether it has pictures.
FORMATS: dict[str, tuple[str, tuple[str, ...], bool]] = {
    "pdf": ("pdf:write", ("report.pdf",), True),
    "html": ("html:write", ("report.html",), True),
    "markdown": ("markdown:write", ("report.md", "*.svg", "*.png"), True),
    "latex": ("latex:write", ("tables.tex",), False),
    "csv": ("tidy:write_csv", ("table.csv", "paired.csv"), False),
    "parquet": ("tidy:write_parquet", ("table.parquet", "paired.parquet"), False),
}


def write_report(document: Document, folder: Path, formats: Sequence[str] = tuple(FORMATS)) -> list[Path]:
    """Write the report into the folder; the paths of what was written, in the order of the formats.

    Files of these formats from an earlier report that this one does not have are removed. Raises UserError for an
    unknown format.
    """
    for name in formats:
        if name not in FORMATS:
            raise unknown("format", name, FORMATS)
    folder.mkdir(parents=True, exist_ok=True)
    if any(FORMATS[name][2] for name in formats):
        draw_together(document.pictures)
    writers = [resolve_name(f"bench.report.{FORMATS[name][0]}") for name in formats]
    written: list[Path] = [path for write in writers for path in write(document, folder)]
    ours = tuple(f"{kind.key}-" for kinds in FIGURES.values() for kind in kinds)
    found = {path for name in formats for pattern in FORMATS[name][1] for path in folder.glob(pattern)}
    for path in found - set(written):
        if path.suffix not in (".svg", ".png") or path.name.startswith(ours):
            path.unlink()
    return written
