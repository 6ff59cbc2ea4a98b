"""Sigmoid and softmax are found by value wherever they stand, in each mode; what cannot be told is asked for."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.errors import UserError
from bench.networks.activation import meaning_of
from bench.networks.adapt import adapted, fault_of, inside, made, notes_of
from bench.networks.table import Shapes

IMAGES = torch.rand(2, 3, 32, 32)
TWICE = {"scale_factor": 2, "mode": "bilinear"}


class Net(nn.Module):
    """One convolution, then what `end` makes of it."""

    def __init__(self, end, maps=1):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.end = nn.Conv2d(3, maps, 1), end

    def forward(self, x):
        return self.end(self.layer(x))


def of(end, maps=1, classes=1, **declared):
    return adapted(Net(end, maps), "Net", Shapes(3, classes, 32), declared=declared)


def no_grad(x):
    with torch.no_grad():
        return x.sigmoid()


PROBABILITIES = {
    "sigmoid": torch.sigmoid,
    "squeezed": lambda x: x.sigmoid().squeeze(1),
    "clamped": lambda x: x.sigmoid().clamp(1e-6, 1 - 1e-6),
    "mean": lambda x: (x.sigmoid() + x.sigmoid()) / 2,
    "softmax sliced": lambda x: torch.cat([-x / 2, x / 2], 1).softmax(1)[:, 1:],
    "double": lambda x: x.double().sigmoid().float(),
    "contiguous": lambda x: x.sigmoid().permute(0, 2, 3, 1).permute(0, 3, 1, 2).contiguous(),
    "no_grad": no_grad,
    "in a dict": lambda x: {"out": x.sigmoid()},
    "half of tanh": lambda x: (torch.tanh(x / 2) + 1) / 2,
}


@pytest.mark.parametrize("end", PROBABILITIES.values(), ids=list(PROBABILITIES))
def test_probabilities_become_the_logits_they_came_from(end):
    network = of(end).eval()
    torch.testing.assert_close(network(IMAGES), inside(network).layer(IMAGES), atol=1e-4, rtol=1e-4)
    assert "its sigmoid" in " ".join(network.notes)


@pytest.mark.parametrize(
    "end", [F.hardsigmoid, lambda x: F.interpolate(F.avg_pool2d(x, 2).sigmoid(), **TWICE)], ids=["hard", "upsampled"]
)
def test_the_foreground_is_what_is_over_one_half(end):
    network = of(end).eval()
    assert torch.equal(network(IMAGES) > 0, end(inside(network).layer(IMAGES)) > 0.5)
    assert "its sigmoid is undone, since losses and scores take logits" in network.notes


def test_two_maps_of_a_softmax_become_one():
    network = of(lambda x: x.softmax(1), maps=2).eval()
    logits = inside(network).layer(IMAGES)
    torch.testing.assert_close(network(IMAGES), logits[:, 1:] - logits[:, :1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("end", [lambda x: x.softmax(1), lambda x: x.log_softmax(1), torch.sigmoid, lambda x: x])
def test_classes_keep_their_probabilities(end):
    network = of(end, maps=4, classes=4).eval()
    logits = inside(network).layer(IMAGES)
    torch.testing.assert_close(network(IMAGES).softmax(1), logits.softmax(1), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("end", [torch.tanh, F.relu, lambda x: x / 50 + 0.5, F.softplus, lambda x: x.log_softmax(1)])
def test_other_values_are_logits_also_if_they_happen_to_lie_near_one_half(end):
    network = of(end, maps=2)
    assert not any("undone" in note for note in network.notes)
    assert fault_of(network, training=True) == ""


class Modes(Net):
    """Another end in each mode, and a further map in training."""

    def __init__(self, evaluated, main, further):
        super().__init__(evaluated)
        self.main, self.further, self.other = main, further, nn.Conv2d(3, 1, 1)

    def forward(self, x):
        return (self.main(self.layer(x)), self.further(self.other(x))) if self.training else super().forward(x)


def plain(x):
    return x


@pytest.mark.parametrize("evaluated", [plain, torch.sigmoid])
@pytest.mark.parametrize("main", [plain, torch.sigmoid])
@pytest.mark.parametrize("further", [plain, torch.sigmoid])
def test_each_map_is_undone_in_each_mode_alone(evaluated, main, further):
    network = adapted(Modes(evaluated, main, further), "Net", (3, 1, 16))
    raw = inside(network)
    for own, wanted in zip(network.train()(IMAGES), (raw.layer(IMAGES), raw.other(IMAGES)), strict=True):
        torch.testing.assert_close(own, wanted, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(network.eval()(IMAGES), raw.layer(IMAGES), atol=1e-4, rtol=1e-4)
    said = {(True, True): "its sigmoid is", (True, False): "its sigmoid in eval mode is",
            (False, True): "its sigmoid in training mode is", (False, False): ""}  # fmt: skip
    ends = said[evaluated is torch.sigmoid, torch.sigmoid in (main, further)]
    assert ends in " ".join(network.notes)


def two_or_more(in_channels, num_classes):
    return Net(lambda x: x.softmax(1), num_classes)


def test_a_softmax_over_one_map_is_built_again_for_two():
    network = made(two_or_more, "net", Shapes(3, 1, 32), {}).eval()
    logits = inside(network).layer(IMAGES)
    torch.testing.assert_close(network(IMAGES), logits[:, 1:] - logits[:, :1], atol=1e-4, rtol=1e-4)
    assert notes_of(network)[0] == "given in_channels=3, num_classes=2"


@pytest.mark.parametrize("end", [lambda x: x.softmax(1), lambda x: x.log_softmax(1)])
def test_a_softmax_over_one_map_that_cannot_be_two_is_refused(end):
    network = made(lambda: Net(end), "net", Shapes(3, 1, 32), {})
    assert "softmax over one map is the same number everywhere; give it two maps, or a sigmoid" in fault_of(
        network, training=False
    )


FAULTS = {
    "a mask": (lambda x: (x > 0).float() + 0 * x, r"output holds only whole numbers \(0, 1\): it is a mask"),
    "a mask of 255": (lambda x: 255 * (x > 0).float() + 0 * x, "only whole numbers"),
    "unclear": (lambda x: 1.2 * x.sigmoid() - 0.1, r"values of output, -0.1 to 1.1 .* declare .*output = 'logits' or"),
}


@pytest.mark.parametrize(("end", "said"), FAULTS.values(), ids=list(FAULTS))
def test_what_cannot_be_scored_is_told_in_words(end, said):
    network = of(end)
    with pytest.raises(UserError, match=said):
        raise UserError(fault_of(network, training=False))


def test_what_is_unclear_may_be_declared():
    for kind in ("sigmoid", "logits"):
        network = of(lambda x: 1.2 * x.sigmoid() - 0.1, output=kind)
        assert fault_of(network, training=True) == ""
        assert any("its sigmoid is undone" in note for note in notes_of(network)) == (kind == "sigmoid")
    with pytest.raises(UserError, match=r"output=tanh: .* logits, sigmoid, softmax; declare one of them"):
        of(torch.tanh, output="tanh")
    network = Net(torch.sigmoid)
    network.output = "logits"
    assert adapted(network, "Net", Shapes(3, 1, 32)) is network
    network.output = nn.Conv2d(1, 1, 1)  # a layer of this name declares nothing
    assert adapted(network, "Net", Shapes(3, 1, 32)) is not network


def test_a_head_that_starts_at_zero_is_no_constant_and_no_mask():
    for end in (plain, torch.sigmoid):
        network = Net(end)
        nn.init.zeros_(network.layer.weight)
        nn.init.zeros_(network.layer.bias)
        found = adapted(network, "Net", Shapes(3, 1, 32))
        assert fault_of(found, training=True) == ""
        assert (found is network) == (end is plain)
        assert not network.layer.weight.any()


class Trained(Net):
    """What `trained` makes of the logits in training mode."""

    def __init__(self, trained):
        super().__init__(plain)
        self.trained = trained

    def forward(self, x):
        return self.trained(self.layer(x)) if self.training else self.layer(x)


def refuse(x):
    raise TypeError("forward() needs masks")


@pytest.mark.parametrize(
    ("trained", "said"),
    [
        (lambda x: x.mean(), r"in training mode its output for two images is \(\), without logits \(2, 1, hei"),
        (no_grad, "in training mode its output, .*, has no gradient"),
        (lambda x: (x > 0).float(), "has no gradient"),
        (refuse, r"in training mode it raises TypeError: forward\(\) needs masks; .* must take images alone"),
    ],
)
def test_what_cannot_be_trained_can_be_scored(trained, said):
    network = adapted(Trained(trained), "Net", Shapes(3, 1, 32))
    assert fault_of(network, training=False) == ""
    with pytest.raises(UserError, match=said):
        raise UserError(fault_of(network, training=True))
    assert network.eval()(IMAGES).shape == (2, 1, 32, 32)


def test_a_map_without_a_gradient_is_not_trained():
    network = adapted(Trained(lambda x: (x, x.detach() * 2)), "Net", Shapes(3, 1, 32))
    assert network.train()(IMAGES).shape == (2, 1, 32, 32)


def test_values_are_told_apart_over_all_of_them():
    logits = torch.linspace(-3, 3, 64).reshape(1, 1, 8, 8)
    assert meaning_of([logits.sigmoid()]) == "sigmoid"
    assert meaning_of([logits.sigmoid(), logits]) == "logits"
    assert meaning_of([torch.cat([logits, -logits], 1).softmax(1)]) == "softmax"
    assert meaning_of([torch.cat([logits, -logits], 1).sigmoid()]) == "softmax"  # they add up to 1 all the same
    assert meaning_of([torch.cat([logits, logits], 1).sigmoid()]) == "sigmoid"
    assert meaning_of([1.1 * logits.sigmoid()]) is None


def test_logits_so_large_that_all_are_whole_are_no_mask():
    assert fault_of(of(lambda x: 1e12 * x), training=True) == ""
