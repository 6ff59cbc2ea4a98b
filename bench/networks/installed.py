"""Networks of installed packages: `package.module:Name`, or by the name under which a package offers one.

A package offers networks in its pyproject.toml, and they are then in `bench list networks`:

    [project.entry-points."bench.networks"]
    tiny = "my_package.nets:TinyNet"
"""

from functools import cache, partial
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from bench.errors import UserError
from bench.networks.names import Name
from bench.networks.network import ForeignNetwork, files_of

GROUP = "bench.networks"


def from_package(name: Name, target: str) -> ForeignNetwork:
    """The network of a target `module:Name`; UserError where no such module is installed."""
    module, _, attribute = target.partition(":")
    try:
        files = files_of(module)
    except (ImportError, ValueError, AttributeError):
        advice = "install its package, or give the file: path/to/file.py:Name"
        raise UserError(f"'{name.base}': no module '{module}' is installed; {advice}") from None
    source, builder = module.partition(".")[0], partial(_attribute, module, attribute)
    return ForeignNetwork(
        str(name), name.base, source=source, arguments=name.values, builder=builder, file=str(files[0]),
        files=lambda: files,
    )  # fmt: skip


@cache
def plug_ins() -> dict[str, str]:
    """The targets that installed packages offer, by name."""
    return {entry.name: entry.value for entry in entry_points(group=GROUP)}


def _attribute(module: str, name: str) -> Any:
    found = import_module(module)
    for part in name.split("."):
        if not hasattr(found, part):
            raise UserError(f"module '{module}' has no '{name}'; name a class or function that it holds")
        found = getattr(found, part)
    return found
