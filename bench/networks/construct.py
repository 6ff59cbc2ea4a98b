"""Constructs a network from any class or function: arguments are passed by the usual names of its parameters."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import nn

from bench.errors import UserError, unknown
from bench.networks.explain import called
from bench.networks.pretrained import turned_off
from bench.networks.table import Shapes

# The usual names of parameters for the channels of an image, the number of classes, and the pixels a side.
CHANNEL_WORDS = ("in_channels", "in_chans", "n_channels", "num_channels", "input_channels", "input_channel", "in_ch",
                 "img_ch", "channels")  # fmt: skip
CLASS_WORDS = ("classes", "num_classes", "n_classes", "num_class", "out_channels", "output_channels", "out_chans",
               "out_ch", "output_ch")  # fmt: skip
SIZE_WORDS = ("image_size", "img_size", "input_size", "img_dim")
WIDTH_WORDS = ("channels", "num_channels", "out_channels")  # the width of a layer, if the default is larger than WIDEST
WIDEST = 4  # channels of an image
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def construct(builder: Callable[..., Any], name: str, shapes: Shapes, arguments: Mapping[str, Any]) -> nn.Module:
    """Construct the network of a class or function for these shapes, with the user's own arguments.

    Parameters with known names are filled in unless the user gave them. Raises UserError if an argument is unknown, if
    one without a default is missing, or if the result is not a network.
    """
    parameters = parameters_of(builder, name)
    given = {**_known(parameters, shapes), **arguments}
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        refuse_unknown(parameters, given, name)
    absent = [p.name for p in parameters if p.default is p.empty and p.kind in NAMED and p.name not in given]
    if absent:
        instead = "or name a function that makes the network without it"
        raise UserError(f"{name} needs {', '.join(absent)}; give it: --arg {absent[0]}=VALUE, {instead}")
    network = called(builder, given, name)
    if not isinstance(network, nn.Module):
        raise UserError(f"{name} gives a {type(network).__name__}, not a torch.nn.Module; name what makes the network")
    return network


def parameters_of(builder: Callable[..., Any], name: str) -> list[inspect.Parameter]:
    """The parameters of a class or function. Raises UserError if it is neither."""
    if not callable(builder) or isinstance(builder, nn.Module):  # one that is built has weights, whatever the seed
        raise UserError(f"{name} is a {type(builder).__name__}; name a class or a function that makes the network")
    return list(inspect.signature(builder).parameters.values())


def known_arguments(
    builder: Callable[..., Any], name: str, shapes: Shapes, arguments: Mapping[str, Any]
) -> dict[str, Any]:  # fmt: skip
    """What `construct` passes of itself, for parameters with known names, beside the user's own arguments."""
    known = _known(parameters_of(builder, name), shapes)
    return {key: value for key, value in known.items() if key not in arguments}


def refuse_unknown(parameters: Iterable[inspect.Parameter], given: Iterable[str], name: str) -> None:
    """Raise UserError for an argument that is not one of the named parameters."""
    own = [parameter.name for parameter in parameters if parameter.kind in NAMED]
    for key in given:
        if key not in own:
            raise unknown(f"argument of {name}", key, own)


def _known(parameters: list[inspect.Parameter], shapes: Shapes) -> dict[str, Any]:
    """The arguments for parameters with known names. Of two names with the same meaning, the first is used.

    A size whose default is a pair is given as a pair. Other defaults that are lists, such as `channels` for the widths
    of stages, mean something else, and so do `channels=64` and `out_channels=64`.
    """
    defaults = {parameter.name: parameter.default for parameter in parameters if parameter.kind in NAMED}
    several = {word for word, default in defaults.items() if isinstance(default, tuple | list)}
    widths = {word for word in WIDTH_WORDS if isinstance(defaults.get(word), int) and defaults[word] > WIDEST}
    given: dict[str, Any] = {}
    for words, value in zip((CHANNEL_WORDS, CLASS_WORDS, SIZE_WORDS), shapes, strict=True):
        meant = [word for word in words if word in defaults and word not in widths]
        word = next((word for word in meant if words is SIZE_WORDS or word not in several), None)
        if word:
            given[word] = type(defaults[word])((value, value)) if word in several else value
    return {**given, **turned_off(parameters)}
