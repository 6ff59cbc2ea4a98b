"""Networks built to fool the counters: both count them right, or the result says that it is not to be trusted.

Multiply-adds are by hand. None means that the network must be marked.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch._higher_order_ops.map import map as map_
from torch._higher_order_ops.scan import scan
from torch._higher_order_ops.while_loop import while_loop
from torch.nn import functional as F
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch.utils.checkpoint import checkpoint

from bench.measure.cost import Call, cost
from bench.measure.counters import by_fvcore, by_torch, tensors
from bench.quantities import CostSpec

PIXELS = 8 * 8
CONVOLUTION = PIXELS * 4 * 3 * 9  # 3 to 4 channels, 3x3, zeros around an image of 8x8


class One(nn.Module):
    """A convolution, and what a function makes of it and of the image."""

    def __init__(self, then: Callable[["One", Tensor], Any], **modules: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.bare = nn.Parameter(torch.rand(4, 3, 3, 3))
        self.then = then
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x: Tensor) -> Any:
        return self.then(self, x)


@dataclass
class Outputs:
    mask: Tensor
    aside: list[Tensor | None]


class Plain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        if not any(ctx.needs_input_grad):
            ctx.mark_non_differentiable(x)
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, padding=1)


class Modern(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(x, weight, padding=1)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs)


captured = Plain.apply  # as swish(x) = _Swish.apply often is


@torch.library.custom_op("bench_tests::hidden", mutates_args=())
def hidden(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(x, weight, padding=1)


@torch.library.custom_op("bench_tests::hidden_into", mutates_args=("out",))
def hidden_into(x: Tensor, weight: Tensor, out: Tensor) -> None:
    out.copy_(F.conv2d(x, weight, padding=1))


ROWS = torch.rand(1, 1, 128, 8)
FLEX = 2 * 128 * 128 * 8


def flex(network: One, x: Tensor) -> Tensor:
    return flex_attention(ROWS, ROWS, ROWS)


def masked_flex(network: One, x: Tensor) -> Tensor:
    """Dense, as it is run without a compiler, and as fused attention with a mask is counted."""
    causal = create_block_mask(lambda b, h, query, key: query >= key, None, None, 128, 128, device="cpu")
    return flex_attention(ROWS, ROWS, ROWS, block_mask=causal)


def looped(network: One, x: Tensor) -> Tensor:
    def step(n: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return n + 1, network.conv(y)[:, :3].clone(memory_format=torch.contiguous_format)

    return while_loop(lambda n, y: n < 3, step, (torch.zeros((), dtype=torch.long), x))[1]


def scanned(network: One, x: Tensor) -> Tensor:
    def step(carried: Tensor, one: Tensor) -> tuple[Tensor, Tensor]:
        made = carried @ one
        return made, made.clone()

    return scan(step, torch.eye(8), x[0], dim=0)[1]


HIGHER = {
    "FlexAttention": (flex, FLEX),
    "FlexAttention with a block mask": (masked_flex, FLEX),
    "while_loop": (looped, 3 * CONVOLUTION),
    "scan": (scanned, 3 * 8 * 8 * 8),
    "map": (lambda network, x: map_(lambda one: one @ one, x[0]), 3 * 8 * 8 * 8),
}


class Tires(nn.Module):
    """Does less work at each later call."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return sum(self.conv(x) for _ in range(max(1, 5 - int(self.calls))))


def rows(x: Tensor) -> Tensor:
    """The image as 24 rows of 8."""
    return x.flatten(1, 2)


def attend(network: One, x: Tensor) -> Tensor:
    return network.attention(rows(x), rows(x), rows(x))[0]


def shaped(network: One, x: Tensor) -> Tensor:
    found = [network.conv(x) for _ in range(x.shape[-1] // 4)]
    return torch.cat([*found, network.conv(x)] if x.shape[2] > 4 else found)


def into(network: One, x: Tensor) -> Tensor:
    out = torch.empty(1, 4, 8, 8)
    hidden_into(x, network.bare, out)
    return network.conv(x) + out


def disguised(network: One, x: Tensor) -> Tensor:
    return (rows(x)[:, :, None] * rows(x)[:, None]).sum(-1)


def shared() -> nn.Module:
    conv = nn.Conv2d(3, 4, 1)
    return One(lambda n, x: n.first(x) + n.second(x), first=conv, second=conv)


def scripted() -> nn.Module:
    return torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()))


def layer() -> nn.Module:
    return nn.TransformerEncoderLayer(8, nhead=2, dim_feedforward=16, batch_first=True)


