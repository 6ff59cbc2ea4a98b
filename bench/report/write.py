"""Writes a report in the requested formats, which are listed in one table."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from pkgutil import resolve_name

from bench.errors import unknown
from bench.files import aside, sweep
from bench.locks import held
from bench.report.document import Document
from bench.report.figures import FIGURES, draw_together
from bench.report.manifest import Tell, put

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


def write_report(
    document: Document, folder: Path, formats: Sequence[str] = tuple(FORMATS), tell: Tell = lambda line: None
) -> list[Path]:
    """Write the report into the folder; the paths of what was written, in the order of the formats.

    Files of these formats from an earlier report that this one does not have are removed. Nothing else is touched: a
    file of somebody's own that is in the way is moved into the folder's `replaced`, and `tell` is told. Two reports at
    once are put there one after the other. Raises UserError for an unknown format.
    """
    for name in formats:
        if name not in FORMATS:
            raise unknown("format", name, FORMATS)
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    if any(FORMATS[name][2] for name in formats):
        draw_together(document.pictures)
    writers = [resolve_name(f"bench.report.{FORMATS[name][0]}") for name in formats]
    with aside(folder / "report") as part:
        part.mkdir()
        made = [path for write in writers for path in write(document, part)]
        with held(folder / ".bench-report.lock", "writing a report"):
            ids = [record.id for record in document.records]
            return put(made, folder, ids, partial(_is_known, FORMATS), partial(_is_known, formats), tell)


def _is_known(formats: Iterable[str], name: str) -> bool:
    """Whether a file that these formats leave has this name. Pictures are called by their kinds."""
    ours = tuple(f"{kind.key}-" for kinds in FIGURES.values() for kind in kinds)
    fits = any(fnmatch(name, pattern) for one in formats for pattern in FORMATS[one][1])
    return fits and (not name.endswith((".svg", ".png")) or name.startswith(ours))
