"""The two counters of multiply-adds, corrected where they are known to miss some.

fvcore, which papers use, follows a trace; its chatter, custom autograd functions, activation checkpointing (a custom
function, too) and outputs other than tensors would end or fool the trace, so functions become plain calls and outputs a
tuple of their tensors. torch's FlopCounterMode sees each operator as it is dispatched; fused attention is run as its
plain products, which it does count. For both, attention's fast path is off. What neither can see into is a kernel with
no formula: torch's side names those.
"""

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

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

TOLERANCE = 0.02  # of all multiply-adds: products that are summed, but by no operator of that name, may be so many


@dataclass(frozen=True)
class Counted:
    """Multiply-adds by operator, and how often each operator was met that makes floating numbers and was not counted.

    `unknown` names those of them that may well multiply, for they are not known to be free.
    """

    by_operator: dict[str, int]
    uncounted: dict[str, int]
    unknown: tuple[str, ...] = ()

    @property
    def macs(self) -> int:
        return sum(self.by_operator.values())


# ---- fvcore ----------------------------------------------------------------------------------------------------------


def by_fvcore(network: nn.Module, image: Tensor) -> Counted:
    """fvcore's count of one call. Raises what the network or the tracer raises."""
    # The tracer refuses other outputs than tensors and tuples of them; None leaves an output as it is.
    flat = network.register_forward_hook(
        lambda module, inputs, output: None if isinstance(output, Tensor) else tuple(tensors(output))
    )
    try:
        with _countable(), _plain_functions(), torch.no_grad():
            analysis = FlopCountAnalysis(network, image).set_op_handle(**HANDLES)
            analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
            by_operator = {name: round(macs) for name, macs in sorted(analysis.by_operator().items())}
            return Counted(by_operator, dict(sorted(analysis.unsupported_ops().items())))
    finally:
        flat.remove()


def tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in tuples, lists, dictionaries and dataclasses, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from (tensor for part in value.values() for tensor in tensors(part))
    elif isinstance(value, list | tuple):
        yield from (tensor for part in value for tensor in tensors(part))
    elif is_dataclass(value):
        yield from (tensor for field in fields(value) for tensor in tensors(getattr(value, field.name)))


@contextmanager
def _plain_functions() -> Iterator[None]:
    """Custom autograd functions are called without autograd, so that a tracer sees into them.

    A name bound to `TheFunction.apply` beforehand keeps its own way; the tracer then lists the function as uncounted.
    """

    def call(function: Any, *args: Any, **kwargs: Any) -> Any:
        context = FunctionCtx()
        context.needs_input_grad = (False,) * len(args)  # type: ignore[attr-defined]
        takes_context = function.setup_context is Function.setup_context
        with torch.no_grad():
            return function.forward(*([context] if takes_context else []), *args, **kwargs)

    own = Function.__dict__["apply"]
    Function.apply = classmethod(call)
    try:
        yield
    finally:
        Function.apply = own


# ---- torch -----------------------------------------------------------------------------------------------------------


def by_torch(network: nn.Module, image: Tensor) -> Counted:
    """Half of FlopCounterMode's count of one call."""
    met = _Uncounted()
    with counting(met) as counter:
        network(image)
    flops = counter.get_flop_counts().get("Global", {})
    by_operator = {operator.__name__.split(".")[0]: count // 2 for operator, count in flops.items()}
    uncounted = {str(operator): calls for operator, calls in met.calls.items() if operator not in flops}
    unknown = met.unknown(set(flops), sum(by_operator.values()))
    return Counted(by_operator, dict(sorted(uncounted.items())), tuple(unknown))


@contextmanager
def counting(operators: "Operators") -> Iterator[FlopCounterMode]:
    """torch's counter as it should be set; `operators` sees each operator before it."""
    counter = FlopCounterMode(display=False, custom_mapping=flop_formulas())
    with _countable(), sdpa_kernel(SDPBackend.MATH), torch.no_grad(), counter, operators:
        yield counter


class Operators(TorchDispatchMode, ABC):
    """Sees each operator that is dispatched, composed ones as their parts: those are met in inference mode only."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        composed = torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")
        if composed and not func.is_view:
            with self:
                return func.decompose(*args, **kwargs)
        output = func(*args, **kwargs)
        self.see(func, args, kwargs, output)
        return output

    @abstractmethod
    def see(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """Take note of one call of the operator `func` (an OpOverload)."""


class _Uncounted(Operators):
    """Counts the calls of each operator that makes a floating tensor of its own; views do no work.

    Also adds up the elementwise products that are summed at once: a matrix product in disguise, of which no operator's
    name tells.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[Any] = Counter()
        self.not_free: set[Any] = set()
        self.complex: set[Any] = set()
        self.summed = 0
        self.products = WeakTensorKeyDictionary()

    def see(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        made, operator = list(tensors(output)), func.overloadpacket
        self._follow_products(operator, args, made, func.is_view)
        if not made and func._schema.is_mutable:  # it writes into what it was given
            made = list(tensors((args, kwargs)))
        is_complex = any(tensor.is_complex() for tensor in made)
        if func.is_view or not (is_complex or any(tensor.is_floating_point() for tensor in made)):
            return
        self.calls[operator] += 1
        self.not_free |= set() if free(func) else {operator}
        self.complex |= {operator} if is_complex else set()

    def _follow_products(self, operator: Any, args: tuple[Any, ...], made: list[Tensor], view: bool) -> None:
        given: Any = args[0] if args else None
        product = isinstance(given, Tensor) and given in self.products
        if product and operator in (aten.sum, aten.mean):
            self.summed += given.numel()
        if operator is aten.mul or (view and product):
            for tensor in made:
                self.products[tensor] = True

    def unknown(self, counted: set[Any], macs: int) -> list[str]:
        """What may multiply and has no right formula, with the reason."""
        found = [f"{operator} (no formula)" for operator in self.not_free - counted]
        found += [f"{operator} of complex numbers" for operator in self.complex & counted]
        if self.summed > TOLERANCE * macs:
            found.append(f"{self.summed:,} elementwise products that are then summed")
        return sorted(found)


# ---- both ------------------------------------------------------------------------------------------------------------


@contextmanager
def _countable() -> Iterator[None]:
    """The attention fast path off, for it is one native call that no counter sees into; the tracer's messages off."""
    was, tracer = torch.backends.mha.get_fastpath_enabled(), logging.getLogger("fvcore.nn.jit_analysis")
    level = tracer.level
    torch.backends.mha.set_fastpath_enabled(False)
    tracer.setLevel(logging.ERROR)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(was)
        tracer.setLevel(level)
