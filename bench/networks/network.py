"""What the program knows of a network: how it is built, what was published about it, which code it consists of."""

import ast
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import nn


class Shapes(NamedTuple):
    """What a network is built for: images (N, channels, size, size) and maps (N, classes, size, size)."""

    channels: int
    classes: int
    size: int


@dataclass(frozen=True)
class Network:
    """A network by its name. Published figures are for 3 channels and 1 class; None where nothing was published.

    `macs` counts one multiply-add as one, for images of `macs_size` pixels a side. `groups` are names of
    bench.networks.table.GROUPS; `source` says who wrote it.
    """

    name: str
    title: str
    parameters: float | None = None
    macs: float | None = None
    macs_size: int = 224
    source: str = ""
    groups: tuple[str, ...] = ("own",)

    @property
    def macs_at_224(self) -> float | None:
        """The published multiply-adds, scaled by the number of pixels where they are for another size."""
        return self.macs and self.macs * (224 / self.macs_size) ** 2

    @property
    def kind(self) -> str:
        """What it is made of, the first of its groups."""
        return self.groups[0]

    def build(self, in_channels: int, classes: int, image_size: int) -> "nn.Module":
        """A new network. It maps images (N, in_channels, H, W) to logits (N, classes, H, W), H = W = image_size.

        In training it may return several such maps, the main one first. Weights are random unless it is pre-trained.
        """
        raise TypeError(f"{type(self).__name__} does not say how '{self.name}' is built")

    @property
    def digest(self) -> str:
        """12 hexadecimal digits that change with the network's code; it is then measured again."""
        raise TypeError(f"{type(self).__name__} does not say what the code of '{self.name}' is")

    @property
    def place(self) -> str:
        """The file a reader looks into, relative to this repository where it belongs to it."""
        return self.name

    def digest_for(self, quantity: str) -> str:
        """The digest by which records of the quantity are found."""
        return self.digest


@dataclass(frozen=True, kw_only=True)
class ForeignNetwork(Network):
    """A class or function of somebody else's code: what imports it, its file, and all the files of that code."""

    arguments: Mapping[str, Any]
    builder: Callable[[], Any]
    file: str
    files: Callable[[], Iterable[Path]]

    def build(self, in_channels: int, classes: int, image_size: int) -> "nn.Module":
        """What the class or function makes, adapted to these images."""
        from bench.networks.adapt import made

        return made(self.builder(), self.title, Shapes(in_channels, classes, image_size), self.arguments)

    @property
    def place(self) -> str:
        """Its file."""
        return self.file

    @cached_property
    def digest(self) -> str:
        """The digest of its files."""
        return code_digest(self.files())


@dataclass(frozen=True)
class NetworkRow(Network):
    """A line of the table: the module `package.name`, which has `build(in_channels, classes, image_size)`.

    Two declarations let records of earlier code count, each as the digest of the later code and that of the earlier.
    `renamed` is for code of which only names of modules and private names changed: records of all quantities count.
    `same_function` is for code that was rewritten to be faster and computes the same: its trainings count, while cost
    and times are measured again; it is of the digest that `renamed` gives. An edit of the code ends both.
    """

    package: str = "baselines"
    same_function: tuple[str, str] = ("", "")
    renamed: tuple[str, str] = ("", "")

    def build(self, in_channels: int, classes: int, image_size: int) -> "nn.Module":
        """A new network with random weights."""
        network: nn.Module = import_module(f"{self.package}.{self.name}").build(in_channels, classes, image_size)
        return network

    @property
    def files(self) -> tuple[Path, ...]:
        """The files the network is written in: its module, or all of its package."""
        return files_of(f"{self.package}.{self.name}")

    @property
    def place(self) -> str:
        """Its file in this repository, of a package the first."""
        return f"{self.package}/{self.name}{'/__init__' if self.files[0].stem == '__init__' else ''}.py"

    @cached_property
    def digest(self) -> str:
        """12 hexadecimal digits of its code; comments, docstrings and layout are no part of it."""
        return code_digest(self.files)

    def digest_for(self, quantity: str) -> str:
        """The digest by which records of the quantity are found, after the declarations of earlier code."""
        digest = self.renamed[1] if self.renamed[0] == self.digest else self.digest
        return self.same_function[1] if quantity == "dice" and self.same_function[0] == digest else digest


def files_of(module: str) -> tuple[Path, ...]:
    """The files of a module that can be imported: itself, or all files directly in its package."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    file = Path(spec.origin)
    return tuple(sorted(file.parent.glob("*.py"))) if file.stem == "__init__" else (file,)


def code_digest(files: Iterable[Path]) -> str:
    """12 hexadecimal digits of Python files; comments, docstrings and layout are no part of it."""
    return hashlib.sha256("\n".join(map(_code, files)).encode()).hexdigest()[:12]


def _code(file: Path) -> str:
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
