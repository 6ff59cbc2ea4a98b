"""From a study to records: what is to be measured, in which order, and the engine that hands the jobs out."""

from importlib import import_module
from typing import Any

from bench.errors import look_up

# By name: the module whose `carry_out(plan, waiting, out, listener)` does the jobs and returns the plan's records.
ENGINES = {"local": "bench.run.local"}


def engine(name: str = "local") -> Any:
    """The module of an engine; UserError with the nearest name where there is none of this name."""
    return import_module(look_up("engine", name, ENGINES))
