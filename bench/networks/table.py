"""The table of networks in this repository (`table.toml`), and what the program knows of a network.

That is how it is built, what was published about it, and which code it consists of.
"""

import ast
import hashlib
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.errors import unknown

if TYPE_CHECKING:
    from torch import nn


class Shapes(NamedTuple):
    """What a network is built for: images (N, channels, size, size) and maps (N, classes, size, size)."""

    channels: int
    classes: int
    size: int


@dataclass(frozen=True)
class Network:
    """A network of the table: the module `package.name`, which has `build(in_channels, classes, image_size)`.

    Published figures are for 3 channels and 1 class; None where nothing was published. `macs` counts one multiply-add
    as one, for images of `macs_size` pixels a side. `groups` are keys of GROUPS; `source` says who wrote it.

    Two declarations let records of earlier code count, each as the digest of the later code and that of the earlier.
    `renamed` is for code of which only names of modules and private names changed: records of all quantities count.
    `same_function` is for code that was rewritten to be faster and computes the same: its trainings count, while cost
    and times are measured again; it is of the digest that `renamed` gives. An edit of the code ends both.
    """

    name: str
    title: str
    parameters: float | None = None
    macs: float | None = None
    macs_size: int = 224
    source: str = ""
    groups: Sequence[str] = ("own",)
    package: str = "baselines"
    same_function: Sequence[str] = ("", "")
    renamed: Sequence[str] = ("", "")

    @property
    def macs_at_224(self) -> float | None:
        """The published multiply-adds, scaled by the number of pixels where they are for another size."""
        return self.macs and self.macs * (224 / self.macs_size) ** 2

    @property
    def kind(self) -> str:
        """What it is made of, the first of its groups."""
        return self.groups[0]

    @property
    def files(self) -> tuple[Path, ...]:
        """The files its code is in: its module, or all of its package."""
        return files_of(f"{self.package}.{self.name}")

    @property
    def place(self) -> str:
        """The file a reader looks into, of a package the first; relative to this repository where it belongs to it."""
        return f"{self.package}/{self.name}{'/__init__' if self.files[0].stem == '__init__' else ''}.py"

    @cached_property
    def digest(self) -> str:
        """12 hexadecimal digits that change with the network's code; it is then measured again."""
        return code_digest(self.files)

    def digest_for(self, quantity: str) -> str:
        """The digest by which records of the quantity are found, after the declarations of earlier code."""
        digest = self.renamed[1] if self.renamed[0] == self.digest else self.digest
        return self.same_function[1] if quantity == "dice" and self.same_function[0] == digest else digest

    def build(self, in_channels: int, classes: int, image_size: int) -> "nn.Module":
        """A new network. It maps images (N, in_channels, H, W) to logits (N, classes, H, W), H = W = image_size.

        In training it may return several such maps, the main one first. Weights are random unless it is pre-trained.
        """
        return import_module(f"{self.package}.{self.name}").build(in_channels, classes, image_size)


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


def in_groups(groups: Iterable[str]) -> list[str]:
    """The names of the networks in one of these groups; UserError for an unknown group."""
    for group in set(groups) - GROUPS.keys():
        raise unknown("group", group, GROUPS)
    return [name for name, network in NETWORKS.items() if set(groups) & set(network.groups)]


_TABLE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
GROUPS: dict[str, str] = _TABLE["groups"]
NETWORKS: dict[str, Network] = {name: Network(name, **row) for name, row in _TABLE["networks"].items()}
