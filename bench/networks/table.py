"""The table of networks in this repository (`table.toml`), and the description of a network.

A description says how the network is built, which figures were published, and which files are its code.
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
    """The shapes a network is built for: images (N, channels, size, size) and maps (N, classes, size, size)."""

    channels: int
    classes: int
    size: int


@dataclass(frozen=True)
class Network:
    """A network of the table: the module `package.name`, which has `build(in_channels, classes, image_size)`.

    Published figures are for 3 channels and 1 class; None if nothing was published. `macs` counts one multiply-add
    as one, for images of `macs_size` pixels a side. `groups` are keys of GROUPS; `source` names its origin.

    Two declarations keep records of earlier code valid. Each is a pair of digests: of the later and of the earlier
    code. `renamed` is for changes of module names and private names only: records of all quantities stay valid.
    `same_function` is for code rewritten to be faster that computes the same function: trainings stay valid, but cost
    and times are measured again; it refers to the digest given by `renamed`. Any further edit of the code invalidates
    both.
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
        """The published multiply-adds, scaled by the number of pixels if they are for another size."""
        return self.macs and self.macs * (224 / self.macs_size) ** 2

    @property
    def kind(self) -> str:
        """Its kind (the first of its groups), such as `cnn`."""
        return self.groups[0]

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of its code: its module, or all files of its package."""
        return files_of(f"{self.package}.{self.name}")

    @property
    def place(self) -> str:
        """Its source file (the first of a package), relative to this repository if it is part of it."""
        return f"{self.package}/{self.name}{'/__init__' if self.files[0].stem == '__init__' else ''}.py"

    @cached_property
    def digest(self) -> str:
        """12 hexadecimal digits that change with the network's code. After a change the network is measured again."""
        return code_digest(self.files)

    def digest_for(self, quantity: str) -> str:
        """The digest used for records of a quantity, with the declarations of earlier code applied."""
        digest = self.renamed[1] if self.renamed[0] == self.digest else self.digest
        return self.same_function[1] if quantity == "dice" and self.same_function[0] == digest else digest

    def build(self, in_channels: int, classes: int, image_size: int) -> "nn.Module":
        """A new network. It maps images (N, in_channels, H, W) to logits (N, classes, H, W), H = W = image_size.

        In training it may return several such maps, the main one first. Weights are random unless it is pre-trained.
        """
        return import_module(f"{self.package}.{self.name}").build(in_channels, classes, image_size)


def files_of(module: str) -> tuple[Path, ...]:
    """The files of an importable module: the module itself, or all files directly in its package."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    file = Path(spec.origin)
    return tuple(sorted(file.parent.glob("*.py"))) if file.stem == "__init__" else (file,)


def code_digest(files: Iterable[Path]) -> str:
    """12 hexadecimal digits of the hash of Python files, ignoring comments, docstrings and layout."""
    return hashlib.sha256("\n".join(map(_code, files)).encode()).hexdigest()[:12]


def _code(file: Path) -> str:
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def in_groups(groups: Iterable[str]) -> list[str]:
    """The names of the networks in any of these groups. Raises UserError for an unknown group."""
    for group in set(groups) - GROUPS.keys():
        raise unknown("group", group, GROUPS)
    return [name for name, network in NETWORKS.items() if set(groups) & set(network.groups)]


_TABLE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
GROUPS: dict[str, str] = _TABLE["groups"]
NETWORKS: dict[str, Network] = {name: Network(name, **row) for name, row in _TABLE["networks"].items()}
