"""Networks outside this repository: in a file, by its path, or in an installed package, by its module.

The file of `nets/mine.py:TinyNet` is parsed, and is run only to build the network: to measure it, and once in a process
of its own to see what its code imports. `package.module:Name` needs the package installed. A package can also register
names of networks in its pyproject.toml; `bench list networks` then shows them:

    [project.entry-points."bench.networks"]
    tiny = "my_package.nets:TinyNet"
"""

import ast
import hashlib
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from importlib.metadata import entry_points
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from bench.errors import UserError, unknown
from bench.files import content_of
from bench.networks.code import place_of
from bench.networks.imported import Code, code_of
from bench.networks.importing import module_of
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
    `is_strange` tells that its code may do anything to this process.
    """

    arguments: Mapping[str, Any]
    builder: Callable[[], Callable[..., Any]]
    file: str
    code: Callable[[], Code]
    is_strange: bool = False

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

        builder, shapes = self.builder(), Shapes(in_channels, classes, image_size)
        if not self.is_strange:
            return made(builder, self.title, shapes, self.arguments)
        return self._of_strangers(builder, shapes)

    def _of_strangers(self, builder: Callable[..., Any], shapes: Shapes) -> "nn.Module":
        """Build it without the weights that it downloads; with them if it cannot be built otherwise."""
        from bench.networks.adapt import made, note
        from bench.networks.construct import parameters_of
        from bench.networks.explain import has_known_reason
        from bench.networks.pretrained import as_asked, left_out
        from bench.networks.unchanged import unchanged

        arguments, loading = as_asked(parameters_of(builder, self.title), self.arguments)
        names: list[str] = []
        try:
            with unchanged(self.file, seeded=True), left_out(loading) as names:
                network = made(builder, self.title, shapes, arguments)
            return note(network, f"starts with random weights, since {_joined(names)} was left out" if names else "")
        except UserError as error:
            cause = error.__cause__  # of a forward pass there is none: that has little to do with the weights
            if loading != "files" or not names or cause is None or has_known_reason(cause):
                raise
        with unchanged(self.file, seeded=True):
            network = made(builder, self.title, shapes, arguments)
        return note(network, f"starts with the weights of {_joined(names)}, which its code always loads")


def _joined(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


@cache
def plug_ins() -> dict[str, str]:
    """The targets `module:Name` that installed packages register, by name."""
    return {entry.name: entry.value for entry in entry_points(group="bench.networks")}


def from_package(name: Name, target: str) -> ForeignNetwork:
    """The network of a target `module:Name`, of an installed module or one below the working directory.

    Raises UserError if there is no such module.
    """
    module, _, attribute = target.partition(":")
    try:
        file = place_of(module)
    except (ImportError, ValueError):
        if here := _module_here(module):
            return _from(name, attribute, module.partition(".")[0], here)
        raise UserError(_no_module(name.base, module)) from None
    return ForeignNetwork(
        str(name), name.base, source=module.partition(".")[0], arguments=name.values, file=str(file),
        builder=lambda: _attribute(lambda: import_module(module), f"module '{module}'", str(file), attribute),
        code=lambda: code_of(str(name), file), is_strange=True,
    )  # fmt: skip


def from_file(name: Name) -> ForeignNetwork:
    """The network in a file. Raises UserError if the file does not exist or does not define the name."""
    path, _, attribute = name.base.rpartition(":") if ".py:" in name.base else (name.base, "", "")
    own, imported = names_in(_parsed(Path(path)).body)
    if not attribute:
        example = next((one for one in own if one[0].isupper() or "build" in one), "TinyNet")
        raise UserError(f"name the class or function in '{path}' that makes the network, such as {path}:{example}")
    if attribute.partition(".")[0] not in own + imported and "*" not in imported:
        raise unknown(f"name in {path}", attribute, [one for one in own if not one.startswith("_")])
    return _from(name, attribute, path, Path(path))


def _from(name: Name, attribute: str, source: str, path: Path) -> ForeignNetwork:
    from_ = f"'{path}'"
    return ForeignNetwork(
        str(name), attribute, source=source, arguments=name.values, file=path.as_posix(),
        builder=lambda: _attribute(lambda: module_of(path), from_, str(path), attribute),
        code=lambda: code_of(str(name), path), is_strange=True,
    )  # fmt: skip


def names_in(statements: Iterable[ast.stmt]) -> tuple[list[str], list[str]]:
    r"""The names that statements define, in branches of `if`, `try`, `with`, loops and `match` too, and those imported.

    >>> names_in(ast.parse("try:\n  from a import b as c\nexcept E:\n  c: T = None\nx = y = 1").body)
    (['c', 'x', 'y'], ['c'])
    """
    own: list[str] = []
    imported: list[str] = []
    for node in statements:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            own.append(node.name)
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            imported += [alias.asname or alias.name.partition(".")[0] for alias in node.names]
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if _has_value(node) else []
        own += [
            one.id
            for target in targets
            for one in ast.walk(target)
            if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)
        ]
        for inner in ast.iter_child_nodes(node):
            blocks = [inner] if isinstance(inner, ast.stmt) else getattr(inner, "body", None)
            if isinstance(blocks, list):  # a handler or a case; not the expression of a lambda
                more, others = names_in(blocks)
                own, imported = own + more, imported + others
    return own, imported


def _has_value(node: ast.stmt) -> TypeGuard[ast.AnnAssign]:
    return isinstance(node, ast.AnnAssign) and node.value is not None


def _parsed(path: Path) -> ast.Module:
    try:
        with warnings.catch_warnings(action="ignore"):  # of strings such as "\d"
            return ast.parse(_content(path))  # as bytes, for a mark or a line in them tells how they are encoded
    except FileNotFoundError:
        raise UserError(f"no file '{path}' here; give its absolute path, or its path from {Path.cwd()}") from None
    except SyntaxError as error:
        raise UserError(f"{path}:{error.lineno or 1}: this is not Python ({error.msg}); correct it") from None
    except (OSError, ValueError) as error:
        raise UserError(f"'{path}' cannot be read ({error}); give a Python file") from None


def _content(path: Path) -> bytes:
    """The content of a Python file. Raises ValueError for one that says it is empty, as those of the system do."""
    if content := content_of(path):
        return content
    raise ValueError("it is empty")


def _module_here(module: str) -> Path | None:
    """The file of a module below the working directory, where `python -c 'import module'` finds it."""
    place = Path(*module.split("."))
    if not (place.name and all(module.split("."))):
        return None
    files = (place.with_name(f"{place.name}.py"), place / "__init__.py")
    return next((file for file in files if file.is_file()), None)


def _no_module(base: str, module: str) -> str:
    path = base.rpartition(":")[0] or base
    if path.endswith(".ipynb"):
        return f"'{path}' is a notebook, which is not run; write it to a file: jupyter nbconvert --to script '{path}'"
    if Path(path).is_dir():
        return f"'{path}' is a folder; name the file in it that makes the network: {path.rstrip('/')}/FILE.py:Name"
    if Path(path).suffix and Path(path).exists():
        return f"'{path}' is no Python file; give one that ends in .py: path/to/file.py:Name"
    return f"'{base}': no module '{module}' is installed; install its package, or give the file: path/to/file.py:Name"


def _attribute(load: Callable[[], Any], what: str, file: str, name: str) -> Any:
    """A class or function of a module, imported. Raises UserError if it cannot be imported or has no such name."""
    from bench.networks.explain import explained
    from bench.networks.unchanged import unchanged

    try:
        with unchanged(file):
            found = load()
    except (Exception, SystemExit) as error:  # whatever it raises
        raise UserError(f"{what} cannot be imported: {explained(error)}") from error
    try:
        return attrgetter(name)(found)
    except AttributeError:
        raise UserError(f"{what} has no '{name}'; name a class or function that it holds") from None
