"""Hands a network that was built in one process to another, which measures it.

It is pickled with its weights (`bench.networks.by_value`). The other process has the same folders to import from, in
the same order, so that what it imports is what this process has.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from bench.errors import UserError, first_line
from bench.networks.find import find_network
from bench.networks.foreign import ForeignNetwork

if TYPE_CHECKING:
    from torch import nn

INSTEAD = "write what makes it to a file of its own, and name it in its place: 'path/to/file.py:Name'"


@dataclass(frozen=True)
class Handed:
    """A network in a file. `path` are the folders to import from.

    `name` is the network's, if it was built by `find_network`: a file that it names is imported first, as it was then.
    """

    file: Path
    path: tuple[str, ...]
    name: str = ""


def hand_over(network: "nn.Module", title: str, file: Path, name: str = "") -> Handed:
    """Write a network to a file. Raises UserError, which calls it by its `title`, where part of it cannot be pickled.

    The network stays as it is.
    """
    import pickle

    import torch

    from bench.networks.by_value import Pickler

    writing = SimpleNamespace(__name__="bench.networks.by_value", Pickler=Pickler)
    try:
        torch.save(network, file, pickle_module=writing, pickle_protocol=pickle.DEFAULT_PROTOCOL)
    except OSError:
        raise
    except Exception as error:  # whatever a part of it raises
        why = f"{title} cannot be handed to the process that measures it ({first_line(error)})"
        raise UserError(f"{why}; {INSTEAD}") from error
    return Handed(file, tuple(sys.path), name)


def received(handed: Handed) -> "nn.Module":
    """The network, its weights on the CPU. What it imports later is looked for in this process's own folders first.

    Raises UserError where it cannot be put together: a module is not there, or raises when it is imported.
    """
    import torch

    ours, sys.path[:] = list(sys.path), handed.path
    try:
        known = find_network(handed.name) if handed.name else None
        if isinstance(known, ForeignNetwork) and known.is_strange:
            known.builder()
        network: nn.Module = torch.load(handed.file, map_location="cpu", weights_only=False)
    except (OSError, UserError):
        raise
    except Exception as error:  # of a stranger's module
        why = f"the network cannot be put together in a process of its own ({first_line(error)})"
        raise UserError(f"{why}; {INSTEAD}") from error
    finally:  # a file of a name such as `statistics.py` must not take the place of Python's own in what measures
        sys.path[:] = [*ours, *(folder for folder in handed.path if folder not in ours)]
    return network
