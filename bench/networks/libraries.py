"""The installed distributions that a network's code imports, with their versions.

torch, torchvision and numpy are left out: the conditions of a measurement hold them. A library that requires torch
itself counts too where another one brings it: segmentation-models-pytorch builds its encoders with timm.
"""

import re
import sys
from collections.abc import Collection, Iterable
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions
from importlib.util import find_spec
from pathlib import Path

from bench.networks.code import imports_of, is_installed

HELD_ELSEWHERE = ("torch", "torchvision", "numpy", "triton", "mdsa-bench")  # torch decides on the version of triton


def versions(names: Iterable[str]) -> dict[str, str]:
    """The versions of distributions by name, sorted; those that are not installed are left out."""
    return {name: found.version for name in sorted(names) if (found := _installed(name))}


def imported_by(files: Collection[Path], told: Iterable[Path] = ()) -> list[str]:
    """The distributions that files import anywhere in them, and what these bring that requires torch, sorted.

    `told` are the files that a process imported to run them: code may import by other means than a statement.
    """
    imports = (names for file in files for level, names in imports_of(file) if level == 0)
    named = {module.partition(".")[0] for names in imports for module in names}
    waiting = [one for package in named - sys.stdlib_module_names for one in _distributions(package, files)]
    loaded = {package for path in told if (package := _package(path))}
    waiting += [one for package in loaded for one in _distributions(package, files) if "torch" in _required(one)]
    found: set[str] = set()
    while waiting:
        if (one := waiting.pop()) not in found and one not in HELD_ELSEWHERE:
            found.add(one)
            waiting += [needed for needed in _required(one) if "torch" in _required(needed)]
    return sorted(found)


@cache
def is_needed(package: str) -> bool:
    """Whether a package belongs to this program or to a distribution that it needs; true if we cannot tell."""
    waiting, needed = ["mdsa-bench"], set[str]()
    while waiting:
        if (one := waiting.pop()) not in needed:
            needed.add(one)
            waiting += _required(one)
    return package == "bench" or len(needed) == 1 or any(_plain(one) in needed for one in _owners().get(package, ()))


def owner_of(package: str) -> str | None:
    """The installed distribution that a package or module belongs to; None if it is of none."""
    return package if _installed(package) else next(iter(_owners().get(package, ())), None)


def packages_beside(top: Path, package: str) -> list[Path]:
    """The folders of all packages of the distribution that installed this one in the folder `top`."""
    known = _owners()
    owners = set(known.get(package, ()))
    return [top / package, *(top / other for other, those in known.items() if owners & set(those) and other != package)]


def _distributions(package: str, own: Collection[Path]) -> list[str]:
    """The distributions that install a package; none if it is the network's own code, or nowhere."""
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    place = Path(spec.origin or next(iter(spec.submodule_search_locations or ()), "")).resolve()
    if place in own or not is_installed(place):
        return []
    return [_plain(package)] if _installed(package) else [_plain(one) for one in _owners().get(package, ())]


def _package(path: Path) -> str:
    """The package of an installed file, by the folder below that of all distributions."""
    below = str(path).rpartition("-packages/")[2]
    return below.partition("/")[0].removesuffix(".py") if path.suffix == ".py" and below != str(path) else ""


@cache
def _required(name: str) -> frozenset[str]:
    """The distributions that one requires always, not for an extra."""
    found = _installed(name)
    lines = [line for line in (found.requires if found else None) or () if "extra ==" not in line]
    return frozenset(_plain(re.split(r"[^\w.-]", line, maxsplit=1)[0]) for line in lines)


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


@cache
def _owners() -> dict[str, list[str]]:
    return dict(packages_distributions())  # reads the list of files of every distribution, which takes a second


def _plain(name: str) -> str:
    """A distribution's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
