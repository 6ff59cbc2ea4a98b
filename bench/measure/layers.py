"""Layers whose parameters no count of parameters sees: those that a network does not register, and quantized ones."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

REGISTERS = ("_parameters", "_buffers", "_modules")
PLAIN = (list, tuple, set, dict)  # what holds layers without registering them; nn.ModuleList and nn.ModuleDict do


def unregistered(network: nn.Module, used: Iterable[nn.Parameter] = ()) -> tuple[str, ...]:
    """Where layers are held that are not registered, and how many parameters there; `used` are those forward uses."""
    known = {id(parameter) for parameter in network.parameters()}
    found: list[str] = []
    for path, module in network.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, PLAIN) and name not in REGISTERS:
                lost = {id(one): one for one in _parameters(value) if id(one) not in known}
                known |= lost.keys()
                place = f"{path}.{name}".removeprefix(".")
                found += [f"layers in a plain list or dictionary, {place} ({_size(lost)} parameters)"] if lost else []
    if elsewhere := {id(one): one for one in used if id(one) not in known}:
        found.append(f"weights that forward uses from elsewhere ({_size(elsewhere)} parameters)")
    return tuple(found)


def _size(parameters: Mapping[int, nn.Parameter]) -> str:
    return f"{sum(one.numel() for one in parameters.values()):,}"


class Unregistered(TorchFunctionMode):
    """Finds the parameters that are used and are not the network's: of layers in lists, closures and other objects.

    They need no gradient while it is open: a tracer takes them for constants, which have none.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.used: list[nn.Parameter] = []
        self._known = {id(parameter) for parameter in network.parameters()}
        self._with_gradient: list[nn.Parameter] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for one in chain(_parameters(args), _parameters(kwargs or {})):
            if id(one) not in self._known:
                self._known.add(id(one))
                self.used.append(one)
                self._with_gradient += [one] if one.requires_grad else []
                one.requires_grad = False
        return func(*args, **(kwargs or {}))

    def __exit__(self, *reason: Any) -> None:
        super().__exit__(*reason)
        for one in self._with_gradient:
            one.requires_grad = True


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
    if isinstance(module, torch.jit.ScriptModule):  # its weights are parameters, and operators on packed ones are named
        return False
    held = [*vars(module).values(), *module._buffers.values(), *module._parameters.values()]
    return any(
        isinstance(one, torch.ScriptObject) or (isinstance(one, torch.Tensor) and one.is_quantized) for one in held
    )
