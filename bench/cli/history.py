"""`bench history`: how did a metric go, commit by commit?"""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option, echo

from bench.cli.options import Json, command, print_json, writable
from bench.errors import UserError


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
        where = f" on {dataset}" if dataset else ""
        raise UserError(
            f"no commit has a record of {network}'s {metric}{where} below '{records}'; commit what `bench run` wrote"
        )
    if as_json:
        print_json([facts(point) for point in points])
    else:
        echo(f"{as_text(network, about, points)}\n\nDrawn in {draw(network, about, points, to)}")
