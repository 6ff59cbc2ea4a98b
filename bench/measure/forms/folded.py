"""Folding: a faster network that computes the same function up to rounding.

Each batch norm is merged into the layer before it, and modules that define a cheaper form of themselves use it.
"""

import copy
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

# Layers and the kind of batch norm that can be merged into each.
FOLDABLE = {nn.Conv2d: nn.BatchNorm2d, nn.ConvTranspose2d: nn.BatchNorm2d, nn.Linear: nn.BatchNorm1d}


def fold(network: nn.Module, batch: Tensor) -> nn.Module:
    """A copy in eval mode in which batch norms are merged into the layers before them, if this preserves the function.

    Which batch norm follows which layer is observed in one call with `batch`. A pair is folded if, in every call of the
    layer, its output was used once, by that batch norm, and the batch norm had no other input. Layers with hooks and
    subclasses of layers are not folded, because they may use their weights differently, unless the class has an
    attribute `same_as` that names the layer type with the same function. Source of the formula: Jacob et al., CVPR
    2018, eq. 14.

    Then each module whose class has a method `folded_form` is replaced by the module that it returns, inner modules
    first. The method is called on the copy, in eval mode, with batch norms folded. It may reuse parts of the module but
    must not change its parameters in place, because others may share them. Inherited methods are ignored, and so are
    those of modules that contain hooks or parametrizations.
    """
    network = copy.deepcopy(network).eval()
    for layer, norm in _pairs(network, batch):
        _absorb(layer, norm)
        network = _with(network, norm, nn.Identity())
    # In reverse order, every module comes before the module that contains it.
    places = [module for _, module in network.named_modules(remove_duplicate=False)]
    for module in dict.fromkeys(reversed(places)):
        folded_form = vars(type(module)).get("folded_form")
        if folded_form and not any(_is_hooked(part) or is_parametrized(part) for part in module.modules()):
            network = _with(network, module, folded_form(module))
    return network.eval()


transform = fold  # the name that bench.measure.forms looks up


def _with(network: nn.Module, module: nn.Module, other: nn.Module) -> nn.Module:
    """The network with `module` replaced by `other` everywhere."""
    if network is module:
        return other
    for name, found in [*network.named_modules(remove_duplicate=False)]:
        if found is module:
            network.set_submodule(name, other)
    return network


def _is_hooked(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


@torch.no_grad()
def _absorb(layer: Any, norm: Any) -> None:
    """norm(layer(x)) = scale * layer(x) + shift, computed in float64 so that only the result is rounded."""
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    shift = -norm.running_mean.double() * scale
    if norm.affine:
        scale, shift = scale * norm.weight, shift * norm.weight + norm.bias
    weight, bias = layer.weight.double(), 0.0 if layer.bias is None else layer.bias.double()
    if isinstance(layer, nn.ConvTranspose2d):  # (in, out / groups, H, W): each group of inputs has outputs of its own
        factors = scale.view(layer.groups, 1, -1, 1, 1)
        weight = (weight.unflatten(0, (layer.groups, -1)) * factors).flatten(0, 1)
    else:  # (out, ...)
        weight = weight * scale.view(-1, *[1] * (weight.dim() - 1))
    dtype = layer.weight.dtype
    layer.weight, layer.bias = nn.Parameter(weight.to(dtype)), nn.Parameter((bias * scale + shift).to(dtype))


@dataclass(eq=False)
class _Call:
    """One call of a layer or batch norm. Its partners used the layer's output, or produced the norm's input.

    The partner None represents any operation that is not a batch norm.
    """

    module: nn.Module
    partners: list["_Call | None"] = field(default_factory=list)


class _Readers(TorchDispatchMode):
    """Finds the users of each layer's output. Every operator is observed, whether a module called it or not."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: defaultdict[nn.Module, list[_Call]] = defaultdict(list)
        self.made = WeakTensorKeyDictionary()  # tensor still in use to the call that produced it
        self.norm: _Call | None = None  # the batch norm that is running

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for leaf in tree_leaves((args, kwargs)):
            maker = self.made.get(leaf) if isinstance(leaf, Tensor) else None
            if maker is not None and self.norm not in maker.partners:
                maker.partners.append(self.norm)
                if self.norm is not None:
                    self.norm.partners.append(maker)
        return func(*args, **(kwargs or {}))

    def before_norm(self, norm: nn.Module, args: Any) -> None:
        self.norm = self._called(norm)

    def after_layer(self, layer: nn.Module, args: Any, output: Tensor) -> None:
        call = self._called(layer)
        # BatchNorm1d normalizes axis 1, which is a linear layer's outputs only where there are no more than two.
        if not (isinstance(layer, nn.Linear) and output.dim() != 2):
            self.made[output] = call

    def _called(self, module: nn.Module) -> _Call:
        self.calls[module].append(_Call(module))
        return self.calls[module][-1]

    def only_partner(self, module: nn.Module) -> nn.Module | None:
        """The one module that was the only partner in every call, if there is one."""
        partners = [call.partners[0] if len(call.partners) == 1 else None for call in self.calls[module]]
        modules = {partner.module if partner else None for partner in partners}
        return modules.pop() if len(modules) == 1 else None


def _kind(layer: nn.Module) -> type[nn.Module]:
    """The class's own `same_as`, else the class. An inherited one is ignored, as the forward pass may differ."""
    return vars(type(layer)).get("same_as", type(layer))


def _pairs(network: nn.Module, batch: Tensor) -> list[tuple[nn.Module, nn.Module]]:
    """Pairs of a layer and the batch norm that alone uses its output, as observed in one call."""
    readers = _Readers()
    with ExitStack() as hooks:
        for module in [module for module in network.modules() if not _is_hooked(module)]:
            if _kind(module) in FOLDABLE:
                hooks.callback(module.register_forward_hook(readers.after_layer).remove)
            elif type(module) in FOLDABLE.values() and not module.training and module.running_var is not None:
                hooks.callback(module.register_forward_pre_hook(readers.before_norm).remove)
                hooks.callback(module.register_forward_hook(lambda *_: setattr(readers, "norm", None)).remove)
        with torch.no_grad(), readers:
            output = network(batch)
    for call in readers.made.values():  # still referenced: part of the output or stored elsewhere
        call.partners.append(None)
    del output
    found = [(layer, readers.only_partner(layer)) for layer in readers.calls if _kind(layer) in FOLDABLE]
    return [(a, b) for a, b in found if b and type(b) is FOLDABLE[_kind(a)] and readers.only_partner(b) is a]