ATTENTION = 2 * 24 * 24 * 8
LAYER = 24 * (4 * 8 * 8 + 2 * 8 * 16) + ATTENTION
V = torch.rand(8)

Table = dict[str, tuple[Callable[[], nn.Module], int | None]]

ATTENTIONS: Table = {
    "attention": (lambda: One(lambda n, x: F.scaled_dot_product_attention(x, x, x)), 3 * 2 * 8 * 8 * 8),
    "attention that broadcasts": (
        lambda: One(lambda n, x: F.scaled_dot_product_attention(x[:, :1], x, x)),
        3 * 2 * 8 * 8 * 8,
    ),
    "grouped queries": (
        lambda: One(lambda n, x: F.scaled_dot_product_attention(x.repeat(1, 2, 1, 1), x, x, enable_gqa=True)),
        6 * 2 * 8 * 8 * 8,
    ),
    "causal": (lambda: One(lambda n, x: F.scaled_dot_product_attention(x, x, x, is_causal=True)), 3 * 2 * 8 * 8 * 8),
    "MultiheadAttention": (
        lambda: One(attend, attention=nn.MultiheadAttention(8, 2, batch_first=True)),
        24 * 4 * 8 * 8 + ATTENTION,
    ),
    "TransformerEncoder": (
        lambda: One(lambda n, x: n.layers(rows(x)), layers=nn.TransformerEncoder(layer(), 2)),
        2 * LAYER,
    ),
    "TransformerEncoder with padding": (
        lambda: One(
            lambda n, x: n.layers(rows(x), src_key_padding_mask=rows(x)[..., 0] > 2),
            layers=nn.TransformerEncoder(layer(), 2),
        ),
        2 * LAYER,
    ),
    "scripted TransformerEncoderLayer": (
        lambda: One(lambda n, x: n.layer(rows(x)), layer=torch.jit.script(layer())), None,
    ),
}  # fmt: skip

CONVOLUTIONS: Table = {
    "padding='same'": (lambda: One(lambda n, x: F.conv2d(x, n.bare, padding="same")), CONVOLUTION),
    "padding='same' and strides of 'valid'": (
        lambda: One(lambda n, x: F.conv2d(x, n.bare, stride=2, padding="valid")),
        3 * 3 * 4 * 27,
    ),
    "functional": (lambda: One(lambda n, x: F.conv2d(x, n.bare, padding=1)), CONVOLUTION),
    "one image without a batch": (lambda: One(lambda n, x: n.conv(x[0])), CONVOLUTION),
    "1-D": (lambda: One(lambda n, x: F.conv1d(x[0], torch.ones(5, 8, 3))), 3 * 6 * 5 * 8 * 3),
    "3-D": (lambda: One(lambda n, x: F.conv3d(x[None], torch.ones(2, 1, 3, 3, 3))), 6 * 6 * 2 * 27),
    "3-D transposed, grouped": (
        lambda: One(lambda n, x: F.conv_transpose3d(x[:, :2, None], torch.ones(2, 3, 1, 2, 2), stride=2, groups=2)),
        2 * PIXELS * 3 * 4,
    ),
    "unfolded": (
        lambda: One(lambda n, x: F.fold(n.bare.flatten(1) @ F.unfold(x, 3, padding=1), (8, 8), 1)),
        CONVOLUTION,
    ),
    "deformable": (
        lambda: One(lambda n, x: torchvision.ops.deform_conv2d(x, torch.zeros(1, 18, 8, 8), n.bare, padding=1)),
        CONVOLUTION,
    ),
    "lazy": (lambda: nn.Sequential(nn.LazyConv2d(4, 3, padding=1)), CONVOLUTION),
    "weight norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3, padding=1)), CONVOLUTION),
    "in half precision": (lambda: nn.Conv2d(3, 4, 3, padding=1).half(), CONVOLUTION),
    "by the Fourier transform": (lambda: One(lambda n, x: n.conv(torch.fft.irfft2(torch.fft.rfft2(x) * 2))), None),
    "by the complex transform": (lambda: One(lambda n, x: n.conv(torch.fft.ifft2(torch.fft.fft2(x)).real)), None),
}  # fmt: skip

