"""The two counters of multiply-adds, corrected where they are known to miss some.

Definition: one multiply-add counts as one, in the order in which torch evaluates a product. Elementwise products
(scaling, gating, normalizing and resizing) are left out.

fvcore, which papers use, follows a trace. Custom autograd functions, activation checkpointing (also a custom function)
and outputs other than tensors would stop or distort the trace, so functions are replaced by plain calls and outputs by
a tuple of their tensors. torch's FlopCounterMode sees each operator as it is dispatched; fused attention is run as
plain products, which it counts. For both, attention's fast path is disabled. Neither can count a kernel without a
formula; torch's result names these. Operators that one of the counters lacks or gets wrong have formulas here: for
fvcore from the nodes of a trace, for torch from the shapes of a call (doubled, because it counts floating-point
operations).
"""

import logging
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields, is_dataclass
from functools import cache, partialmethod
from math import prod
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from fvcore.nn import FlopCountAnalysis
from fvcore.nn.jit_handles import get_shape
from torch import Tensor, nn
from torch._C import DispatchKey
from torch._ops import HigherOrderOperator
from torch.autograd import Function
from torch.autograd.function import FunctionCtx
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from bench.measure.products import SummedProducts
from bench.quantities import Count

Shape = Sequence[int]
See = Callable[[Any, Any, Any, Any], None]  # an operator (an OpOverload), its arguments, its options, its output
Handle = Callable[[list[Any], list[Any]], int | Counter[str]]


aten = torch.ops.aten
TOLERANCE = 0.02  # limit for elementwise products that are then summed, as a share of all multiply-adds
logging.getLogger("fvcore.nn.jit_analysis").setLevel(logging.ERROR)  # its warnings are also in its result

# ---- nodes of a trace, for fvcore ------------------------------------------------------------------------------------


def einsum_macs(equation: str, shapes: Iterable[Shape], path: Sequence[int] | None = None) -> int:
    """Multiply-adds of `torch.einsum`, from left to right unless `path` gives another order of operands.

    ATen evaluates the equation on meta tensors, and torch counts the products. A product without a summed index is
    elementwise and costs nothing.
    """
    with FlopCounterMode(display=False) as counter:
        torch.ops.aten.einsum(equation, [torch.empty(shape, device="meta") for shape in shapes], path=path or None)
    return int(counter.get_total_flops()) // 2


def _einsum(inputs: list[Any], outputs: list[Any]) -> int:
    shapes = [get_shape(operand) for operand in inputs[1].node().inputs()]
    return einsum_macs(inputs[0].toIValue(), shapes, _numbers(inputs[2]) if len(inputs) > 2 else None)


def _tensordot(inputs: list[Any], outputs: list[Any]) -> int:
    sides = get_shape(inputs[0])
    return prod(get_shape(outputs[0])) * prod(sides[dim] for dim in _numbers(inputs[2]))


def _numbers(value: Any) -> list[int]:
    """A list of integers in a trace, constant or constructed; empty for None."""
    constant = value.toIValue()
    return list(constant) if constant else [number.toIValue() for number in value.node().inputs()]


def _product(left: int) -> Handle:
    """A matrix product whose left operand is input number `left`: each output sums over its last dimension."""
    return lambda inputs, outputs: prod(get_shape(outputs[0])) * get_shape(inputs[left])[-1]


def _summed_product(inputs: list[Any], outputs: list[Any]) -> int:
    """`addbmm`: (B, N, K) with (B, K, M), summed over B and K."""
    batch, _, inner = get_shape(inputs[1])
    return prod(get_shape(outputs[0])) * batch * inner


