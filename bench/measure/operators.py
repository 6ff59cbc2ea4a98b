"""Multiply-adds of single operators that one of the two counters lacks or gets wrong, and which operators have none.

Definition: one multiply-add counts as one, in the order in which torch carries the product out. fvcore is given nodes
of a trace, torch's counter the shapes of a call (its figure is doubled here, for it counts floating-point operations).
Both leave out elementwise products: scaling, gating, normalizing and resizing.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import prod
from typing import Any

import torch
from fvcore.nn.jit_handles import get_shape
from torch.utils.flop_counter import FlopCounterMode

Shape = Sequence[int]
Handle = Callable[[list[Any], list[Any]], int | Counter[str]]


aten = torch.ops.aten

# ---- nodes of a trace, for fvcore ------------------------------------------------------------------------------------


def einsum_macs(equation: str, shapes: Iterable[Shape], path: Sequence[int] | None = None) -> int:
    """Multiply-adds of `torch.einsum`, from left to right unless a path names other pairs of operands.

    ATen is asked: it carries the equation out on tensors without memory, and torch counts the products. One over which
    nothing is summed is elementwise and costs nothing.
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
    """A list of integers in a trace, constant or put together there; nothing for None."""
    constant = value.toIValue()
    return list(constant) if constant else [number.toIValue() for number in value.node().inputs()]


def _product(left: int) -> Handle:
    """A matrix product whose left operand is the input of this number: each output sums over its last side."""
    return lambda inputs, outputs: prod(get_shape(outputs[0])) * get_shape(inputs[left])[-1]


def _summed_product(inputs: list[Any], outputs: list[Any]) -> int:
    """`addbmm`: (B, N, K) with (B, K, M), summed over B and K."""
    batch, _, inner = get_shape(inputs[1])
    return prod(get_shape(outputs[0])) * batch * inner


def _attention(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """q @ k^T and its product with v: (..., L, E), (..., S, E), (..., S, V); heads and batches may broadcast."""
    query, key, value = (get_shape(tensor) for tensor in inputs[:3])
    rows = prod(get_shape(outputs[0])[:-1])
    return Counter({"attention": rows * key[-2] * (query[-1] + value[-1])})


def _convolution(name: str) -> Handle:
    """Each output sums over its group's channels and the kernel: weights are (out, in / groups, *kernel)."""
    return lambda inputs, outputs: Counter({name: prod(get_shape(outputs[0])) * prod(get_shape(inputs[1])[1:])})


def _recurrent(inputs: list[Any], outputs: list[Any]) -> int:
    """Every step (..., features) meets every weight matrix; the weights are the last list among the inputs."""
    weights = [v.node() for v in inputs if v.node().kind() == "prim::ListConstruct"][-1].inputs()
    shapes = [get_shape(weight) for weight in weights]
    return prod(get_shape(inputs[0])[:-1]) * sum(prod(shape) for shape in shapes if len(shape) == 2)


def _cell(inputs: list[Any], outputs: list[Any]) -> int:
    """One step of it, with the weights for the input and for the state."""
    return prod(get_shape(inputs[0])[:-1]) * sum(prod(get_shape(weight)) for weight in inputs[2:4])


def _form(weight: Shape) -> int:
    """(x^T A) y, for one A of `weight` (out, I, J)."""
    _, i, j = weight
    return i * j + j


HANDLES: dict[str, Handle] = {
    "aten::scaled_dot_product_attention": _attention,
    "aten::_convolution_mode": _convolution("conv"),  # padding given as text
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
    """What torch's own registry lacks, from the shapes of a call; an extension's operators only once it is imported."""
    found: dict[Any, Callable[..., int]] = {
        **dict.fromkeys(
            (aten.addmm_, aten.baddbmm_, aten.addbmm, aten.addbmm_),
            lambda _, left, right, *__, **___: 2 * prod(left) * right[-1],
        ),
        **dict.fromkeys((aten.addmv, aten.addmv_), lambda _, matrix, *__, **___: 2 * prod(matrix)),
        **dict.fromkeys((aten.mv, aten.dot, aten.vdot), lambda left, *_, **__: 2 * prod(left)),
        aten._trilinear: lambda _, weight, *__, out_shape, **___: 2 * prod(out_shape) * _form(weight),
        aten.mkldnn_rnn_layer: lambda steps, of_input, of_state, *_, **__: (
            2 * prod(steps[:-1]) * (prod(of_input) + prod(of_state))
        ),
    }
    if hasattr(torch.ops.torchvision, "deform_conv2d"):
        deformed = lambda _, weight, *__, out_shape, **___: 2 * prod(out_shape) * prod(weight[1:])  # noqa: E731
        found[torch.ops.torchvision.deform_conv2d] = deformed
    return found


# ---- what has no multiply-adds ---------------------------------------------------------------------------------------

# torch tags what works element by element; these of its operators move, select, add up, normalize, pool or resize.
_FREE = re.compile(
    r".*norm.*|.*softmax|.*_(un)?pool[123]d.*|upsample.*|grid_sampler.*|affine_grid_generator"
    r"|.*_pad.*|.*copy|clone|contiguous|.*view.*|lift.*|alias|detach|resize.*|set|complex|polar|real|imag"
    r"|empty.*|new_.*|zero.*|ones.*|full.*|fill.*|arange|linspace|eye|scalar_tensor|tril|triu|diag.*"
    r"|rand.*|uniform|bernoulli|.*dropout"
    r"|cat|stack|repeat.*|roll|flip|rot90|.*split.*|chunk|.*squeeze|transpose|permute|.*shuffle"
    r"|im2col|col2im|unfold.*|.*index.*|.*select.*|gather|.*scatter.*|.*embedding.*|take.*|masked_.*|where"
    r"|topk|sort|argsort|kthvalue|.*median|nonzero.*|.*unique.*|bucketize|searchsorted|bincount|histc"
    r"|(nan)?sum|mean|prod|a?max|a?min|aminmax|(std|var)(_mean)?|logsumexp|(log)?cum(sum|prod|max|min|sumexp)"
    r"|prelu.*|.*glu|hardswish|hardsigmoid|rrelu.*|log_sigmoid.*|cross"
)


def free(operator: Any) -> bool:
    """Whether an operator (an OpOverload) does no multiply-adds by the definition above; False for an extension's."""
    if operator.namespace != "aten":
        return False
    return torch.Tag.pointwise in operator.tags or bool(_FREE.fullmatch(operator.overloadpacket.__name__.strip("_")))
