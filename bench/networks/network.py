"""What the program knows of a network: how it is built, what was published about it, which code it is written in."""

import ast
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Network:
    """A network by its name. What was published of it is for 3 channels and 1 class; None where nothing was.

    `macs` counts one multiply-add as one, and was published for images of `macs_size` pixels a side.
    `groups` are names of bench.networks.table.GROUPS; `source` says who wrote it.
    """

    name: str
    title: str
    parameters: float | None = None
    macs: float | None = None
    macs_size: int = 224
    source: str = ""
    groups: tuple[str, ...] = ()

    @property
    def macs_at_224(self) -> float | None:
        """The published multiply-adds, where another size was published by the number of pixels."""
        return self.macs and self.macs * (224 / self.macs_size) ** 2

    @property
    def kind(self) -> str:
        """What it is made of, the first of its groups."""
        return self.groups[0] if self.groups else "own"

    def build(self, in_channels: int, classes: int, image_size: int) -> "nn.Module":
        """A new network. It maps images (N, in_channels, H, W) to logits (N, classes, H, W), H = W = image_size.

        In training it may return several such maps, the main one first. Weights are random unless it is pre-trained.
        """
        raise TypeError(f"{type(self).__name__} says nothing of how '{self.name}' is built")

    @property
    def digest(self) -> str:
        """12 hexadecimal digits that change when the network's code does, and then it is measured again."""
        raise TypeError(f"{type(self).__name__} says nothing of the code of '{self.name}'")

    @property
    def place(self) -> str:
        """The file a reader looks into, relative to this repository where it is in there."""
        return self.name

    def digest_for(self, quantity: str) -> str:
        """The digest that a record of the quantity goes by."""
        return self.digest


@dataclass(frozen=True)
class NetworkRow(Network):
    """A line of the table: a module of this repository with `build(in_channels, classes, image_size)`.

    `same_function` is for code that was written again to be faster, and that computes what earlier code did: its own
    digest, and the earlier one's, under which trainings are on record.
    """

    module: str = ""
    same_function: tuple[str, str] = ("", "")

    def build(self, in_channels: int, classes: int, image_size: int) -> "nn.Module":
        """A new network with random weights."""
        network: nn.Module = import_module(self.module).build(in_channels, classes, image_size)
        return network

    @property
    def files(self) -> tuple[Path, ...]:
        """The files the network is written in: its module, or all of its package."""
        return files_of(self.module)

    @property
    def place(self) -> str:
        """Its file in this repository, of a package the first."""
        folder = self.module.replace(".", "/")
        return f"{folder}/__init__.py" if self.files[0].stem == "__init__" else f"{folder}.py"

    @cached_property
    def digest(self) -> str:
        """12 hexadecimal digits of its code; comments, docstrings and layout are no part of it."""
        return code_digest(self.files)

    def digest_for(self, quantity: str) -> str:
        """The digest that a record of the quantity goes by: for Dice, of the code that first computed this function.

        What is computed does not tell how fast it is, so all other quantities go by the code as it is. An edit of the
        code ends the declaration, and then the network is trained again too.
        """
        code, earlier = self.same_function
        return earlier if quantity == "dice" and code == self.digest else self.digest


def files_of(module: str) -> tuple[Path, ...]:
    """The files of a module that can be imported: itself, or all files directly in its package."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    file = Path(spec.origin)
    return tuple(sorted(file.parent.glob("*.py"))) if file.stem == "__init__" else (file,)


def code_digest(files: Iterable[Path], more: str = "") -> str:
    """12 hexadecimal digits of Python files, less comments, docstrings and layout, and of what else matters."""
    code = "\n".join(_code(file) for file in files) + more
    return hashlib.sha256(code.encode()).hexdigest()[:12]


def _code(file: Path) -> str:
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
