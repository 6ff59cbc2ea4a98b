"""Folding against its formula, on every network, and on networks made to be folded wrongly."""

import pytest
import torch
from normed import NORMS, used
from torch import nn
from torch.nn import functional as F

from bench.measure.agreement import outputs_of
from bench.measure.forms.folded import fold
from bench.networks import NETWORKS
from bench.quantities import LatencySpec

SPEC = LatencySpec(machine="m", device="cpu", threads=1, size=16)


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, NORMS) for module in network.modules())


def assert_same(network: nn.Module, other: nn.Module, batch: torch.Tensor) -> None:
    with torch.inference_mode():
        plain, found = outputs_of(network(batch))[0], outputs_of(other(batch))[0]
    assert float((plain - found).abs().max()) <= 1e-5 * float(plain.abs().max())


# What follows no convolution: CMUNeXt's after an activation, those before a convolution in ResUNet++, those of a
# quarter of the channels in MDSA-UNet's plain form.
LEFT = {"cmunext": 33, "mdsa_unet_plain": 5, "resunetpp": 15}


@pytest.mark.parametrize(("name", "left"), {**dict.fromkeys(NETWORKS, 0), **LEFT}.items())
def test_every_network_folds_and_stays_the_same_function(name, left):
    torch.manual_seed(0)
    network = used(NETWORKS[name].build(3, 2, 32))
    batch = torch.rand(2, 3, 32, 32, dtype=torch.float64)
    folded = fold(network, batch)
    assert norms(folded) == left
    assert_same(network, folded, batch)
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in folded.modules())


def test_the_formula():
    """scale = 6 / sqrt(4) = 3, shift = 1 - 3 * 3 = -8: the weight 2 becomes 6, the bias 1 becomes 3 - 8 = -5."""
    layer, norm = nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=1e-30)
    values = ((layer.weight, 2), (layer.bias, 1), (norm.running_mean, 3), (norm.running_var, 4))
    for tensor, value in (*values, (norm.weight, 6), (norm.bias, 1)):
        nn.init.constant_(tensor, value)
    network = nn.Sequential(layer, norm).eval()
    folded = fold(network, torch.rand(1, 1, 4, 4))
    assert (folded[0].weight.item(), folded[0].bias.item()) == (6, -5)
    assert (layer.weight.item(), layer.bias.item()) == (2, 1)
    assert network[1] is norm


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 6, 3, padding=1, groups=2, bias=False),
        nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 6, 3, stride=2, dilation=2),
        nn.ConvTranspose2d(4, 6, 2, stride=2),
        nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2, bias=False),
        nn.ConvTranspose2d(4, 4, 2, groups=4),
    ],
    ids=str,
)
@pytest.mark.parametrize("affine", [True, False])
def test_every_kind_of_convolution_folds(layer, affine):
    network = used(nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels, affine=affine), nn.ReLU(inplace=True)))
    batch = torch.randn(2, 4, 8, 8, dtype=torch.float64)
    folded = fold(network, batch)
    assert norms(folded) == 0
    assert_same(network, folded, batch)


def test_a_linear_layer_folds():
    network = used(nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.BatchNorm1d(5)))
    batch = torch.randn(2, 3, 2, 2, dtype=torch.float64)
    assert norms(fold(network, batch)) == 0
    assert_same(network, fold(network, batch), batch)


class Likewise(nn.Conv2d):
    """Another way to compute the same."""

    same_as = nn.Conv2d

    def forward(self, x):
        return super().forward(x)


class Otherwise(Likewise):
    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize(("kind", "left"), [(Likewise, 0), (Otherwise, 1)])
def test_a_layer_of_a_class_of_its_own_folds_where_the_class_itself_says_what_it_computes(kind, left):
    network = used(nn.Sequential(kind(3, 4, 3), nn.BatchNorm2d(4)))
    batch = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    assert norms(fold(network, batch)) == left
    assert_same(network, fold(network, batch), batch)


class Tricky(nn.Module):
    """Two convolutions, a batch norm, and a forward pass that is given."""

    def __init__(self, forward) -> None:
        super().__init__()
        self.conv, self.other, self.norm = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.again = nn.BatchNorm2d(3)
        self.pass_through = forward

    def forward(self, x):
        return self.pass_through(self, x)


def keeps(net, x):
    net.kept = net.conv(x)
    return net.norm(net.kept)


def changes_in_place(net, x):
    y = net.conv(x)
    return net.norm(y.mul_(2))


def changes_afterwards(net, x):
    y = net.conv(x)
    z = net.norm(y)
    return z + y.zero_()


TRICKY = {
    "a residual past the norm": lambda net, x: net.norm(y := net.conv(x)) + y,
    "read by a function": lambda net, x: net.norm(y := net.conv(x)) * y.mean(),
    "part of the output": lambda net, x: (net.norm(y := net.conv(x)), y),
    "a view in the output": lambda net, x: (net.norm(y := net.conv(x)), y[:, 0]),
    "kept by the network": keeps,
    "changed in place before": changes_in_place,
    "changed in place after": changes_afterwards,
    "a function between": lambda net, x: net.norm(F.relu(net.conv(x))),
    "one norm after two convolutions": lambda net, x: net.norm(net.conv(x)) + net.norm(net.other(x)),
    "one convolution before two norms": lambda net, x: net.norm(net.conv(x)) + net.again(net.conv(x)),
    "a norm of its input too": lambda net, x: net.norm(net.conv(x)) + net.norm(x),
    "once with a norm, once without": lambda net, x: net.norm(net.conv(x)) + net.conv(x),
    "normed twice, changed in between": lambda net, x: F.relu_(net.norm(y := net.conv(x))) + net.norm(y),
    "a norm before": lambda net, x: net.conv(net.norm(x)),
}


