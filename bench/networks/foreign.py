"""Networks outside this repository: in a file, by its path, or in an installed package, by its module.

The file of `nets/mine.py:TinyNet` is parsed, and is run only to build the network: to measure it, and once in a process
of its own to see what its code imports. `package.module:Name` needs the package installed. A package can also register
names of networks in its pyproject.toml; `bench list networks` then shows them:

    [project.entry-points."bench.networks"]
    tiny = "my_package.nets:TinyNet"
"""

import ast
import hashlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UserError, unknown
from bench.networks.code import importable, place_of, roots_of
from bench.networks.imported import Code, code_of
from bench.networks.libraries import versions
from bench.networks.names import Name
from bench.networks.table import Network, Shapes

if TYPE_CHECKING:
    from torch import nn


ADAPTING = 2  # raised when networks are adapted otherwise, which changes what their records mean


@dataclass(frozen=True, kw_only=True)
class ForeignNetwork(Network):
    """A network made by a class or function outside this repository.

    `builder` imports and returns it, `file` is its source file, and `code` returns its digest and its libraries.
    """

    arguments: Mapping[str, Any]
    builder: Callable[[], Callable[..., Any]]
    file: str
    code: Callable[[], Code]

    @property
    def place(self) -> str:
        """Its file."""
        return self.file

    @cached_property
    def _code(self) -> Code:
        return self.code()

    @property
    def digest(self) -> str:
        """12 hexadecimal digits that change with its code."""
        return hashlib.sha256(f"{self._code.digest} {ADAPTING}".encode()).hexdigest()[:12]

    @property
    def libraries(self) -> dict[str, str]:
        """The versions of the distributions that its code imports, by name, without torch, torchvision and numpy."""
        return versions(self._code.libraries)

    def legacy_digest(self, quantity: str) -> None:
        """None: records of the first format do not tell which code outside this repository they are of."""

    def build(self, in_channels: int, classes: int, image_size: int) -> "nn.Module":
        """Build the network, adapted to these images and classes."""
        from bench.networks.adapt import made

        return made(self.builder(), self.title, Shapes(in_channels, classes, image_size), self.arguments)


@cache
def plug_ins() -> dict[str, str]:
    """The targets `module:Name` that installed packages register, by name."""
    return {entry.name: entry.value for entry in entry_points(group="bench.networks")}


def from_package(name: Name, target: str) -> ForeignNetwork:
    """The network of a target `module:Name`. Raises UserError if the module is not installed."""
    module, _, attribute = target.partition(":")
    try:
        file = place_of(module)
    except (ImportError, ValueError):
        advice = "install its package, or give the file: path/to/file.py:Name"
        raise UserError(f"'{name.base}': no module '{module}' is installed; {advice}") from None
    return ForeignNetwork(
        str(name), name.base, source=module.partition(".")[0], arguments=name.values, file=str(file),
        builder=lambda: _attribute(module, attribute), code=lambda: code_of(str(name), file),
    )  # fmt: skip


def _attribute(module: str, name: str) -> Any:
    found = import_module(module)
    try:
        return attrgetter(name)(found)
    except AttributeError:
        raise UserError(f"module '{module}' has no '{name}'; name a class or function that it holds") from None


def from_file(name: Name) -> ForeignNetwork:
    """The network in a file. Raises UserError if the file does not exist or does not define the name."""
    path, _, attribute = name.base.rpartition(":") if ".py:" in name.base else (name.base, "", "")
    tree = _parsed(Path(path))
    own = [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    assigned = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    own += [target.id for target in assigned if isinstance(target, ast.Name)]
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    imported = [alias.asname or alias.name for node in imports for alias in node.names]
    if not attribute:
        example = next((one for one in own if one[0].isupper() or "build" in one), "TinyNet")
        raise UserError(f"name the class or function in '{path}' that makes the network, such as {path}:{example}")
    if attribute not in own + imported and "*" not in imported:
        raise unknown(f"name in {path}", attribute, [one for one in own if not one.startswith("_")])
    return ForeignNetwork(
        str(name), attribute, source=path, arguments=name.values, file=Path(path).as_posix(),
        builder=lambda: getattr(_imported(Path(path)), attribute),
        code=lambda: code_of(str(name), Path(path)),
    )  # fmt: skip


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text())
    except FileNotFoundError:
        raise UserError(f"no file '{path}' here; give its path from {Path.cwd()}, or a whole one") from None
    except SyntaxError as error:
        raise UserError(f"{path}:{error.lineno}: this is not Python ({error.msg}); correct it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"'{path}' cannot be read ({error})") from None


def _imported(path: Path) -> Any:
    """Import a file, as part of its package if its folder is one. Raises UserError if it cannot be imported."""
    top, parts = importable(path)
    sys.path.insert(0, str(top))  # for imports from the same folder
    sys.path += map(
        str, roots_of(path)[1:]
    )  # as Python runs it from its repository's root; the last, for others' names
    try:
        return import_module(".".join(parts)) if len(parts) > 1 else _loaded(path)
    except UserError:
        raise
    except ModuleNotFoundError as error:
        raise UserError(f"'{path}' imports '{error.name}', which is not installed; install it") from error
    except Exception as error:  # whatever the file raises
        why = f"{type(error).__name__}: {error}"
        raise UserError(f"'{path}' cannot be imported ({why}); see that `python {path}` runs") from error


def _loaded(path: Path) -> Any:
    """Import a single file under a unique name, so that a file `random.py` does not replace Python's module."""
    name = f"own_{path.stem}"
    spec = spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
