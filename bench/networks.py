"""The networks: one literal table from a name to its builder and its published facts.

Adding one is one file and one line. A builder is `build(in_channels, classes, image_size) -> nn.Module` with random
weights and no download; its network maps images (N, in_channels, H, W) to logits (N, classes, H, W). Nothing here
imports torch before a network is built, so that `bench list` answers at once.
"""

import ast
import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import unknown

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Network:
    """A network and what was published about it, for 3 channels, 1 class and 224x224 pixels.

    `macs` counts one multiply-add as one. `same_function` is for code that was written again to be faster, and that
    computes what earlier code did: its own digest, and the earlier one's, under which trainings are on record.
    """

    name: str
    title: str
    module: str
    parameters: float
    macs: float
    source: str
    same_function: tuple[str, str] = ("", "")

    def build(self, in_channels: int, classes: int, image_size: int) -> "nn.Module":
        """A new network with random weights."""
        network: nn.Module = import_module(self.module).build(in_channels, classes, image_size)
        return network

    @property
    def files(self) -> tuple[Path, ...]:
        """The files the network is written in: its module, or all of its package."""
        spec = find_spec(self.module)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(self.module)
        file = Path(spec.origin)
        return tuple(sorted(file.parent.glob("*.py"))) if file.stem == "__init__" else (file,)

    @property
    def place(self) -> str:
        """Its file in this repository, of a package the first."""
        folder = self.module.replace(".", "/")
        return f"{folder}/__init__.py" if self.files[0].stem == "__init__" else f"{folder}.py"

    @cached_property
    def digest(self) -> str:
        """12 hexadecimal digits that change when the network's code does, and then it is measured again.

        Comments, docstrings and layout are no part of it.
        """
        code = "\n".join(_code(file) for file in self.files)
        return hashlib.sha256(code.encode()).hexdigest()[:12]

    def digest_for(self, quantity: str) -> str:
        """The digest that a record of the quantity goes by: for Dice, of the code that first computed this function.

        What is computed does not tell how fast it is, so all other quantities go by the code as it is. An edit of the
        code ends the declaration, and then the network is trained again too.
        """
        code, earlier = self.same_function
        return earlier if quantity == "dice" and code == self.digest else self.digest


def _code(file: Path) -> str:
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


NETWORKS = {
    network.name: network
    for network in (
        Network("attention_unet", "Attention U-Net", "baselines.attention_unet", 34.88e6, 50.9e9, "Oktay et al. 2018"),
        Network(
            "mdsa_unet", "MDSA-UNet", "bench.mdsa_unet", 6.65e6, 4.54e9, "Li et al., IEEE JBHI 2025",
            same_function=("94fa0382582e", "ec4126e8aab2"),
        ),
        Network("swin_unet", "Swin-UNet", "baselines.swin_unet", 27.17e6, 6.1e9, "Cao et al. 2021"),
        Network("unet", "U-Net", "baselines.unet", 31.04e6, 36.9e9, "Ronneberger et al. 2015"),
        Network("unetpp", "UNet++", "baselines.unetpp", 9.16e6, 26.5e9, "Zhou et al. 2018"),
    )
}  # fmt: skip


def title_of(name: str) -> str:
    """A network's name as its paper writes it, else as it was called."""
    return NETWORKS[name].title if name in NETWORKS else name


def find_network(name: str) -> Network:
    """The table's entry, or a UserError with the nearest name."""
    if name not in NETWORKS:
        raise unknown("network", name, NETWORKS)
    return NETWORKS[name]
