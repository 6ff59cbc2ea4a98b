"""The two counters of multiply-adds, corrected where they are known to miss some.

fvcore, which papers use, follows a trace; its chatter, custom autograd functions, activation checkpointing (a custom
function, too) and outputs other than tensors would end or fool the trace, so functions become plain calls and outputs a
tuple of their tensors. torch's FlopCounterMode sees each operator as it is dispatched; fused attention is run as its
plain products, which it does count. For both, attention's fast path is off. What neither can see into is a kernel with
no formula: torch's side names those.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any
from unittest.mock import patch

import torch
from fvcore.nn import FlopCountAnalysis
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import FunctionCtx
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.weak import WeakTensorKeyDictionary

from bench.measure.operators import HANDLES, aten, flop_formulas, free
from bench.quantities import Count

TOLERANCE = 0.02  # of all multiply-adds: products that are summed, but by no operator of that name, may be so many
logging.getLogger("fvcore.nn.jit_analysis").setLevel(logging.ERROR)  # what it warns of is in its result


See = Callable[[Any, Any, Any, Any], None]  # an operator (an OpOverload), its arguments, its options, its output


def _count(
    counter: str, by_operator: dict[str, int], uncounted: Mapping[str, int], missed: Sequence[str] = ()
) -> Count:
    return Count(
        counter=counter, macs=sum(by_operator.values()), by_operator=by_operator,
        uncounted=dict(sorted(uncounted.items())), missed=tuple(missed),
    )  # fmt: skip


# ---- fvcore ----------------------------------------------------------------------------------------------------------


def by_fvcore(network: nn.Module, image: Tensor) -> Count:
    """fvcore's count of one call. Raises what the network or the tracer raises.

    Custom autograd functions are called without autograd, so that the tracer sees into them. A name that was bound to
    `TheFunction.apply` beforehand is not replaced; the tracer then lists the function as uncounted.
    """
    # The tracer refuses other outputs than tensors and tuples of them; None leaves an output as it is.
    flat = network.register_forward_hook(
        lambda module, inputs, output: None if isinstance(output, Tensor) else tuple(tensors(output))
    )
    with flat, _without_fast_path(), patch.object(Function, "apply", classmethod(_forward_alone)), torch.no_grad():
        analysis = FlopCountAnalysis(network, image).set_op_handle(**HANDLES)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        by_operator = {name: round(macs) for name, macs in sorted(analysis.by_operator().items())}
        return _count("fvcore", by_operator, analysis.unsupported_ops())


def tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in tuples, lists, dictionaries and dataclasses, in order."""
    if isinstance(value, Tensor):
        yield value
    elif is_dataclass(value):
        yield from tensors([getattr(value, field.name) for field in fields(value)])
    elif isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from tensors(part)


def _forward_alone(function: Any, *args: Any, **kwargs: Any) -> Any:
    """What stands in for `Function.apply`: the forward pass, with a context where it takes one."""
    context = FunctionCtx()
    context.needs_input_grad = (False,) * len(args)  # type: ignore[attr-defined]
    takes_context = function.setup_context is Function.setup_context
    with torch.no_grad():
        return function.forward(*([context] if takes_context else []), *args, **kwargs)


# ---- torch -----------------------------------------------------------------------------------------------------------


def by_torch(network: nn.Module, image: Tensor) -> Count:
    """Half of FlopCounterMode's count of one call.

    `missed` names operators that may well multiply and have no right formula, for they are not known to be free.
    """
    met = _Uncounted()
    with counting(met.see) as counter:
        network(image)
    flops = counter.get_flop_counts().get("Global", {})
    by_operator = {operator.__name__.split(".")[0]: count // 2 for operator, count in flops.items()}
    uncounted = {str(operator): calls for operator, calls in met.calls.items() if operator not in flops}
    return _count("torch", by_operator, uncounted, met.unknown(set(flops), sum(by_operator.values())))


@contextmanager
def counting(see: See) -> Iterator[FlopCounterMode]:
    """torch's counter as it should be set; `see` is called with each operator before it is counted."""
    counter = FlopCounterMode(display=False, custom_mapping=flop_formulas())
    with _without_fast_path(), sdpa_kernel(SDPBackend.MATH), torch.no_grad(), counter, _Operators(see):
        yield counter


class _Operators(TorchDispatchMode):
    """Sees each operator that is dispatched, composed ones as their parts: those are met in inference mode only."""

    def __init__(self, see: See) -> None:
        super().__init__()
        self.see = see

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        composed = torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")
        if composed and not func.is_view:
            with self:
                return func.decompose(*args, **kwargs)
        output = func(*args, **kwargs)
        self.see(func, args, kwargs, output)
        return output


class _Uncounted:
    """Counts the calls of each operator that makes a floating tensor of its own; views do no work.

    Also adds up the elementwise products that are summed at once: a matrix product in disguise, of which no operator's
    name tells.
    """

    def __init__(self) -> None:
        self.calls: Counter[Any] = Counter()
        self.not_free: set[Any] = set()
        self.complex: set[Any] = set()
        self.summed = 0
        self.products = WeakTensorKeyDictionary()

    def see(self, func: Any, args: Any, kwargs: Any, output: Any) -> None:
        """Take note of one call of the operator `func`."""
        made, operator = list(tensors(output)), func.overloadpacket
        product = bool(args) and isinstance(args[0], Tensor) and args[0] in self.products
        if product and operator in (aten.sum, aten.mean):
            self.summed += args[0].numel()
        if operator is aten.mul or (func.is_view and product):
            self.products.update(dict.fromkeys(made, True))
        if not made and func._schema.is_mutable:  # it writes into what it was given
            made = list(tensors((args, kwargs)))
        is_complex = any(tensor.is_complex() for tensor in made)
        if func.is_view or not (is_complex or any(tensor.is_floating_point() for tensor in made)):
            return
        self.calls[operator] += 1
        self.not_free |= set() if free(func) else {operator}
        self.complex |= {operator} if is_complex else set()

    def unknown(self, counted: set[Any], macs: int) -> list[str]:
        """What may multiply and has no right formula, with the reason."""
        found = [f"{operator} (no formula)" for operator in self.not_free - counted]
        found += [f"{operator} of complex numbers" for operator in self.complex & counted]
        if self.summed > TOLERANCE * macs:
            found.append(f"{self.summed:,} elementwise products that are then summed")
        return sorted(found)


# ---- both ------------------------------------------------------------------------------------------------------------


@contextmanager
def _without_fast_path() -> Iterator[None]:
    """The attention fast path off, for it is one native call that no counter sees into."""
    was = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(was)
