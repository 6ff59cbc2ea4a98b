"""`bench.records` and `bench.report`: what is on record, as a table and as a report. Nothing is measured."""

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api.recorded import Each, Records, frame
from bench.api.said import errors_in_python, path, texts
from bench.errors import unknown
from bench.files import writable
from bench.quantities.scores import find_protocol
from bench.read.load import FOLDER, read, record_folders
from bench.read.sections import outdated
from bench.report.compose import composed, of_groups
from bench.report.write import FORMATS, write_report
from bench.run.store import Record

if TYPE_CHECKING:
    import pandas as pd

Source = str | Path
MOST = 20  # lines of a warning
HERE = str(Path(__file__).parents[1])


@errors_in_python
def records(
    *folders: Source, each: Each = "network", protocol: str | None = None
) -> "pd.DataFrame":  # fmt: skip
    """What is on record in folders, files or git revisions (`REV`, `REV:folder`), by default in `results`.

    A table of pandas, in base units: seconds (`_s`), bytes (`_bytes`), joules (`_j`), shares from 0 to 1. With `each`:

    "network"   a line for each network of each section, in which only comparable figures stand together, as the
                report's table.csv: `section`, `machine`, `network`; `parameters`, `macs_fvcore`, `macs_torch`,
                `latency_s`, `memory_bytes` and the like; `dice` and every other score; the ends of 95 %
                intervals as `latency_low_s`, `dice_high`; `records`, the ids of the records behind the line.
    "record"    a line for each record, failures among them: `quantity`, `status`, `error`, `at`, `machine`; the
                conditions `device`, `size`, `batch`, `process`, `seed`, ...; every figure, of raw times the median;
                scores by the data set's protocol.
    "image"     a line for each class of each scored image: `image`, `patient`, `label` (the number of the class), the
                pixels `tp`, `fp`, `fn`, and its scores; distances in `distance_unit`, px or mm.
    "call"      a line for each timed call: `latency_s` with `network`, `process` and conditions.

    `protocol` replaces the data set's own for Dice: "per_image", "per_volume", "pooled", "transunet". Files that are no
    complete record are left out, with a warning that names each. Raises UserError if there is no record at all.

        bench.records("results").plot.scatter("latency_s", "dice")
    """
    by = find_protocol(protocol) if protocol else None
    return frame(_read(folders, with_outdated=each != "network"), each, by)


@errors_in_python
def report(
    of: "Source | Sequence[Source] | Records" = (), to: Source = "reports", *, protocol: str | None = None,
    against: str | None = None, group: str | Sequence[str] = (), formats: str | Sequence[str] = (),
    claims: Source | None = None,
) -> list[Path]:  # fmt: skip
    """Write the report of records into the folder `to`, as `bench report`; the paths of what was written.

    It is of what `bench.run` or `bench.score` returned, or of folders, by default of those in `results`. `protocol` is
    as in `bench.records`; the others are compared with the network `against`; of a `group`, such as "cnn", only its
    networks are in it. `formats` are "pdf", "html", "markdown", "latex", "csv", "parquet", by default all. `claims` is
    a file of claims to judge. What is left out is told in warnings. Raises UserError if there is no record, and, once
    all others are written, if a format cannot be.

        bench.report("results", to="report", formats="pdf,latex")
    """
    found = find_protocol(protocol) if protocol else None
    folder, named = path("to", to), texts("formats", formats)
    for name in named:
        if name not in FORMATS:
            raise unknown("format", name, FORMATS)
    given: Sequence[Record]
    if isinstance(of, Records):
        given, places = of.records, [of.folder]
    else:
        sources = [of] if isinstance(of, str | Path) else of
        given, places = (
            _read(sources, with_outdated=False),
            [Path(one) for one in sources] or record_folders(Path(FOLDER)),
        )
    given = of_groups(given, texts("group", group))
    networks = {record.job.network for record in given}
    if against is not None and against not in networks:
        raise unknown("network in these records", against, networks)
    writable(folder)
    whole = composed(given, places, found, against, None if claims is None else path("claims", claims), _warn)
    return write_report(whole.document, folder, named or tuple(FORMATS), _warn)


def _read(sources: Sequence[Source], with_outdated: bool) -> list[Record]:
    """The records, after one warning that names all that is left out; of outdated code only where `with_outdated`."""
    loaded = read(sources)
    old = [] if with_outdated else outdated(loaded.records)
    changed = (f"{one.id}, for {one.job.network}'s code or its libraries changed since" for one in old)
    if told := [*loaded.problems, *loaded.replaced, *changed]:
        more = f"\n... and {len(told) - MOST} more" if len(told) > MOST else ""
        _warn("left out:\n" + "\n".join(told[:MOST]) + more)
    return loaded.records


def _warn(line: str) -> None:
    """Warn as from the line that called this program."""
    frame, level = sys._getframe(), 1
    while frame.f_back and frame.f_code.co_filename.startswith(HERE):
        frame, level = frame.f_back, level + 1
    warnings.warn(line, stacklevel=level)
