"""Anybody's own network, from its file by path: `nets/mine.py:TinyNet`. The file is read, and run only to build it."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from bench.errors import UserError, unknown
from bench.networks.call import Call
from bench.networks.network import Network, code_digest

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class FileNetwork(Network):
    """A class or function of a file; the file's neighbours that it imports are part of its code."""

    call: Call

    @classmethod
    def called(cls, call: Call) -> "FileNetwork":
        """The network of a path; UserError where there is no such file, or nothing of that name in it."""
        path, _, attribute = call.what.rpartition(":") if ".py:" in call.what else (call.what, "", "")
        own, imported = _names_in(Path(path))
        if not attribute:
            raise UserError(f"name the class or function in '{path}' that makes the network, {_such_as(path, own)}")
        if attribute not in own + imported and "*" not in imported:
            raise unknown(f"name in {path}", attribute, [name for name in own if not name.startswith("_")])
        return cls(str(call), attribute, source=path, groups=("own",), call=call)

    @property
    def path(self) -> Path:
        """Its file."""
        return Path(self.call.what.rpartition(":")[0])

    @property
    def place(self) -> str:
        """Its file, as it was given."""
        return self.path.as_posix()

    @cached_property
    def digest(self) -> str:
        """Of its file's code and of that of the neighbours it imports."""
        return code_digest(sorted(_with_neighbours(self.path.resolve())))

    def build(self, in_channels: int, classes: int, image_size: int) -> "nn.Module":
        """What the class or function makes, adapted to these images."""
        from bench.networks.builder import made

        attribute = self.call.what.rpartition(":")[2]
        builder = getattr(_imported(self.path), attribute)
        return made(builder, attribute, (in_channels, classes, image_size), self.call.values)


def _such_as(path: str, holds: list[str]) -> str:
    best = next((name for name in holds if name[0].isupper() or "build" in name), "TinyNet")
    return f"such as {path}:{best}"


def _names_in(path: Path) -> tuple[list[str], list[str]]:
    """What the file defines at its top level, and what it imports there."""
    tree = _parsed(path)
    defined = [n.name for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef)]
    imported = [a.asname or a.name for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom) for a in n.names]
    assigned = [t.id for n in tree.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)]
    return [*defined, *assigned], imported


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text())
    except FileNotFoundError:
        raise UserError(f"no file '{path}' here; give its path from {Path.cwd()}, or a whole one") from None
    except SyntaxError as error:
        raise UserError(f"{path}:{error.lineno}: this is not Python ({error.msg}); mend it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"'{path}' cannot be read ({error})") from None


def _with_neighbours(path: Path) -> set[Path]:
    """The file and what it imports, directly or not, from its own folder or package."""
    seen: set[Path] = set()
    waiting = [path]
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += _neighbours(file)
    return seen


def _neighbours(path: Path) -> Iterator[Path]:
    """The files of the modules that a file imports from its own folder or package; nothing else is part of its code."""
    top, parts = _importable(path)
    own = top / parts[0] if len(parts) > 1 else top
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.Import):
            modules, folder = [alias.name for alias in node.names], top
        elif isinstance(node, ast.ImportFrom):
            folder = path.parents[node.level - 1] if node.level else top
            modules = [".".join(filter(None, [node.module, alias.name])) for alias in node.names]
            modules += [node.module] if node.module else []
        else:
            continue
        for module in modules:
            place = folder.joinpath(*module.split("."))
            if place.is_relative_to(own):
                yield from (file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file())


def _importable(path: Path) -> tuple[Path, list[str]]:
    """The folder that a file is imported from, and its dotted name there, which in a package has more than one part."""
    top, parts = path.resolve().parent, [path.stem]
    while (top / "__init__.py").exists():
        top, parts = top.parent, [top.name, *parts]
    return top, parts


def _imported(path: Path) -> Any:
    """The module of a file, in its package where its folder is one; UserError with what failed.

    A file alone gets a name that no other module has: one called `random.py` must not stand in for Python's.
    """
    top, parts = _importable(path)
    sys.path.insert(0, str(top))  # for its neighbours
    try:
        return import_module(".".join(parts)) if len(parts) > 1 else _loaded(path, f"own_{path.stem}")
    except UserError:
        raise
    except ModuleNotFoundError as error:
        raise UserError(
            f"'{path}' imports '{error.name}', which is not installed; install it where bench is"
        ) from error
    except Exception as error:
        raise UserError(
            f"'{path}' cannot be imported ({type(error).__name__}: {error}); see that `python {path}` runs"
        ) from error


def _loaded(path: Path, name: str) -> ModuleType:
    spec = spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
