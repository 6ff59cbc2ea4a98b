"""`bench list`: what can be measured, and on what."""

from enum import StrEnum
from typing import Annotated, Any

from typer import Argument, echo

from bench.cli.options import ELSEWHERE, Json, command, print_json

Facts = list[dict[str, Any]]  # a line each
Listed = StrEnum("Listed", ["networks", "datasets", "budgets"])


@command("list")
def list_(what: Annotated[Listed, Argument(help="networks, datasets or budgets")], as_json: Json = False) -> None:
    """List what can be measured, and on what.

    Example: bench list networks
    """
    facts = LISTS[what]()
    if as_json:
        return print_json(facts)
    columns = [[name, *(str(fact[name]) for fact in facts)] for name in facts[0]]
    padded = [[f"{cell:<{max(map(len, column))}}" for cell in column] for column in columns]
    for line in zip(*padded, strict=True):
        echo("  ".join(line).rstrip())
    if what is Listed.networks:
        echo(f"\nAny other by path or spec: path/to/{ELSEWHERE}")
    return None


def _networks() -> Facts:
    from bench.networks import NETWORKS, find_network, plug_ins
    from bench.units import NONE, giga, millions

    return [
        {
            "name": n.name, "params": f"{millions(n.parameters)} M" if n.parameters else NONE,
            "GMAC": f"{giga(n.macs)} at {n.macs_size}" if n.macs else NONE, "groups": ", ".join(n.groups),
            "source": n.source,
        } for n in (*NETWORKS.values(), *map(find_network, plug_ins()))
    ]  # fmt: skip


def _datasets() -> Facts:
    from bench.data import DATASETS

    return [
        {"name": d.name, "needs files": "yes" if d.needs_root else "no", "what": d.title, "published": d.published}
        for d in DATASETS.values()
    ]


def _budgets() -> Facts:
    from bench.quantities.budget import BUDGETS

    return [
        {
            "name": b.name, "training": f"{b.steps} steps" if b.steps else f"{b.epochs} epochs", "batch": b.batch,
            "latency": f"{b.processes} x {b.samples} calls or more", "for": b.purpose,
        } for b in BUDGETS.values()
    ]  # fmt: skip


LISTS = {Listed.networks: _networks, Listed.datasets: _datasets, Listed.budgets: _budgets}
