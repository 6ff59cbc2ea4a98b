"""The table of networks in this repository (`table.toml`), and the description of a network.

A description says how the network is built, which figures were published, and which files are its code.
"""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.errors import unknown
from bench.networks.code import closure, digest_of, importable, is_networks_code, legacy_digest, named, place_of
from bench.networks.libraries import imported_by, versions

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
    `same_function_as` names another network of the table that computes the same function: this one is measured and
    not trained, for it shares the other's scores, and it is not ranked.

    `renamed` and `same_function` concern records of the first format alone (`legacy_digest`). Each is a pair of such
    digests, of later and of earlier code: for changes of module names and private names only, whose records of all
    quantities are of the later code too; and for code rewritten to be faster, whose trainings are.
    """

    name: str
    title: str
    parameters: float | None = None
    macs: float | None = None
    macs_size: int = 224
    source: str = ""
    groups: Sequence[str] = ("own",)
    package: str = "baselines"
    same_function_as: str = ""
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
    def module(self) -> str:
        """The module that builds it."""
        return f"{self.package}.{self.name}"

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files of its code: those of its module, and all that they import from this repository."""
        file = place_of(self.module)
        return tuple(sorted(closure([file], [importable(file)[0]], is_networks_code)))

    @property
    def place(self) -> str:
        """Its source file (the first of a package), relative to this repository if it is part of it."""
        file = place_of(self.module)
        return file.relative_to(importable(file)[0]).as_posix()

    @cached_property
    def digest(self) -> str:
        """12 hexadecimal digits that change with the network's code. After a change the network is measured again."""
        return digest_of(named(self.files, [importable(place_of(self.module))[0]]))

    @cached_property
    def libraries(self) -> dict[str, str]:
        """The versions of the distributions that its code imports, by name, without torch, torchvision and numpy."""
        return versions(imported_by(self.files))

    def legacy_digest(self, quantity: str) -> str | None:
        """The digest that records of the first format hold if they are of its present code; None if there are none."""
        digest = legacy_digest(self.module)
        digest = self.renamed[1] if self.renamed[0] == digest else digest
        return self.same_function[1] if quantity == "dice" and self.same_function[0] == digest else digest

    def build(self, in_channels: int, classes: int, image_size: int) -> "nn.Module":
        """A new network. It maps images (N, in_channels, H, W) to logits (N, classes, H, W), H = W = image_size.

        In training it may return several such maps, the main one first. Weights are random unless it is pre-trained.
        """
        return import_module(self.module).build(in_channels, classes, image_size)


def in_groups(groups: Iterable[str]) -> list[str]:
    """The names of the networks in any of these groups. Raises UserError for an unknown group."""
    for group in set(groups) - GROUPS.keys():
        raise unknown("group", group, GROUPS)
    return [name for name, network in NETWORKS.items() if set(groups) & set(network.groups)]


def origin_of(name: str) -> str:
    """The network that computes the same function as the network of this name and is trained for both; else empty.

    >>> origin_of("mdsa_unet_plain"), origin_of("unet"), origin_of("mine.py:Net")
    ('mdsa_unet', '', '')
    """
    return NETWORKS[name].same_function_as if name in NETWORKS else ""


_TABLE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
GROUPS: dict[str, str] = _TABLE["groups"]
NETWORKS: dict[str, Network] = {name: Network(name, **row) for name, row in _TABLE["networks"].items()}