PRODUCTS: Table = {
    "matrix and vector": (lambda: One(lambda n, x: x @ V), 3 * 8 * 8),
    "vector and matrix": (lambda: One(lambda n, x: V @ x), 3 * 8 * 8),
    "two vectors": (lambda: One(lambda n, x: x[0, 0, 0] @ x[0, 0, 1]), 8),
    "broadcast on the left": (lambda: One(lambda n, x: torch.ones(5, 8) @ x), 3 * 5 * 8 * 8),
    "broadcast on both": (lambda: One(lambda n, x: torch.ones(7, 1, 5, 8) @ x), 7 * 3 * 5 * 8 * 8),
    "addmm": (lambda: One(lambda n, x: torch.addmm(V, x[0, 0], x[0, 1])), 8 * 8 * 8),
    "addmm in place": (lambda: One(lambda n, x: x[0, 0].clone().addmm_(x[0, 1], x[0, 2])), 8 * 8 * 8),
    "baddbmm": (lambda: One(lambda n, x: torch.baddbmm(V, x[0], x[0])), 3 * 8 * 8 * 8),
    "addbmm": (lambda: One(lambda n, x: torch.addbmm(V, x[0], x[0])), 3 * 8 * 8 * 8),
    "addmv": (lambda: One(lambda n, x: torch.addmv(V, x[0, 0], V)), 8 * 8),
    "inner": (lambda: One(lambda n, x: torch.inner(x[0, 0], x[0, 1])), 8 * 8 * 8),
    "tensordot": (lambda: One(lambda n, x: torch.tensordot(x, torch.ones(8, 8, 5), 2)), 3 * PIXELS * 5),
    "linear": (lambda: One(lambda n, x: F.linear(x, torch.ones(5, 8), torch.ones(5))), 3 * 8 * 5 * 8),
    "linear of a vector": (lambda: One(lambda n, x: F.linear(x[0, 0, 0], torch.ones(5, 8))), 5 * 8),
    "bilinear": (lambda: One(lambda n, x: F.bilinear(x, x, torch.ones(5, 8, 8))), 3 * 8 * 5 * (8 * 8 + 8)),
    "einsum": (lambda: One(lambda n, x: torch.einsum("bchw,hkw->bchk", x, torch.ones(8, 5, 8))), 3 * 8 * 5 * 8),
    "einsum that scales": (
        lambda: One(lambda n, x: n.conv(torch.einsum("bc,bchw->bchw", x[..., 0, 0], x))), CONVOLUTION,
    ),
    "distances": (lambda: One(lambda n, x: torch.cdist(rows(x), rows(x))), None),
    "products that are summed": (lambda: One(disguised), None),
    "complex": (lambda: One(lambda n, x: ((x + 1j) @ (x - 1j)).real), None),
    "three matrices": (lambda: One(lambda n, x: torch.linalg.multi_dot(list(x[0]))), None),
}  # fmt: skip

FLOWS: Table = {
    "checkpointed": (lambda: One(lambda n, x: checkpoint(n.conv, x, use_reentrant=False)), CONVOLUTION),
    "checkpointed, re-entrant": (lambda: One(lambda n, x: checkpoint(n.conv, x, use_reentrant=True)), CONVOLUTION),
    "autograd function": (lambda: One(lambda n, x: Plain.apply(x, n.bare)), CONVOLUTION),
    "autograd function with its own context": (lambda: One(lambda n, x: Modern.apply(x, n.bare)), CONVOLUTION),
    "autograd function under another name": (lambda: One(lambda n, x: captured(x, n.bare)), None),
    "control flow on shapes": (lambda: One(shaped), 3 * CONVOLUTION),
    "called twice": (lambda: One(lambda n, x: n.conv(x) + n.conv(x.flip(2))), 2 * CONVOLUTION),
    "shared": (shared, 2 * PIXELS * 12),
    "unused module": (lambda: One(lambda n, x: n.conv(x), idle=nn.Conv2d(3, 400, 3)), CONVOLUTION),
    "computed for nothing": (lambda: One(lambda n, x: (n.conv(x), x)[1]), None),
    "inference mode": (lambda: One(torch.inference_mode()(lambda n, x: n.conv(x) @ torch.ones(8, 8))),
                       CONVOLUTION + 4 * PIXELS * 8),
    "gradients on": (lambda: One(torch.enable_grad()(lambda n, x: n.conv(x))), CONVOLUTION),
    "autocast": (lambda: One(torch.autocast("cpu", torch.bfloat16)(lambda n, x: n.conv(x))), CONVOLUTION),
    "scripted": (lambda: nn.Sequential(scripted()), None),
    "scripted as a whole": (scripted, None),
    "custom operator": (lambda: One(lambda n, x: n.conv(x) + hidden(x, n.bare)), None),
    "custom operator that writes": (lambda: One(into), None),
    "compiled": (lambda: nn.Sequential(torch.compile(nn.Conv2d(3, 4, 3, padding=1))), CONVOLUTION),
    "compiled as a whole": (lambda: torch.compile(nn.Conv2d(3, 4, 3, padding=1)), CONVOLUTION),
    "a condition": (
        lambda: One(lambda n, x: torch.cond(x.sum() > 0, n.conv, lambda y: n.conv(y) * 2, (x,))),
        CONVOLUTION,
    ),
    "state that changes": (Tires, 3 * CONVOLUTION),
}  # fmt: skip

