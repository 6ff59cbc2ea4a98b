"""`bench compare` and `bench history`: what changed between two sets of records, and from commit to commit?"""

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Exit, Option, echo

from bench.cli.options import Json, command, print_json, records_of, writable
from bench.errors import UserError


@command()
def compare(
    base: Annotated[str, Argument(help="Before: a folder, a file, or a git revision, REV or REV:folder.")],
    head: Annotated[str, Argument(help="After: the same.")] = "results",
    fail_on: Annotated[Literal["nothing", "worse"], Option(help="Exit with 1 where something is worse.")] = "nothing",
    format_: Annotated[Literal["text", "markdown", "json"], Option("--format", help="How they are printed.")] = "text",
) -> None:
    """Tell what got better, worse, appeared and vanished between two sets of records.

    Figures of different machines, conditions or images are not compared; the line says what differs.

    Examples:

      bench compare main results

      bench compare HEAD~1 HEAD --fail-on worse
    """
    from bench.judge.compare import compare as compare_records
    from bench.report.changes import FORMATS

    changes = compare_records(records_of([base]), records_of([head]))
    echo(FORMATS[format_](changes))
    if changes and all(change.outcome == "refused" for change in changes):
        raise UserError(f"nothing in {base} and {head} can be compared: {changes[0].reason}")
    if fail_on == "worse" and any(change.outcome == "worse" for change in changes):
        raise Exit(1)


@command()
def history(
    network: Annotated[str, Argument(help="A name from `bench list networks`.")],
    metric: Annotated[str, Argument(help="parameters, macs_fvcore, latency, memory_inference, dice, ...")],
    dataset: Annotated[str, Option(help="Of a score, the data set. [default: the first by name]")] = "",
    records: Annotated[str, Option(help="The folder of records, as the commits have it.")] = "results",
    to: Annotated[Path, Option(help="Where the figure is written.")] = Path("reports"),
    as_json: Json = False,
) -> None:
    """Draw a metric over the commits that have records of it.

    Example: bench history mdsa_unet latency
    """
    from bench.judge.compare import history as points_of
    from bench.networks import find_network
    from bench.quantities import find_metric
    from bench.report.history import as_text, draw, facts

    find_network(network)
    about = find_metric(metric)
    writable(to)
    points = points_of(network, about, dataset, records)
    if not points:
        what = f"{network}'s {metric}" + (f" on {dataset}" if dataset else "")
        raise UserError(f"no commit has a record of {what} below '{records}'; commit what `bench run` wrote")
    if as_json:
        print_json([facts(point) for point in points])
    else:
        echo(f"{as_text(network, about, points)}\n\nDrawn in {draw(network, about, points, to)}")