@pytest.mark.parametrize("forward", TRICKY.values(), ids=list(TRICKY))
def test_what_would_change_the_function_is_not_folded(forward):
    network = used(Tricky(forward))
    batch = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    folded = fold(network, batch)
    assert norms(folded) == norms(network)
    assert_same(network, folded, batch)


def test_a_pair_used_twice_folds_once():
    network = used(Tricky(lambda net, x: net.norm(net.conv(F.relu_(net.norm(net.conv(x)))))))
    batch = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    folded = fold(network, batch)
    assert norms(folded) == norms(network) - 1
    assert_same(network, folded, batch)


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.norms = nn.ModuleList([self.norm])

    def forward(self, x):
        return self.norms[0](self.conv(x))


def test_a_norm_known_by_two_names_is_gone_under_both():
    network = used(Named())
    batch = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    assert norms(fold(network, batch)) == 0
    assert_same(network, fold(network, batch), batch)


class OwnConv(nn.Conv2d):
    def forward(self, x):
        return super().forward(x) ** 2


@pytest.mark.parametrize(
    ("first", "norm", "shape"),
    [
        (OwnConv(3, 3, 1), nn.BatchNorm2d(3), (2, 3, 4, 4)),
        (nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 3, 1)), nn.BatchNorm2d(3), (2, 3, 4, 4)),
        (nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False), (2, 3, 4, 4)),
        (nn.Linear(3, 3), nn.BatchNorm1d(3), (2, 3, 3)),
        (nn.Linear(4, 4), nn.BatchNorm2d(4), (2, 4, 4, 4)),
    ],
    ids=["own class", "weight norm", "batch statistics", "another axis", "another axis of maps"],
)
def test_layers_and_norms_that_do_not_fold_are_left(first, norm, shape):
    network = used(nn.Sequential(first, norm))
    batch = torch.randn(shape, dtype=torch.float64)
    assert norms(fold(network, batch)) == 1
    assert_same(network, fold(network, batch), batch)


def test_a_layer_with_a_hook_is_left():
    network = used(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)))
    network[0].register_forward_hook(lambda layer, args, output: output.abs())
    batch = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    assert norms(fold(network, batch)) == 1
    assert_same(network, fold(network, batch), batch)


class Twice(nn.Module):
    """Doubles; deployed, by a layer that says so."""

    def __init__(self, inside: nn.Module) -> None:
        super().__init__()
        self.inside = inside

    def forward(self, x):
        return 2 * self.inside(x)

    def folded_form(self):
        return nn.Sequential(self.inside, nn.Dropout(), Scaled(2.0))


class Scaled(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return self.factor * x


class Thrice(Twice):
    """Inherits a form that is not its own."""

    def forward(self, x):
        return 3 * self.inside(x)


def scaled(network: nn.Module) -> int:
    return sum(isinstance(module, Scaled) for module in network.modules())


@pytest.mark.parametrize(
    ("network", "forms"),
    [
        (nn.Sequential(Twice(nn.Conv2d(3, 3, 1)), nn.BatchNorm2d(3)), 1),
        (Twice(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))), 1),
        (Twice(Twice(nn.Conv2d(3, 3, 1))), 2),
        (Thrice(Twice(nn.Conv2d(3, 3, 1))), 1),
    ],
    ids=["before a norm", "the network itself", "one in another", "of a parent"],
)
def test_a_module_takes_the_form_that_its_class_gives_it(network, forms):
    network = used(network)
    batch = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    folded = fold(network, batch)
    assert (scaled(folded), scaled(network)) == (forms, 0)
    assert_same(network, folded, batch)
    assert_same(network, fold(folded, batch), batch)


@pytest.mark.parametrize("change", ["hooked", "parametrized"])
def test_a_module_keeps_its_form_where_somebody_changed_something_in_it(change):
    network = Twice(nn.Conv2d(3, 3, 1))
    if change == "hooked":
        network.inside.register_forward_hook(lambda layer, args, output: output.abs())
    else:
        nn.utils.parametrizations.weight_norm(network.inside)
    network = used(network)
    batch = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    assert scaled(fold(network, batch)) == 0
    assert_same(network, fold(network, batch), batch)


def test_a_module_used_twice_takes_its_form_twice_and_before_what_it_lies_in():
    class Sees(nn.Module):
        def __init__(self, inside):
            super().__init__()
            self.inside = inside

        def forward(self, x):
            return self.inside(x)

        def folded_form(self):
            assert scaled(self.inside) == 1
            return self.inside

    shared = Twice(nn.Conv2d(3, 3, 1))
    network = used(nn.Sequential(shared, Sees(shared)))
    batch = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    folded = fold(network, batch)
    assert folded[0] is folded[1]
    assert_same(network, folded, batch)
