"""Weights are random unless pre-trained ones are asked for, whatever the defaults of a stranger's network are.

A parameter that asks for pre-trained weights by default is turned off, and what a constructor always downloads is left
out. Files of the user's own that it reads are loaded, unless `pretrained=false` asks for nothing of the kind.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from enum import Enum
from inspect import Parameter
from pathlib import Path
from typing import Any, Literal, Self
from unittest.mock import patch

import torch
from torch import nn

from bench.networks.names import PRETRAINED, WEIGHTS

Loading = Literal["everything", "files", "nothing"]  # what a constructor may load
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


def as_asked(parameters: list[Parameter], arguments: Mapping[str, Any]) -> tuple[dict[str, Any], Loading]:
    """The arguments for a builder, and what it may load, for what the user says of `pretrained`.

    If it is true, parameters keep their defaults that ask for weights. Where the builder has no such parameter, false
    leaves out all that its code loads.
    """
    asked, off = arguments.get(PRETRAINED), turned_off(parameters)
    if asked:
        arguments = {**{one.name: one.default for one in parameters if one.name in off}, **arguments}
    loading: Loading = "everything" if asked else "files"
    if any(one.name == PRETRAINED or one.kind is one.VAR_KEYWORD for one in parameters):
        return dict(arguments), loading
    if asked is False:
        loading = "nothing"
    elif not off:  # then the argument is unknown, and refused as others are
        return dict(arguments), loading
    return {key: value for key, value in arguments.items() if key != PRETRAINED}, loading


@contextmanager
def left_out(loading: Loading) -> Iterator[list[str]]:
    """Leave out the weights that code downloads by torch, torchvision or timm, or all that it loads.

    Yields the addresses and files that were left out, which grow meanwhile.
    """
    names: list[str] = []
    if loading == "everything":
        yield names
        return
    load, read, cached = nn.Module.load_state_dict, torch.load, Path(torch.hub.get_dir()).resolve()

    def put(self: nn.Module, state_dict: Mapping[str, Any], *more: Any, **others: Any) -> Any:
        if not names or (loading == "files" and state_dict):
            return load(self, state_dict, *more, **others)
        own = self.state_dict()
        kept = {key: one for key, one in state_dict.items() if key in own and own[key].shape == one.shape}
        return load(self, kept, strict=False)

    def of_file(file: Any, *more: Any, **others: Any) -> Any:
        path = Path(file).resolve() if isinstance(file, str | os.PathLike) else Path("a file")
        known = any(name.endswith(path.name) for name in names)  # the download of this file was left out
        if loading == "files" and not (known or path.is_relative_to(cached)):
            return read(file, *more, **others)
        names.extend([] if known else [str(path)])
        return _Nothing()

    with ExitStack() as stack:
        stack.enter_context(patch.object(torch, "load", of_file))
        stack.enter_context(patch.object(torch.hub, "download_url_to_file", lambda url, *_, **__: names.append(url)))
        stack.enter_context(patch.object(nn.Module, "load_state_dict", put))
        if timm := sys.modules.get("timm.models._builder"):
            stack.enter_context(patch.object(timm, "load_pretrained", lambda *_, **__: names.append("timm")))
        yield names


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
