"""`bench list`: what can be measured, and on what."""

import sys
from typing import Annotated, Any, Literal

from typer import Argument, echo

from bench.cli.lines import for_stream
from bench.cli.options import ELSEWHERE, Json, command, print_json

LEFT, GAP = 50, 4  # characters before the last column up to which its further lines stand below it; else so many
Listed = Literal["networks", "datasets", "budgets"]


@command("list")
def list_(what: Annotated[Listed, Argument(help="networks, datasets or budgets")], as_json: Json = False) -> None:
    """List what can be measured, and on what.

    Example: bench list networks
    """
    facts = _facts(what)
    if as_json:
        return print_json(facts)
    columns = [[name, *(str(fact[name]) for fact in facts)] for name in facts[0]]
    padded = [[f"{cell:<{max(map(len, column))}}" for cell in column] for column in columns]
    before = sum(len(column[0]) + 2 for column in padded[:-1])
    for line in zip(*padded, strict=True):
        echo(for_stream("  ".join(line).rstrip(), sys.stdout, before if before <= LEFT else GAP))
    return echo(f"\nAny other by path or spec: path/to/{ELSEWHERE}") if what == "networks" else None


def _facts(what: Listed) -> list[dict[str, Any]]:
    """A line each."""
    from bench.data import DATASETS
    from bench.networks import NETWORKS, find_network, plug_ins
    from bench.units import NONE, giga, millions

    if what == "networks":
        networks = (*NETWORKS.values(), *map(find_network, plug_ins()))
        return [{
            "name": n.name, "params": f"{millions(n.parameters)} M" if n.parameters else NONE,
            "GMAC": f"{giga(n.macs)} at {n.macs_size}" if n.macs else NONE, "groups": ", ".join(n.groups),
            "source": n.source,
        } for n in networks]  # fmt: skip
    if what == "datasets":
        return [{
            "name": d.name, "needs files": "yes" if d.needs_root else "no", "what": d.title, "published": d.published,
        } for d in DATASETS.values()]  # fmt: skip
    from bench.quantities.budget import BUDGETS  # takes numpy, which the others do without

    return [{
        "name": b.name, "training": f"{b.steps} steps" if b.steps else f"{b.epochs} epochs", "batch": b.batch,
        "latency": f"{b.processes} x {b.samples} calls or more", "for": b.purpose,
    } for b in BUDGETS.values()]  # fmt: skip
