"""Networks outside this repository: in a file, by its path, or in an installed package, by its module.

The file of `nets/mine.py:TinyNet` is parsed, and is run only to build the network. `package.module:Name` needs the
package installed. A package can also register names of networks in its pyproject.toml; `bench list networks` then shows
them:

    [project.entry-points."bench.networks"]
    tiny = "my_package.nets:TinyNet"
"""

import ast
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UserError, unknown
from bench.networks.names import Name
from bench.networks.table import Network, Shapes, code_digest, files_of

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class ForeignNetwork(Network):
    """A network made by a class or function outside this repository.

    `builder` imports and returns it, `file` is its source file, and `code` returns the digest of its code.
    """

    arguments: Mapping[str, Any]
    builder: Callable[[], Callable[..., Any]]
    file: str
    code: Callable[[], str]

    @property
    def place(self) -> str:
        """Its file."""
        return self.file

    @cached_property
    def digest(self) -> str:
        """12 hexadecimal digits that change with its code."""
        return self.code()

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
        files = files_of(module)
    except (ImportError, ValueError, AttributeError):
        advice = "install its package, or give the file: path/to/file.py:Name"
        raise UserError(f"'{name.base}': no module '{module}' is installed; {advice}") from None
    return ForeignNetwork(
        str(name), name.base, source=module.partition(".")[0], arguments=name.values, file=str(files[0]),
        builder=lambda: _attribute(module, attribute), code=lambda: code_digest(files),
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
        code=lambda: code_digest(_with_neighbors(Path(path).resolve())),
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


def _with_neighbors(path: Path) -> list[Path]:
    """The file and all that it imports, directly or indirectly, from its folder or package: its code."""
    found, waiting = set(), [path]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += _neighbors(file)
    return sorted(found)


def _neighbors(path: Path) -> Iterator[Path]:
    top, parts = _importable(path)
    own = top / parts[0] if len(parts) > 1 else top
    for node in ast.walk(_parsed(path)):
        folder, modules = top, []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            folder = path.parents[node.level - 1] if node.level else top
            prefix = [node.module] if node.module else []
            modules = prefix + [".".join([*prefix, alias.name]) for alias in node.names]
        for module in modules:
            place = folder.joinpath(*module.split("."))
            if place.is_relative_to(own):
                yield from (file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file())


def _importable(path: Path) -> tuple[Path, list[str]]:
    """The folder from which a file is imported, and the parts of its module name (several in a package)."""
    top, parts = path.resolve().parent, [path.stem]
    while (top / "__init__.py").exists():
        top, parts = top.parent, [top.name, *parts]
    return top, parts


def _imported(path: Path) -> Any:
    """Import a file, as part of its package if its folder is one. Raises UserError if it cannot be imported."""
    top, parts = _importable(path)
    sys.path.insert(0, str(top))  # for imports from the same folder
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
