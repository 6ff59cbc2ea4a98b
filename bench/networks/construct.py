"""Constructs a network by any class or function, by giving it what its own parameters ask for."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from bench.errors import UserError
from bench.networks.network import Shapes

if TYPE_CHECKING:
    from torch import nn

# The usual names of parameters for the channels of an image, the number of classes, and the pixels a side.
CHANNELS = ("in_channels", "in_chans", "n_channels", "num_channels", "input_channels", "input_channel",
            "in_ch", "img_ch", "channels")  # fmt: skip
CLASSES = ("classes", "num_classes", "n_classes", "num_class", "out_channels", "output_channels", "out_chans", "out_ch",
           "output_ch")  # fmt: skip
SIZE = ("image_size", "img_size", "input_size", "img_dim")
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def construct(builder: Callable[..., Any], name: str, shapes: Shapes, arguments: Mapping[str, Any]) -> "nn.Module":
    """The network that a class or function makes, for these shapes and with the user's own arguments.

    A parameter of a known name is given what it asks for, unless the user gave it. UserError where an argument is
    unknown, one without a default is missing, or no network comes back.
    """
    from torch import nn

    parameters = parameters_of(builder, name)
    given = {**_known(parameters, shapes), **arguments}
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        refuse_unknown(parameters, given, name)
    absent = [p.name for p in parameters if p.default is p.empty and p.kind in NAMED and p.name not in given]
    if absent:
        raise UserError(f"{name} needs {', '.join(absent)}; give it: --arg {absent[0]}=VALUE")
    network = builder(**given)
    if not isinstance(network, nn.Module):
        raise UserError(f"{name} gives a {type(network).__name__}, not a torch.nn.Module; name what makes the network")
    return network


def parameters_of(builder: Callable[..., Any], name: str) -> list[inspect.Parameter]:
    """The parameters of a class or function; UserError where it is neither."""
    if not callable(builder):
        raise UserError(f"{name} is a {type(builder).__name__}; name a class or a function that makes the network")
    return list(inspect.signature(builder).parameters.values())


def refuse_unknown(parameters: Iterable[inspect.Parameter], given: Iterable[str], name: str) -> None:
    """UserError for an argument that is none of the named parameters."""
    own = [parameter.name for parameter in parameters if parameter.kind in NAMED]
    for key in given:
        if key not in own:
            near = get_close_matches(key, own, n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise UserError(f"{name} has no argument '{key}'; {hint}it takes {', '.join(own) or 'none'}")


def _known(parameters: list[inspect.Parameter], shapes: Shapes) -> dict[str, Any]:
    """What is given to parameters of known names; of two names for one thing the first counts.

    A size whose default is a pair is given as a pair. Other defaults that are lists, such as `channels` for the widths
    of stages, mean something else.
    """
    defaults = {parameter.name: parameter.default for parameter in parameters if parameter.kind in NAMED}
    given: dict[str, Any] = {}
    for words, value in zip((CHANNELS, CLASSES, SIZE), shapes, strict=True):
        fitting = [w for w in words if w in defaults and (words is SIZE or not isinstance(defaults[w], tuple | list))]
        for word in fitting[:1]:
            given[word] = type(defaults[word])((value, value)) if isinstance(defaults[word], tuple | list) else value
    return given
