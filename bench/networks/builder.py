"""Calls anybody's class or function: it is given what its own parameters ask for, whatever they are called."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from bench.errors import UserError

if TYPE_CHECKING:
    from torch import nn

# What the field's code calls the three facts that the harness knows.
CHANNELS = ("in_channels", "in_chans", "n_channels", "num_channels", "input_channels", "input_channel",
            "in_ch", "img_ch", "channels")  # fmt: skip
CLASSES = ("classes", "num_classes", "n_classes", "num_class", "out_channels", "output_channels", "out_chans", "out_ch",
           "output_ch")  # fmt: skip
SIZE = ("image_size", "img_size", "input_size", "img_dim")


def made(
    builder: Callable[..., Any], name: str, facts: tuple[int, int, int], arguments: Mapping[str, Any]
) -> "nn.Module":
    """The network that a class or function makes, adapted to images and maps of these (channels, classes, size).

    Arguments that it does not have itself may declare what bench.networks.adapt would else find out.
    """
    from bench.networks.adapt import DECLARED, adapted

    own = {parameter.name for parameter in _parameters(builder, name)}
    declared = {key: value for key, value in arguments.items() if key in DECLARED and key not in own}
    others = {key: value for key, value in arguments.items() if key not in declared}
    return adapted(construct(builder, name, facts, others), name, facts, builder, declared)


def construct(
    builder: Callable[..., Any], name: str, facts: tuple[int, int, int], arguments: Mapping[str, Any]
) -> "nn.Module":
    """The network that a class or function makes, from (channels, classes, size) and the user's own arguments.

    A parameter of a known name is given what it asks for, unless the user gave it; a size whose default is a pair is
    given as a pair. UserError where an argument is not its, one without a default is missing, or no network comes back.
    """
    from torch import nn

    parameters = _parameters(builder, name)
    given = {**_known(parameters, facts), **arguments}
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        refuse_strange(parameters, given, name)
    absent = [p.name for p in parameters if p.default is p.empty and p.kind in NAMED and p.name not in given]
    if absent:
        raise UserError(f"{name} needs {', '.join(absent)}; give it: --arg {absent[0]}=VALUE")
    network = builder(**given)
    if not isinstance(network, nn.Module):
        raise UserError(f"{name} gives a {type(network).__name__}, not a torch.nn.Module; name what makes the network")
    return network


NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def _parameters(builder: Callable[..., Any], name: str) -> list[inspect.Parameter]:
    if not callable(builder):
        raise UserError(f"{name} is a {type(builder).__name__}; name a class or a function that makes the network")
    return list(inspect.signature(builder).parameters.values())


def _known(parameters: list[inspect.Parameter], facts: tuple[int, int, int]) -> dict[str, Any]:
    """What the harness gives, by the parameters' own names; of two names for one fact the first.

    A pair may be a size; `channels` whose default is a list are the widths of stages, no fact of ours.
    """
    named = {parameter.name: parameter.default for parameter in parameters if parameter.kind in NAMED}
    given: dict[str, Any] = {}
    for words, fact in zip((CHANNELS, CLASSES, SIZE), facts, strict=True):
        fitting = [w for w in words if w in named and (words is SIZE or not isinstance(named[w], tuple | list))]
        for word in fitting[:1]:
            given[word] = type(named[word])((fact, fact)) if isinstance(named[word], tuple | list) else fact
    return given


def refuse_strange(parameters: Iterable[inspect.Parameter], given: Iterable[str], name: str) -> None:
    """UserError for an argument that is none of the named parameters."""
    own = [parameter.name for parameter in parameters if parameter.kind in NAMED]
    for key in given:
        if key not in own:
            near = get_close_matches(key, own, n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise UserError(f"{name} has no argument '{key}'; {hint}it takes {', '.join(own) or 'none'}")