def _attention(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """q @ k^T and its product with v: (..., L, E), (..., S, E), (..., S, V); heads and batches may broadcast."""
    query, key, value = (get_shape(tensor) for tensor in inputs[:3])
    return Counter({"attention": prod(get_shape(outputs[0])[:-1]) * key[-2] * (query[-1] + value[-1])})


def _convolution(name: str) -> Handle:
    """Each output sums over its group's channels and the kernel: weights are (out, in / groups, *kernel)."""
    return lambda inputs, outputs: Counter({name: prod(get_shape(outputs[0])) * prod(get_shape(inputs[1])[1:])})


def _recurrent(inputs: list[Any], outputs: list[Any]) -> int:
    """Every step (..., features) is multiplied by every weight matrix.

    The weights are the last list among the inputs.
    """
    weights = [v.node() for v in inputs if v.node().kind() == "prim::ListConstruct"][-1].inputs()
    shapes = [get_shape(weight) for weight in weights]
    return prod(get_shape(inputs[0])[:-1]) * sum(prod(shape) for shape in shapes if len(shape) == 2)


def _cell(inputs: list[Any], outputs: list[Any]) -> int:
    """One step of a recurrent layer, with the weights for the input and for the state."""
    return prod(get_shape(inputs[0])[:-1]) * sum(prod(get_shape(weight)) for weight in inputs[2:4])


def _form(weight: Shape) -> int:
    """(x^T A) y, for one A of `weight` (out, I, J)."""
    return (weight[1] + 1) * weight[2]


HANDLES: dict[str, Handle] = {
    "aten::scaled_dot_product_attention": _attention,
    "aten::_convolution_mode": _convolution("conv"),  # padding given as a string
    "torchvision::deform_conv2d": _convolution("deform_conv2d"),
    "aten::einsum": _einsum,
    "aten::tensordot": _tensordot,
    "aten::bilinear": lambda inputs, outputs: prod(get_shape(outputs[0])) * _form(get_shape(inputs[2])),
    **{f"aten::{name}": _product(0) for name in ("matmul", "inner", "mv")},
    **{f"aten::{name}{place}": _product(1) for name in ("addmm", "baddbmm", "addmv") for place in ("", "_")},
    **{f"aten::addbmm{place}": _summed_product for place in ("", "_")},
    **{f"aten::{name}": lambda inputs, outputs: prod(get_shape(inputs[0])) for name in ("dot", "vdot")},
    **{f"aten::{name}": _recurrent for name in ("lstm", "gru", "rnn_tanh", "rnn_relu")},
    **{f"aten::{name}_cell": _cell for name in ("lstm", "gru", "rnn_tanh", "rnn_relu")},
}


# ---- calls, for torch's counter --------------------------------------------------------------------------------------


def flop_formulas() -> dict[Any, Callable[..., int]]:
    """Formulas missing from torch's registry, from the shapes of a call. Extensions must be imported before."""
    added = (aten.addmm_, aten.baddbmm_, aten.addbmm, aten.addbmm_)
    found: dict[Any, Callable[..., int]] = {
        **dict.fromkeys(added, lambda _, left, right, *__, **___: 2 * prod(left) * right[-1]),
        **dict.fromkeys((aten.addmv, aten.addmv_), lambda _, matrix, *__, **___: 2 * prod(matrix)),
        **dict.fromkeys((aten.mv, aten.dot, aten.vdot), lambda left, *_, **__: 2 * prod(left)),
        aten._trilinear: lambda _, weight, *__, out_shape, **___: 2 * prod(out_shape) * _form(weight),
        aten.mkldnn_rnn_layer: lambda x, left, right, *_, **__: 2 * prod(x[:-1]) * (prod(left) + prod(right)),
    }
    if hasattr(torch.ops.torchvision, "deform_conv2d"):
        deformed = lambda _, weight, *__, out_shape, **___: 2 * prod(out_shape) * prod(weight[1:])  # noqa: E731
        found[torch.ops.torchvision.deform_conv2d] = deformed
    return found


# ---- what has no multiply-adds ---------------------------------------------------------------------------------------

FREE = Path(__file__).with_name("free_operators.txt").read_text()
_FREE = re.compile("|".join(line for line in FREE.splitlines() if not line.startswith("#")))


@cache
def free(operator: Any) -> bool:
    """Whether an operator (an OpOverload) does no multiply-adds by the definition above; False for extensions.

    Torch tags some overloads of an operator as elementwise and forgets others, such as those in place.
    """
    name = operator.overloadpacket.__name__
    packets = [operator.overloadpacket, getattr(aten, name.removesuffix("_"), operator.overloadpacket)]
    overloads = (getattr(packet, overload) for packet in packets for overload in packet.overloads())
    elementwise = any(torch.Tag.pointwise in overload.tags for overload in overloads)
    return operator.namespace == "aten" and (elementwise or bool(_FREE.fullmatch(name.strip("_"))))


# ---- fvcore ----------------------------------------------------------------------------------------------------------


def by_fvcore(network: nn.Module, image: Tensor) -> Count:
    """fvcore's count of one call. Raises what the network or the tracer raises.

    Custom autograd functions are called without autograd, so that the tracer can follow them. A name that was bound to
    `TheFunction.apply` beforehand is not replaced; the tracer then lists the function as uncounted.
    """
    with _uncompiled(network) as original:
        return _traced(original, image)


def _traced(network: nn.Module, image: Tensor) -> Count:
    # The tracer accepts only tensors and tuples of tensors as outputs. None leaves an output unchanged.
    flat = network.register_forward_hook(
        lambda module, inputs, output: None if isinstance(output, Tensor) else tuple(tensors(output))
    )
    # The tracer keeps a stack of modules by hooks. It must also leave a module whose exception its caller catches.
    hook = partialmethod(nn.Module.register_forward_hook, always_call=True)
    with (
        flat, as_written(), patch.object(Function, "apply", classmethod(_forward_alone)),
        patch.object(nn.Module, "register_forward_hook", hook), torch.no_grad(),
    ):  # fmt: skip
        analysis = FlopCountAnalysis(network, image).set_op_handle(**HANDLES)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        by_operator = {name: round(macs) for name, macs in sorted(analysis.by_operator().items())}
        uncounted = dict(sorted(analysis.unsupported_ops().items()))
        return Count(counter="fvcore", macs=sum(by_operator.values()), by_operator=by_operator, uncounted=uncounted)


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
    """Replaces `Function.apply`: the forward pass, with a context if it takes one."""
    context = FunctionCtx()
    context.needs_input_grad = (False,) * len(args)  # type: ignore[attr-defined]
    takes_context = function.setup_context is Function.setup_context
    with torch.no_grad():
        return function.forward(*([context] if takes_context else []), *args, **kwargs)


# ---- torch -----------------------------------------------------------------------------------------------------------


def by_torch(network: nn.Module, image: Tensor) -> Count:
    """Half of FlopCounterMode's count of one call.

    `missed` names operators that may multiply and have no correct formula.
    """
    met = _Uncounted()
    with counting(met.see) as counter:
        network(image)
    flops = counter.get_flop_counts().get("Global", {})
    by_operator = {operator.__name__.split(".")[0]: count // 2 for operator, count in flops.items()}
    macs, uncounted = sum(by_operator.values()), {str(op): n for op, n in met.calls.items() if op not in flops}
    return Count(
        counter="torch", macs=macs, by_operator=by_operator, uncounted=dict(sorted(uncounted.items())),
        missed=met.unknown(set(flops), macs),
    )  # fmt: skip


@contextmanager
def counting(see: See) -> Iterator[FlopCounterMode]:
    """torch's counter with the settings described above. `see` is called with each operator before it is counted."""
    counter = FlopCounterMode(display=False, custom_mapping=flop_formulas())
    with as_written(), sdpa_kernel(SDPBackend.MATH), torch.no_grad(), counter, _Operators(see):
        yield counter


class _Operators(TorchDispatchMode):
    """Observes each dispatched operator. Composite operators, which occur in inference mode only, are decomposed.

    Operators of higher order, which call functions, are carried out as their plain definition.
    """

    supports_higher_order_operators = True

    def __init__(self, see: See) -> None:
        super().__init__()
        self.see = see

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if isinstance(func, HigherOrderOperator):
            with self:
                if func is torch.ops.higher_order.cond:
                    return _cond(*args, **kwargs)
                definition = func.py_kernels[DispatchKey.CompositeExplicitAutograd]
                with patch.dict(definition.__globals__, _get_current_dispatch_mode=lambda: None):  # some refuse a mode
                    return definition(*args, **kwargs)
        composed = torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")
        if composed and not func.is_view:
            with self:
                return func.decompose(*args, **kwargs)
        output = func(*args, **kwargs)
        self.see(func, args, kwargs, output)
        return output


class _Uncounted:
    """Counts the calls of each operator that writes a floating-point or quantized tensor. Views do no work.

    Of operators that may multiply, also those of whole numbers are noted, which is how quantized layers compute.
    """

    def __init__(self) -> None:
        self.calls: Counter[Any] = Counter()
        self.not_free: set[Any] = set()
        self.complex: set[Any] = set()
        self.products = SummedProducts()

    def see(self, func: Any, args: Any, kwargs: Any, output: Any) -> None:
        """Record one call of the operator `func`."""
        if func.is_view:
            return
        made, operator, is_free = list(tensors(output)), func.overloadpacket, free(func)
        if not made and func._schema.is_mutable:  # it writes into its arguments
            made = list(tensors((args, kwargs)))
        is_complex, is_real = any(map(torch.is_complex, made)), any(map(torch.is_floating_point, made))
        if is_complex or is_real or any(tensor.is_quantized for tensor in made) or (made and not is_free):
            self.calls[operator] += 1
            self.not_free |= set() if is_free else {operator}
            self.complex |= {operator} if is_complex else set()
        if is_real or is_complex:
            given = [one for one in tensors((args, kwargs)) if one.is_floating_point() or one.is_complex()]
            self.products.see(func, given, made, is_free)

    def unknown(self, counted: set[Any], macs: int) -> tuple[str, ...]:
        """Operators that may multiply and have no correct formula, with the reason."""
        found = [f"{operator} (no formula)" for operator in self.not_free - counted]
        found += [f"{operator} of complex numbers" for operator in self.complex & counted]
        if self.products.count > TOLERANCE * macs:
            found.append(f"{self.products.count:,} elementwise products that are then summed")
        return tuple(sorted(found))


# ---- both ------------------------------------------------------------------------------------------------------------


@contextmanager
def as_written() -> Iterator[None]:
    """Run a network as it is written, operator by operator: nothing compiled, and without attention's fast path.

    The fast path is a single native call, which the counters cannot follow.
    """
    was = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with patch.object(torch, "cond", _cond), ExitStack() as settings:
            if "torch._dynamo" in sys.modules:  # else nothing is compiled, and importing it takes seconds
                settings.enter_context(torch.compiler.set_stance("force_eager"))
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(was)


@contextmanager
def _uncompiled(network: nn.Module) -> Iterator[nn.Module]:
    """The network with the modules that `torch.compile` took, in place of what it made of them."""
    with ExitStack() as replaced:
        for module in list(network.modules()):
            for name, child in module._modules.items():
                if child is not None and child is not _original(child):
                    replaced.enter_context(patch.dict(module._modules, {name: _original(child)}))
            if module._compiled_call_impl is not None:  # by `module.compile()`
                replaced.enter_context(patch.object(module, "_compiled_call_impl", None))
        yield _original(network)


def _original(module: nn.Module) -> nn.Module:
    while type(module).__name__ == "OptimizedModule":
        module = module._orig_mod  # type: ignore[assignment]
    return module


def _cond(pred: Any, true_fn: Callable[..., Any], false_fn: Callable[..., Any], operands: Sequence[Any] = ()) -> Any:
    """Replaces `torch.cond`, which compiles its branches: the branch that is taken."""
    return (true_fn if pred else false_fn)(*operands)
