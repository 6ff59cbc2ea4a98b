"""Layers whose parameters no count of parameters sees: those that a network does not register, and quantized ones."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

REGISTERS = ("_parameters", "_buffers", "_modules")
PLAIN = (list, tuple, set, dict)  # what holds layers without registering them; nn.ModuleList and nn.ModuleDict do


def unregistered(network: nn.Module) -> tuple[str, ...]:
    """Where modules hold layers that are not registered, and how many parameters there."""
    return tuple(
        f"layers in a plain list or dictionary, {place} ({sum(one.numel() for one in lost):,} parameters)"
        for place, lost in unregistered_parameters(network).items()
    )


def unregistered_parameters(network: nn.Module) -> dict[str, list[nn.Parameter]]:
    """The parameters of what modules hold in plain lists and dictionaries, by the attribute's path."""
    known = {id(parameter) for parameter in network.parameters()}
    found: dict[str, list[nn.Parameter]] = {}
    for path, module in network.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, PLAIN) and name not in REGISTERS:
                lost = {id(one): one for one in _parameters(value) if id(one) not in known}
                known |= lost.keys()
                found |= {f"{path}.{name}".removeprefix("."): [*lost.values()]} if lost else {}
    return found


def _parameters(value: Any, depth: int = 3) -> Iterator[nn.Parameter]:
    if isinstance(value, nn.Parameter):
        yield value
    elif isinstance(value, nn.Module):
        yield from value.parameters()
    elif isinstance(value, PLAIN) and depth:
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _parameters(one, depth - 1)


def quantized(network: nn.Module) -> tuple[str, ...]:
    """The kinds of layers whose weights are packed in whole numbers, and how many there are of each."""
    packed = [module for module in network.modules() if _is_packed(module)]
    return tuple(f"{count} quantized {kind}" for kind, count in Counter(type(one).__name__ for one in packed).items())


def _is_packed(module: nn.Module) -> bool:
    """Whether it has the quantized weights itself: torch's layers keep them packed, or as tensors of their own kind."""
    held = [*vars(module).values(), *module._buffers.values(), *module._parameters.values()]
    return any(
        isinstance(one, torch.ScriptObject) or (isinstance(one, torch.Tensor) and one.is_quantized) for one in held
    )
