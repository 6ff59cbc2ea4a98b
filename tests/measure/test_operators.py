"""The formulas of single operators, against hand-made cases and against the products that torch really carries out."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import flop_registry

from bench.measure.cost import Call
from bench.measure.counters import by_fvcore, by_torch, einsum_macs, flop_formulas, free

EQUATIONS = {
    "bij,bjk->bik": [(2, 3, 4), (2, 4, 5)],
    "ij,jk": [(3, 4), (4, 5)],
    " b h w c , h k c -> b h w k ": [(2, 3, 4, 5), (3, 6, 5)],
    "bIj,bJj->bIJ": [(2, 3, 4), (2, 5, 4)],
    "...ij,...jk->...ik": [(3, 1, 4, 5), (7, 5, 6)],
    "...i,i": [(2, 3, 4), (4,)],
    "ij,kj->i": [(4, 5), (6, 5)],
    "ij,ij->": [(4, 5), (4, 5)],
    "ni,oij,nj->no": [(2, 3), (4, 3, 5), (2, 5)],
    "ab,bc,cd,de->ae": [(2, 3), (3, 4), (4, 5), (5, 6)],
    "bij,bjk->bik with one of 1": [(1, 4, 5), (6, 5, 3)],
    "ij,jk->ik over 1": [(4, 1), (1, 6)],
    "bc,bchw->bchw": [(2, 3), (2, 3, 4, 4)],
    "i,j->ij": [(3,), (4,)],
    "bhwc->bchw": [(2, 3, 4, 5)],
    "ii->i": [(4, 4)],
    "ijk->i": [(2, 3, 4)],
}


@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS.items(), ids=EQUATIONS)
def test_einsum_costs_the_products_that_torch_carries_out(equation, shapes):
    equation = equation.split(" with")[0].split(" over")[0]
    operands = [torch.rand(shape) for shape in shapes]
    executed = by_torch(Call(lambda first: torch._VF.einsum(equation, [first, *operands[1:]])), operands[0])
    assert einsum_macs(equation, shapes) == executed.macs
    traced = by_fvcore(Call(lambda first: torch._VF.einsum(equation, [first, *operands[1:]])), operands[0])
    assert traced.macs == executed.macs


@pytest.mark.parametrize("path", [[0, 1, 0, 1], [1, 2, 0, 1], [0, 2, 0, 1], [2, 1, 1, 0]])
def test_einsum_follows_a_path(path):
    shapes = [(2, 3), (3, 7), (7, 5)]
    operands = [torch.rand(shape) for shape in shapes]
    network = Call(lambda first: torch._VF.einsum("ab,bc,cd->ad", [first, *operands[1:]], path=path))
    assert einsum_macs("ab,bc,cd->ad", shapes, path) == by_torch(network, operands[0]).macs
    assert by_fvcore(network, operands[0]).macs == by_torch(network, operands[0]).macs


def test_einsum_by_hand():
    assert einsum_macs("nld,nsd->nls", [(2, 10, 8), (2, 12, 8)]) == 2 * 10 * 12 * 8
    assert einsum_macs("ab,bc,cd->ad", [(2, 3), (3, 7), (7, 5)]) == 2 * 3 * 7 + 2 * 7 * 5
    assert einsum_macs("ab,bc,cd->ad", [(2, 3), (3, 7), (7, 5)], [1, 2, 0, 1]) == 3 * 7 * 5 + 2 * 3 * 5


ROWS, HIDDEN, INPUTS = 10, 6, 8
RECURRENT = {
    "lstm": (nn.LSTM(INPUTS, HIDDEN), ROWS * 4 * HIDDEN * (INPUTS + HIDDEN)),
    "lstm with a projection": (
        nn.LSTM(INPUTS, HIDDEN, proj_size=2),
        ROWS * (4 * HIDDEN * (INPUTS + 2) + 2 * HIDDEN),
    ),
    "gru, two layers both ways": (
        nn.GRU(INPUTS, HIDDEN, num_layers=2, bidirectional=True, batch_first=True),
        ROWS * 2 * 3 * HIDDEN * (INPUTS + HIDDEN + 2 * HIDDEN + HIDDEN),
    ),
    "rnn": (nn.RNN(INPUTS, HIDDEN), ROWS * HIDDEN * (INPUTS + HIDDEN)),
    "rnn of relu": (nn.RNN(INPUTS, HIDDEN, nonlinearity="relu"), ROWS * HIDDEN * (INPUTS + HIDDEN)),
}


@pytest.mark.parametrize(("network", "macs"), RECURRENT.values(), ids=RECURRENT)
@pytest.mark.parametrize("counter", [by_fvcore, by_torch])
def test_recurrent_layers(counter, network, macs):
    assert counter(network, torch.rand(1, ROWS, INPUTS)).macs == macs


@pytest.mark.parametrize(
    ("cell", "gates"),
    [(nn.LSTMCell(8, 6), 4), (nn.GRUCell(8, 6), 3), (nn.RNNCell(8, 6), 1)],
    ids=["lstm", "gru", "rnn"],
)
@pytest.mark.parametrize("counter", [by_fvcore, by_torch])
def test_recurrent_cells(counter, cell, gates):
    assert counter(cell, torch.rand(5, 8)).macs == 5 * gates * 6 * (8 + 6)


aten = torch.ops.aten


def test_what_only_moves_adds_or_scales_is_free_and_what_is_unknown_is_not():
    free_ones = [aten.mul.Tensor, aten.gelu.default, aten.cat.default, aten.native_layer_norm.default]
    free_ones += [aten.max_pool2d_with_indices.default, aten._softmax.default, aten.upsample_bilinear2d.default]
    assert all(free(operator) for operator in free_ones)
    costly = [aten._cdist_forward.default, aten._fft_r2c.default, aten.convolution.default, aten.mm.default]
    costly += [aten._transformer_encoder_layer_fwd.default, aten.addr.default, torch.ops.prims.fft_r2c.default]
    assert not any(free(operator) for operator in costly)


def operators() -> dict[str, object]:
    """All of ATen's operators, by name."""
    names = [name.removeprefix("aten::") for name in torch._C._dispatch_get_all_op_names() if name.startswith("aten::")]
    split = [name.partition(".") for name in names]
    return {name: getattr(getattr(aten, name), overload or "default") for name, _, overload in split}


