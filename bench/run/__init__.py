"""From a study to records: the jobs of a study, their order, and the engine that runs them.

Called as a function, `bench.run(...)`, it is `bench.api.run`; `bench/__init__.py` says why.
"""

from importlib import import_module
from typing import Any

from bench.errors import look_up

# Name to module. Its `carry_out(plan, waiting, out, listener)` runs the jobs and returns the plan's records.
ENGINES = {"local": "bench.run.local"}


def engine(name: str = "local") -> Any:
    """Import an engine by name. Raises UserError, which suggests the nearest name, if the name is unknown."""
    return import_module(look_up("engine", name, ENGINES))
