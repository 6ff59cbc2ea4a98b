"""`bench list`: what can be measured, and on what."""

import json
from enum import StrEnum
from typing import Annotated, Any

import typer

from bench.cli.app import Json, app


class Listed(StrEnum):
    networks = "networks"
    datasets = "datasets"
    budgets = "budgets"


@app.command("list")
def list_(what: Annotated[Listed, typer.Argument(help="networks, datasets or budgets")], as_json: Json = False) -> None:
    """List what can be measured, and on what.

    Example: bench list networks
    """
    facts = _facts(what)
    if as_json:
        typer.echo(json.dumps(facts, indent=1))
        return
    _print(facts)
    if what is Listed.networks:
        typer.echo("\nAny other by path or spec: path/to/file.py:Name, package.module:Name, smp:Unet/resnet34")


def _print(facts: list[dict[str, Any]]) -> None:
    """As columns."""
    columns = list(facts[0])
    widths = [max(len(str(fact[column])) for fact in [*facts, {c: c for c in columns}]) for column in columns]
    for line in [{column: column for column in columns}, *facts]:
        typer.echo("  ".join(str(line[c]).ljust(w) for c, w in zip(columns, widths, strict=True)).rstrip())


def _facts(what: Listed) -> list[dict[str, Any]]:
    """What there is, one dictionary a line."""
    if what is Listed.networks:
        from bench.networks import NETWORKS, find_network
        from bench.networks.installed import plug_ins
        from bench.units import NONE, giga, millions

        return [
            {
                "name": n.name,
                "params": f"{millions(n.parameters)} M" if n.parameters else NONE,
                "GMAC": f"{giga(n.macs)} at {n.macs_size}" if n.macs else NONE,
                "groups": ", ".join(n.groups),
                "source": n.source,
            }
            for n in (*NETWORKS.values(), *(find_network(name) for name in plug_ins()))
        ]
    if what is Listed.datasets:
        from bench.data import DATASETS

        return [
            {"name": d.name, "needs files": "yes" if d.needs_root else "no", "what": d.title, "published": d.published}
            for d in DATASETS.values()
        ]
    from bench.quantities.budget import BUDGETS

    return [
        {
            "name": b.name,
            "training": f"{b.steps} steps" if b.steps else f"{b.epochs} epochs",
            "batch": b.batch,
            "latency": f"{b.processes} x {b.samples} calls or more",
            "for": b.purpose,
        }
        for b in BUDGETS.values()
    ]
