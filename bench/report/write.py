"""Writes a report in the requested formats, which are listed in one table."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from traceback import format_exception

from bench.errors import UserError, first_line, plain, unknown
from bench.files import aside, sweep, unusable, write_whole
from bench.locks import held
from bench.report.document import Document
from bench.report.figures import FIGURES, Picture, draw_together
from bench.report.manifest import Tell, put
from bench.report.text import in_line

LOG = ".bench-report.log"

# By name: "module:function" of what writes a document into a folder and returns the paths, the first to read first; the
# files it may leave, so that a later report without them removes them; and whether it has pictures.
FORMATS: dict[str, tuple[str, tuple[str, ...], bool]] = {
    "pdf": ("pdf:write", ("report.pdf",), True),
    "html": ("html:write", ("report.html",), True),
    "markdown": ("markdown:write", ("report.md", "*.svg", "*.png"), True),
    "latex": ("latex:write", ("tables.tex",), False),
    "csv": ("tidy:write_csv", ("table.csv", "paired.csv", "foreign.csv"), False),
    "parquet": ("tidy:write_parquet", ("table.parquet", "paired.parquet", "foreign.parquet"), False),
}


class Unwritten(UserError):
    """Some formats could not be written; `paths` are those that were."""

    def __init__(self, reason: str, paths: list[Path]) -> None:
        super().__init__(reason)
        self.paths = paths


def write_report(
    document: Document, folder: Path, formats: Sequence[str] = tuple(FORMATS), tell: Tell = lambda line: None
) -> list[Path]:
    """Write the report into the folder; the paths of what was written, in the order of the formats.

    Files of these formats from an earlier report that this one does not have are removed. Nothing else is touched: a
    file of somebody's own that is in the way is moved into the folder's `replaced`, and `tell` is told. Two reports at
    once are put there one after the other. A figure that cannot be drawn is left out, and its part says so. Raises
    UserError for an unknown format, and Unwritten, once all others are written, if a format could not be: what it
    failed with is in the folder's `.bench-report.log`.
    """
    for name in formats:
        if name not in FORMATS:
            raise unknown("format", name, FORMATS)
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    if any(FORMATS[name][2] for name in formats):
        document = _with_drawn(document, tell)
    failed: dict[str, Exception] = {}
    with aside(folder / "report") as part:
        part.mkdir()
        made = [path for name in formats for path in _made(name, document, part, failed)]
        with held(folder / ".bench-report.lock", "writing a report"):
            ids = [record.id for record in document.records]
            placed = put(made, folder, ids, partial(_is_known, FORMATS), partial(_is_known, formats), tell)
    if not failed:
        (folder / LOG).unlink(missing_ok=True)  # of an earlier report
    else:
        log = write_whole(folder / LOG, "\n".join(plain("".join(format_exception(one))) for one in failed.values()))
        told = "; ".join(f"{name} cannot be written ({in_line(_reason(one))})" for name, one in failed.items())
        others = f"all other formats were written to {folder}; " if set(formats) - failed.keys() else ""
        raise Unwritten(f"{told}; {others}{log} tells more", placed)
    return placed


def _reason(error: Exception) -> str:
    return str(unusable(error)) if isinstance(error, OSError) and error.errno else first_line(error)


def _made(name: str, document: Document, folder: Path, failed: dict[str, Exception]) -> list[Path]:
    """The files of one format; none if it fails, whatever it fails with."""
    try:
        return list(resolve_name(f"bench.report.{FORMATS[name][0]}")(document, folder))
    except Exception as error:  # noqa: BLE001  # of a library, a disk, or a fault here: the others can be written
        failed[name] = error
        return []


def _with_drawn(document: Document, tell: Tell) -> Document:
    """The document without the pictures that cannot be drawn, which its parts name."""
    with suppress(Exception):  # then each is drawn when it is asked for
        draw_together(document.pictures)
    parts = []
    for part in document.parts:
        faults = {picture.name: fault for picture in part.pictures if (fault := _fault(picture))}
        told = [f"The figure {name} is left out, for it cannot be drawn: {fault}." for name, fault in faults.items()]
        for line in told:
            tell(line)
        kept = tuple(picture for picture in part.pictures if picture.name not in faults)
        parts.append(replace(part, pictures=kept, says=(*part.says, *told)) if faults else part)
    return replace(document, parts=tuple(parts))


def _fault(picture: Picture) -> str:
    """Why a picture cannot be drawn; empty if it can."""
    try:
        _ = picture.svg
    except Exception as error:  # noqa: BLE001  # odd figures of odd records: the rest of the report does without
        return in_line(first_line(error))
    return ""


def _is_known(formats: Iterable[str], name: str) -> bool:
    """Whether a file that these formats leave has this name. Pictures are called by their kinds."""
    ours = tuple(f"{kind.key}-" for kinds in FIGURES.values() for kind in kinds)
    fits = any(fnmatch(name, pattern) for one in formats for pattern in FORMATS[one][1])
    return fits and (not name.endswith((".svg", ".png")) or name.startswith(ours))