OUTPUTS: Table = {
    name: (lambda then=then: One(lambda n, x: then(n.conv(x))), CONVOLUTION)
    for name, then in {
        "tuple": lambda y: (y, y + 1),
        "list with None": lambda y: [y, None],
        "dict": lambda y: {"out": y, "aux": [y.relu(), None]},
        "dataclass": lambda y: Outputs(y, [y.relu(), None]),
        "number beside it": lambda y: (y, 3, "text"),
    }.items()
}  # fmt: skip

TABLE = {**ATTENTIONS, **CONVOLUTIONS, **PRODUCTS, **FLOWS, **OUTPUTS}


@pytest.mark.filterwarnings("ignore::UserWarning")  # of checkpoints without gradients, nested tensors, ComplexHalf
@pytest.mark.parametrize(("build", "macs"), TABLE.values(), ids=TABLE)
def test_a_network_built_to_fool_the_counters_is_counted_right_or_marked(monkeypatch, build, macs):
    monkeypatch.setattr("bench.measure.cost.formulas", dict)
    found = cost(build(), CostSpec(size=8))
    if macs is None:
        assert found.doubt
    else:
        assert found.doubt == ""
        assert found.torch.macs == macs
        assert found.convolutions_and_matmuls[0] == macs


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("then", "macs"), HIGHER.values(), ids=HIGHER)
def test_operators_that_call_functions_are_counted_by_torch_and_marked(monkeypatch, then, macs):
    monkeypatch.setattr("bench.measure.cost.formulas", dict)
    found = cost(One(then), CostSpec(size=8))
    assert found.torch.macs == macs
    assert found.doubt.startswith("fvcore failed")


def test_what_has_no_formula_is_named():
    x = torch.rand(1, 3, 8, 8)
    fourier = by_torch(Call(lambda x: torch.fft.irfft2(torch.fft.rfft2(x))), x)
    assert fourier.missed == ("aten._fft_c2r (no formula)", "aten._fft_r2c (no formula)")
    assert {"aten._fft_c2r", "aten._fft_r2c"} <= set(fourier.uncounted)
    assert "aten::fft_rfft2" in by_fvcore(Call(lambda x: torch.fft.irfft2(torch.fft.rfft2(x))), x).uncounted
    assert by_torch(Call(lambda x: (x + 1j) @ (x - 1j)), x).missed == ("aten.bmm of complex numbers",)
    assert by_torch(One(disguised), x).missed == ("4,608 elementwise products that are then summed",)
    assert by_torch(One(into), x).missed == ("bench_tests.hidden_into (no formula)",)
    assert "prim::PythonOp.Plain" in by_fvcore(One(lambda n, x: captured(x, n.bare)), x).uncounted


def test_a_few_products_that_are_summed_are_no_reason_for_doubt():
    x = torch.rand(1, 3, 8, 8)
    assert by_torch(One(lambda n, x: n.conv(x + (x[:, :2] * x[:, 1:]).sum(1, True))), x).missed == ()


def test_tensors_of_nested_outputs_in_order():
    a, b, c = torch.zeros(3, 1)
    found = list(tensors({"a": a, "rest": [None, (b, 3)], "more": Outputs(c, [])}))
    assert [t is u for t, u in zip(found, (a, b, c), strict=True)] == [True] * 3


def test_counting_leaves_torch_as_it_was():
    network, own = Call(lambda x: Plain.apply(x, torch.ones(4, 3, 3, 3))), torch.autograd.Function.__dict__["apply"]
    for counter in (by_fvcore, by_torch):
        counter(network, torch.rand(1, 3, 8, 8))
    assert not network._forward_hooks
    for counter in (by_fvcore, by_torch):
        with pytest.raises(RuntimeError):
            counter(network, torch.rand(1, 5, 8, 8))
    assert torch.autograd.Function.__dict__["apply"] is own
    assert torch.backends.mha.get_fastpath_enabled()
