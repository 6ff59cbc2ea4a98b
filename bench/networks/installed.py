"""Networks of installed packages: `package.module:Name`, or by the name under which a package offers one.

A package offers networks in its pyproject.toml, and they are then in `bench list networks`:

    [project.entry-points."bench.networks"]
    tiny = "my_package.nets:TinyNet"
"""

from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from bench.errors import UserError
from bench.networks.call import Call
from bench.networks.network import Network, code_digest, files_of

if TYPE_CHECKING:
    from torch import nn

GROUP = "bench.networks"


@dataclass(frozen=True, kw_only=True)
class InstalledNetwork(Network):
    """A class or function of a module that can be imported. `target` is `module:Name`."""

    call: Call
    target: str

    @classmethod
    def called(cls, call: Call, target: str = "") -> "InstalledNetwork":
        """The network of `module:Name`, or of what a name stands for; UserError where no such module is installed."""
        target = target or call.what
        module = target.partition(":")[0]
        _refuse_absent(module, call.what)
        return cls(str(call), call.what, source=module.partition(".")[0], groups=("own",), call=call, target=target)

    @property
    def place(self) -> str:
        """The first file of its module."""
        return files_of(self.target.partition(":")[0])[0].as_posix()

    @cached_property
    def digest(self) -> str:
        """Of its module's code."""
        return code_digest(files_of(self.target.partition(":")[0]))

    def build(self, in_channels: int, classes: int, image_size: int) -> "nn.Module":
        """What the class or function makes, adapted to these images."""
        from bench.networks.builder import made

        module, _, attribute = self.target.partition(":")
        builder = _attribute(import_module(module), attribute)
        return made(builder, self.title, (in_channels, classes, image_size), self.call.values)


@cache
def plug_ins() -> dict[str, str]:
    """The targets that installed packages offer, by name."""
    return {entry.name: entry.value for entry in entry_points(group=GROUP)}


def plug_in(call: Call) -> InstalledNetwork | None:
    """The network that an installed package offers under this name; None where there is none."""
    target = plug_ins().get(call.what)
    return None if target is None else InstalledNetwork.called(call, target)


def _refuse_absent(module: str, what: str) -> None:
    try:
        files_of(module)
    except (ImportError, ValueError, AttributeError):
        raise UserError(
            f"'{what}': no module '{module}' is installed; install its package, or give the file: path/to/file.py:Name"
        ) from None


def _attribute(module: Any, name: str) -> Any:
    found = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise UserError(f"module '{module.__name__}' has no '{name}'; name a class or function that it holds")
        found = getattr(found, part)
    return found
