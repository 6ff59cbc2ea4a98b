"""Weights are random unless pre-trained ones are asked for, whatever the defaults of a stranger's network are.

A parameter that asks for pre-trained weights by default is turned off. `pretrained=false` does more: it builds a
network whose constructor always loads weights, with what it would load left out.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from enum import Enum
from inspect import Parameter
from typing import Any, Self
from unittest.mock import patch

import torch
from torch import nn

from bench.networks.names import PRETRAINED, WEIGHTS

WORDS = (WEIGHTS, "backbone_weights", "weights_backbone", "weights")  # and all that hold `pretrain`


def turned_off(parameters: list[Parameter]) -> dict[str, Any]:
    """The parameters that ask for pre-trained weights by default, with the value that asks for none.

    >>> from inspect import signature
    >>> asking = signature(lambda pretrained=True, encoder_weights="imagenet", weights=(1, 2): None)
    >>> turned_off(list(asking.parameters.values()))
    {'pretrained': False, 'encoder_weights': None}
    """
    asking = [one for one in parameters if "pretrain" in one.name or one.name in WORDS]
    found = [one for one in asking if one.default and isinstance(one.default, bool | str | Enum)]
    return {one.name: False if one.default is True else None for one in found}


def as_asked(
    parameters: list[Parameter], arguments: Mapping[str, Any]
) -> tuple[dict[str, Any], AbstractContextManager[None]]:
    """The arguments for a builder, and the context to build the network in, for what the user says of `pretrained`.

    If it is true, parameters keep their defaults that ask for weights. Where the builder has no such parameter, false
    leaves out what its code loads.
    """
    asked, off = arguments.get(PRETRAINED), turned_off(parameters)
    if asked:
        arguments = {**{one.name: one.default for one in parameters if one.name in off}, **arguments}
    takes = any(one.name == PRETRAINED or one.kind is one.VAR_KEYWORD for one in parameters)
    if takes or not (off or asked is False):
        return dict(arguments), nullcontext()
    others = {key: value for key, value in arguments.items() if key != PRETRAINED}
    return others, (nullcontext() if asked else left_out())


@contextmanager
def left_out() -> Iterator[None]:
    """Leave out the weights that code loads by torch, torchvision or timm, from a file or an address."""
    load = nn.Module.load_state_dict

    def fitting(self: nn.Module, state_dict: Mapping[str, Any], *_: object, **__: object) -> Any:
        own = self.state_dict()
        kept = {key: one for key, one in state_dict.items() if key in own and own[key].shape == one.shape}
        return load(self, kept, strict=False)

    with ExitStack() as stack:
        stack.enter_context(patch.object(torch, "load", lambda *_, **__: _Nothing()))
        stack.enter_context(patch.object(torch.hub, "download_url_to_file", lambda *_, **__: None))
        stack.enter_context(patch.object(nn.Module, "load_state_dict", fitting))
        if timm := sys.modules.get("timm.models._builder"):
            stack.enter_context(patch.object(timm, "load_pretrained", lambda *_, **__: None))
        yield


class _Nothing(dict[str, Any]):
    """A checkpoint without weights: whatever part of it is asked for, or removed, there is nothing in it."""

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, arguments: Any = (), more: Any = None) -> Any:
        """A tensor that is to take values from it keeps its own."""
        return arguments[0]

    def __missing__(self, key: str) -> Self:
        return type(self)()

    def __delitem__(self, key: str) -> None:
        pass

    def pop(self, key: str, default: Any = None) -> Any:
        return default

    def eval(self) -> Self:
        return self
