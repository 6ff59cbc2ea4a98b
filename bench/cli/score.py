"""`bench score`: predictions made elsewhere become records beside those of networks trained here."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Option, echo

from bench.cli.options import DataOptions, Json, Quiet, Size, command, print_json
from bench.errors import UserError
from bench.files import writable

if TYPE_CHECKING:
    from bench.run.elsewhere import Given, Outcome

FORMS = "NAME=FOLDER of masks, NAME=FILE of scores (summary.json, CSV), or a CSV that names its networks"
Sources = Annotated[list[str], Argument(help=f"{FORMS}. Several trainings of a network by commas.")]


@command()
def score(
    sources: Sources,
    data: DataOptions,
    dataset: Annotated[str, Option(help="A name from `bench list datasets`. [default: folder]")] = "",
    split: Annotated[Literal["test", "val", "all"], Option(help="The split that was predicted.")] = "test",
    size: Size = 224,
    unit: Annotated[Literal["mm", "px"] | None, Option(help="Of distances in files, where these do not say.")] = None,
    pseudonyms: Annotated[bool, Option("--pseudonyms", help="Name no patient and no file in the records.")] = False,
    out: Annotated[Path, Option(help="Where records are kept.")] = Path("results"),
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    r"""Score predictions made elsewhere, with nnU-Net, MONAI or anything else, and compare them with all others.

    Masks are PNG, TIFF, BMP or NIfTI files, called as their images. Without a data set, the cases of files of scores
    stand for themselves. The records are read by `bench report`, `pick` and `compare`.

    Examples:

      bench score nnunet=runA,runB mine=runC --data-root truth --patient '(P\d+)_'

      bench score nnunet=fold_0/summary.json --dataset acdc --data-root ACDC

      bench score teams.csv
    """
    from bench.cli.terminal import Status, console
    from bench.run.elsewhere import score_elsewhere
    from bench.run.store import WRITTEN

    writable(out, WRITTEN)
    given = named(sources)
    with Status(console(), quiet, transient=True) as status:
        outcome = score_elsewhere(
            given, dataset, data.data_root, data.options, split, out, status.count, status.show,
            size=size, unit=unit or "", pseudonyms=pseudonyms,
        )  # fmt: skip
    conclude(outcome, out, as_json)


def named(sources: Sequence[str]) -> "list[Given]":
    """What each argument names. Raises UserError for one of another form, and for a path that does not exist.

    A path that holds a comma or an equals sign is taken as it is where it exists; a name may be given several times.
    """
    from bench.run.elsewhere import Given, network_name

    found = []
    for source in sources:
        name, sign, rest = source.partition("=")
        if Path(source).exists() or not sign:
            found.append(Given("", _paths(source, source)))
            continue
        found.append(Given(network_name(name), _paths(rest, source)))
    return found


def _paths(text: str, source: str) -> tuple[Path, ...]:
    parts = [text] if Path(text).exists() else [part.strip() for part in text.split(",")]
    for part in parts:
        if not part or not Path(part).exists():
            advice = "a path that holds a comma is given alone: NAME=FIRST NAME=SECOND"
            raise UserError(f"no such folder or file: '{part}', in '{source}'; give {FORMS}; {advice}")
    return tuple(map(Path, parts))


def conclude(outcome: "Outcome", out: Path, as_json: bool) -> None:
    """Print what was matched, and the tables of the report that hold the new records, with all that is beside them."""
    from bench.cli.display import draw
    from bench.cli.options import records_of
    from bench.cli.terminal import console, say
    from bench.read.sections import sections
    from bench.report.tidy import tidy_rows

    ours = {record.id for record in outcome.records}
    every = records_of([out])
    found = [section for section in sections(every) if ours & {r.id for row in section.rows for r in row.records}]
    if as_json:
        print_json(
            {"records": list(map(_facts, outcome.records)), "remarks": outcome.remarks, "rows": tidy_rows(found)}
        )
        return
    to = console(stderr=False)
    for line in (*outcome.matched, *outcome.remarks, ""):
        say(to, line, wrap=False)
    draw(to, found, [])
    echo(f"Recorded in {out}. Written up with: {shlex.join(['bench', 'report', str(out)])}")


def _facts(record: Any) -> dict[str, Any]:
    """What a script needs to know of a new record."""
    spec, result = record.job.spec, record.result
    return {
        "id": record.id, "network": record.job.network, "training": spec.training, "source": result.source,
        "dataset": spec.dataset, "images": len({image.id for image in result.images}), "patients": result.patients,
    }  # fmt: skip
