"""Networks as the program builds them, and how one that is given by name or as an object is measured."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from bench.api.said import errors_in_python, whole
from bench.errors import UserError
from bench.networks import find_network, title_of
from bench.networks.handed import Handed, hand_over
from bench.networks.names import PRETRAINED, Name, pairs, parse
from bench.quantities import Conditions, Device
from bench.run.asked import LARGEST_SEED
from bench.run.job import Job
from bench.run.store import Record
from bench.run.worker import Order
from bench.run.worker import run as run_apart

if TYPE_CHECKING:
    from torch import nn

Tell = Callable[[dict[str, Any]], None]
WORDS = {True: "true", False: "false", None: "none"}  # how a network's name spells them
_NAMES: "WeakKeyDictionary[nn.Module, str]" = WeakKeyDictionary()  # of the networks that `network` built


@errors_in_python
def network(
    name: str, *, channels: int = 3, classes: int = 1, size: int = 224, seed: int = 0, pretrained: bool = False,
    **arguments: Any,
) -> "nn.Module":  # fmt: skip
    """Build a network as the program builds it: (N, channels, size, size) to logits (N, classes, size, size).

    `name` is one of `bench list networks`, or of a network from elsewhere: "mine.py:TinyNet",
    "package.module:Name", "smp:Unet/resnet34". Such a one takes `arguments` of its own, and is adapted to these images
    and maps where it has to be. The weights are random, drawn from the seed, unless it is `pretrained`; the caller's
    random numbers stay as they are. Raises UserError with the reason if it cannot be found or built.

        bench.network("mine.py:TinyNet", width=32, classes=4)
    """
    import torch

    shapes = whole("channels", channels), whole("classes", classes), whole("size", size)
    found = find_network(_named(name, arguments, pretrained))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(whole("seed", seed, 0, LARGEST_SEED))
        built = found.build(*shapes)
    _NAMES[built] = found.name
    return built


def as_texts(arguments: dict[str, Any]) -> dict[str, str]:
    """Arguments of a network as its name spells them. Raises UserError for what a name cannot hold.

    >>> as_texts({"width": 8, "act": None, "depths": (2, 2)})
    {'width': '8', 'act': 'none', 'depths': '(2, 2)'}
    """
    told = [f"{key}={WORDS[value] if value is None or isinstance(value, bool) else value}" for key, value
            in arguments.items()]  # fmt: skip
    return pairs(told)


def _named(name: str, arguments: dict[str, Any], pretrained: bool) -> str:
    """The network's whole name."""
    if not isinstance(name, str):
        raise UserError(f"a network is built by its name, such as 'unet' or 'mine.py:Name'; got a {kind_of(name)}")
    parsed = parse(name)
    more = {**as_texts(arguments), **({PRETRAINED: "true"} if pretrained else {})}
    return str(Name(parsed.base, {**more, **parsed.arguments}))


def kind_of(thing: Any) -> str:
    """What kind of thing was given, for an error."""
    return f"class, {thing.__name__}" if isinstance(thing, type) else type(thing).__name__


# ---- measuring one ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Subject:
    """A network to measure: `name` builds it in the process that measures it, unless it is `handed` over."""

    title: str
    name: str
    handed: Handed | None = None


def subject(given: "str | nn.Module", folder: Path) -> Subject:
    """What is given to measure, by name or as an object, which is written into the folder.

    Raises UserError if it is neither, if it cannot be found, or if it cannot be handed to another process.
    """
    from torch import nn

    if isinstance(given, str):
        named = find_network(given).name
        return Subject(title_of(named), named)
    if not isinstance(given, nn.Module):
        hint = "; build it first" if isinstance(given, type) else ""
        raise UserError(f"a network is a name, such as 'unet', or a torch.nn.Module; got a {kind_of(given)}{hint}")
    name, kind = _NAMES.get(given, ""), type(given).__name__
    title = title_of(name) if name else kind
    folder.mkdir(parents=True)
    return Subject(title, name or kind, hand_over(given, title, folder / "network.pt", name))


def measure(
    of: Subject, spec: Conditions, folder: Path, device: Device, threads: int, tell: Tell = lambda event: None
) -> Record:  # fmt: skip
    """Measure a network once, in a process of its own. Raises UserError where that fails."""
    job = Job(network=of.name, network_digest="", spec=spec)
    order = Order(job=job, out=folder, device=device, threads=threads, handed=of.handed)
    record = run_apart(order, tell)
    if record.status == "ok":
        return record
    if record.status == "refused":
        raise UserError(record.error)
    shape = getattr(spec, "batch", 1), job.spec.channels, job.spec.size, job.spec.size
    given = f"of images {shape}; give the channels and the size that it takes" if record.status == "crashed" else ""
    raise UserError(f"{of.title} could not be measured ({record.outcome}: {record.error}){given and f', {given}'}")
