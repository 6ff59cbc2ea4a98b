"""Multiply-adds of single operators that one of the two counters lacks or gets wrong, and which operators have none.

Definition: one multiply-add counts as one, in the order in which torch carries the product out. fvcore is given nodes
of a trace, torch's counter the shapes of a call (its figure is doubled here, for it counts floating-point operations).
Both leave out elementwise products: scaling, gating, normalising and resizing.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import prod
from typing import Any

import torch
from fvcore.nn.jit_handles import get_shape

Shape = Sequence[int]
Handle = Callable[[list[Any], list[Any]], int | Counter[str]]


# ---- einsum ----------------------------------------------------------------------------------------------------------


def einsum_macs(equation: str, shapes: Iterable[Shape], path: Sequence[int] | None = None) -> int:
    """Multiply-adds of `torch.einsum`: two operands at a time, from left to right unless a path names others.

    An index that only one operand has is summed before; a product over which nothing is summed is elementwise and costs
    nothing; a side of 1 is no index. `path` holds pairs of positions in the list of what is left, to whose end each
    result is appended. Source: ATen's `einsum`, which does this.
    """
    left, _, output = equation.replace(" ", "").partition("->")
    terms = [_sizes(term, shape) for term, shape in zip(left.split(","), shapes, strict=True)]
    kept = _indices(output) if "->" in equation else _implicit(left)
    steps, macs = list(path or []), 0
    while len(terms) > 1:
        first, second = sorted((steps.pop(0), steps.pop(0)) if steps else (0, 1))
        b, a = terms.pop(second), terms.pop(first)
        still = kept.union(*terms)
        a, b = ({i: n for i, n in own.items() if i in other or i in still} for own, other in ((a, b), (b, a)))
        result = {i: n for i, n in {**a, **b}.items() if i in still}
        if len(result) < len(both := {**a, **b}):
            macs += prod(both.values())
        terms.insert(len(terms) if path else 0, result)
    return macs


def _indices(term: str) -> set[str]:
    """The letters of a term; the dimensions an ellipsis stands for are `.1`, `.2`, ... counted from the right."""
    return set(term.replace(".", "")) | ({f".{n}" for n in range(1, 65)} if "..." in term else set())


def _implicit(left: str) -> set[str]:
    """Without an arrow the output has the ellipsis and every letter that occurs once."""
    letters = Counter(left.replace(",", "").replace(".", ""))
    return {letter for letter, times in letters.items() if times == 1} | (_indices("...") if "..." in left else set())


def _sizes(term: str, shape: Shape) -> dict[str, int]:
    """The size of each index of an operand, without those of size 1."""
    before, dots, after = term.partition("...")
    hidden = len(shape) - len(before) - len(after) if dots else 0
    indices = [*before, *(f".{n}" for n in range(hidden, 0, -1)), *after]
    return {index: size for index, size in zip(indices, shape, strict=True) if size != 1}


# ---- nodes of a trace, for fvcore ------------------------------------------------------------------------------------


def _product(left: int) -> Handle:
    """A matrix product whose left operand is the input of this number: each output sums over its last side."""
    return lambda inputs, outputs: prod(get_shape(outputs[0])) * get_shape(inputs[left])[-1]


def _summed_product(inputs: list[Any], outputs: list[Any]) -> int:
    """`addbmm`: (B, N, K) with (B, K, M), summed over B and K."""
    batch, _, inner = get_shape(inputs[1])
    return prod(get_shape(outputs[0])) * batch * inner


def _dot(inputs: list[Any], outputs: list[Any]) -> int:
    return prod(get_shape(inputs[0]))


def _tensordot(inputs: list[Any], outputs: list[Any]) -> int:
    sides = get_shape(inputs[0])
    return prod(get_shape(outputs[0])) * prod(sides[dim] for dim in _numbers(inputs[2]))


def _einsum(inputs: list[Any], outputs: list[Any]) -> int:
    shapes = [get_shape(operand) for operand in inputs[1].node().inputs()]
    return einsum_macs(inputs[0].toIValue(), shapes, _numbers(inputs[2]) if len(inputs) > 2 else None)


def _numbers(value: Any) -> list[int]:
    """A list of integers in a trace, constant or put together there; nothing for None."""
    constant = value.toIValue()
    return list(constant) if constant else [number.toIValue() for number in value.node().inputs()]


def _attention(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """q @ k^T and its product with v: (..., L, E), (..., S, E), (..., S, V); heads and batches may broadcast."""
    query, key, value = (get_shape(tensor) for tensor in inputs[:3])
    rows = prod(get_shape(outputs[0])[:-1])
    return Counter({"attention": rows * key[-2] * (query[-1] + value[-1])})


def _convolution(name: str) -> Handle:
    """Each output sums over its group's channels and the kernel: weights are (out, in / groups, *kernel)."""

    def handle(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
        return Counter({name: prod(get_shape(outputs[0])) * prod(get_shape(inputs[1])[1:])})

    return handle


def _bilinear(inputs: list[Any], outputs: list[Any]) -> int:
    return prod(get_shape(outputs[0])) * _form(get_shape(inputs[2]))


def _form(weight: Shape) -> int:
    """(x^T A) y, for one A of `weight` (out, I, J)."""
    _, i, j = weight
    return i * j + j


def _recurrent(inputs: list[Any], outputs: list[Any]) -> int:
    """Every step (..., features) meets every weight matrix; the weights are the last list among the inputs."""
    weights = [v.node() for v in inputs if v.node().kind() == "prim::ListConstruct"][-1].inputs()
    shapes = [get_shape(weight) for weight in weights]
    return prod(get_shape(inputs[0])[:-1]) * sum(prod(shape) for shape in shapes if len(shape) == 2)


def _cell(inputs: list[Any], outputs: list[Any]) -> int:
    """One step of it, with the weights for the input and for the state."""
    return prod(get_shape(inputs[0])[:-1]) * sum(prod(get_shape(weight)) for weight in inputs[2:4])


HANDLES: dict[str, Handle] = {
    "aten::scaled_dot_product_attention": _attention,
    "aten::_convolution_mode": _convolution("conv"),  # padding given as text
    "torchvision::deform_conv2d": _convolution("deform_conv2d"),
    "aten::einsum": _einsum,
    "aten::tensordot": _tensordot,
    "aten::bilinear": _bilinear,
    **{f"aten::{name}": _product(0) for name in ("matmul", "inner", "mv")},
    **{f"aten::{name}{place}": _product(1) for name in ("addmm", "baddbmm", "addmv") for place in ("", "_")},
    **{f"aten::addbmm{place}": _summed_product for place in ("", "_")},
    **{f"aten::{name}": _dot for name in ("dot", "vdot")},
    **{f"aten::{name}": _recurrent for name in ("lstm", "gru", "rnn_tanh", "rnn_relu")},
    **{f"aten::{name}_cell": _cell for name in ("lstm", "gru", "rnn_tanh", "rnn_relu")},
}


# ---- calls, for torch's counter --------------------------------------------------------------------------------------

aten = torch.ops.aten


def _added_product(_: Shape, left: Shape, right: Shape, *__: Any, **___: Any) -> int:
    return 2 * prod(left) * right[-1]


def _added_vector(_: Shape, matrix: Shape, *__: Any, **___: Any) -> int:
    return 2 * prod(matrix)


def _vector(left: Shape, *_: Any, **__: Any) -> int:
    return 2 * prod(left)


def _trilinear(_: Shape, weight: Shape, *__: Any, out_shape: Shape, **___: Any) -> int:
    return 2 * prod(out_shape) * _form(weight)


def _onednn_recurrent(steps: Shape, of_input: Shape, of_state: Shape, *_: Any, **__: Any) -> int:
    return 2 * prod(steps[:-1]) * (prod(of_input) + prod(of_state))


def _deformed(_: Shape, weight: Shape, *__: Any, out_shape: Shape, **___: Any) -> int:
    return 2 * prod(out_shape) * prod(weight[1:])


def flop_formulas() -> dict[Any, Callable[..., int]]:
    """What torch's own registry lacks; an extension's operators only once it is imported."""
    found: dict[Any, Callable[..., int]] = {
        **dict.fromkeys((aten.addmm_, aten.baddbmm_, aten.addbmm, aten.addbmm_), _added_product),
        **dict.fromkeys((aten.addmv, aten.addmv_), _added_vector),
        **dict.fromkeys((aten.mv, aten.dot, aten.vdot), _vector),
        aten._trilinear: _trilinear,
        aten.mkldnn_rnn_layer: _onednn_recurrent,
    }
    if hasattr(torch.ops.torchvision, "deform_conv2d"):
        found[torch.ops.torchvision.deform_conv2d] = _deformed
    return found


# ---- what has no multiply-adds ---------------------------------------------------------------------------------------

# torch tags what works element by element; these of its operators move, select, add up, normalise, pool or resize.
_FREE = re.compile(
    "|".join(
        [
            r".*norm.*|.*softmax|.*_(un)?pool[123]d.*|upsample.*|grid_sampler.*|affine_grid_generator",
            r".*_pad.*|.*copy|clone|contiguous|.*view.*|lift.*|alias|detach|resize.*|set|complex|polar|real|imag",
            r"empty.*|new_.*|zero.*|ones.*|full.*|fill.*|arange|linspace|eye|scalar_tensor|tril|triu|diag.*",
            r"rand.*|uniform|bernoulli|.*dropout",
            r"cat|stack|repeat.*|roll|flip|rot90|.*split.*|chunk|.*squeeze|transpose|permute|.*shuffle",
            r"im2col|col2im|unfold.*|.*index.*|.*select.*|gather|.*scatter.*|.*embedding.*|take.*|masked_.*|where",
            r"topk|sort|argsort|kthvalue|.*median|nonzero.*|.*unique.*|bucketize|searchsorted|bincount|histc",
            r"(nan)?sum|mean|prod|a?max|a?min|aminmax|(std|var)(_mean)?|logsumexp|(log)?cum(sum|prod|max|min|sumexp)",
            r"prelu.*|.*glu|hardswish|hardsigmoid|rrelu.*|log_sigmoid.*|cross",
        ]
    )
)


def free(operator: Any) -> bool:
    """Whether an operator (an OpOverload) does no multiply-adds by the definition above; False for a stranger's."""
    if operator.namespace != "aten":
        return False
    return torch.Tag.pointwise in operator.tags or bool(_FREE.fullmatch(operator.overloadpacket.__name__.strip("_")))