def test_all_that_torch_tags_as_elementwise_is_free_also_in_place():
    tagged = {name for name, operator in operators().items() if torch.Tag.pointwise in operator.tags}
    assert len(tagged) > 100
    assert [name for name, operator in operators().items() if name.rstrip("_") in tagged and not free(operator)] == []


def test_nothing_that_torch_has_a_formula_for_is_free():
    counted = {packet for packet in {**flop_registry, **flop_formulas()} if hasattr(packet, "overloads")}
    assert aten.convolution in counted
    assert [str(p) for p in counted for name in p.overloads() if free(getattr(p, name))] == []


def nhwc_pool(x):
    y = F.layer_norm(x.permute(0, 2, 3, 1), (3,)).permute(0, 3, 1, 2)
    return F.adaptive_avg_pool2d(y, 1)


FREE_CALLS = {
    "pooling of what lies channels-last": nhwc_pool, "gumbel_softmax": lambda x: F.gumbel_softmax(x, dim=1),
    "multinomial": lambda x: x + torch.multinomial(torch.ones(4), 2).sum(), "quantile": lambda x: x.quantile(0.5),
    "mse_loss": lambda x: F.mse_loss(x, x), "smooth_l1_loss": lambda x: F.smooth_l1_loss(x, x),
    "cross_entropy": lambda x: F.cross_entropy(x, torch.zeros(1, 8, 8, dtype=torch.long)),
    "bce": lambda x: F.binary_cross_entropy_with_logits(x, x), "hann_window": lambda x: x * torch.hann_window(8),
    "fftfreq": lambda x: x + torch.fft.fftfreq(8), "logspace": lambda x: x + torch.logspace(0, 1, 8),
    "t_, squeeze_": lambda x: x.clone().squeeze_(0)[0].t_(), "block_diag": lambda x: torch.block_diag(x[0, 0], x[0, 1]),
    "mode": lambda x: x.mode(-1)[0], "trace": lambda x: x[0, 0].trace(), "argmax": lambda x: x.argmax(1).float(),
    "exponential_": lambda x: torch.empty(8).exponential_() + x, "dist": lambda x: torch.dist(x, x),
    "meshgrid": lambda x: torch.stack(torch.meshgrid(x[0, 0, 0], x[0, 0, 0], indexing="ij")),
    "segment_reduce": lambda x: torch.segment_reduce(x[0, 0, 0], "max", lengths=torch.tensor([4, 4])),
    "fake_quantize": lambda x: torch.fake_quantize_per_tensor_affine(x, 0.1, 0, -128, 127),
    "any, all": lambda x: x.any().float() + x.all(),
}  # fmt: skip


@pytest.mark.parametrize("function", FREE_CALLS.values(), ids=FREE_CALLS)
def test_what_multiplies_nothing_is_no_reason_for_doubt(function):
    assert by_torch(Call(function), torch.rand(1, 3, 8, 8)).missed == ()
