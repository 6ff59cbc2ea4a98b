"""Outputs of the kinds that public networks have: which map is the prediction, and which are trained beside it."""

from collections import OrderedDict
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.errors import UserError
from bench.networks.adapt import OneOfSeveral, adapted, candidates, fault_of, inside, notes_of
from bench.networks.table import Shapes

IMAGES = torch.rand(2, 3, 32, 32)
EQUAL = "maps (1, 32, 32) may be its prediction"


@dataclass
class SegmenterOutput:
    loss: object
    logits: torch.Tensor
    hidden_states: tuple


class Net(nn.Module):
    """A convolution that the prediction comes from, one beside it, and what `puts_out` makes of both and the image."""

    def __init__(self, puts_out, maps=1):
        super().__init__()
        torch.manual_seed(0)
        self.main, self.other = nn.Conv2d(3, maps, 1), nn.Conv2d(3, maps, 1)
        self.puts_out = puts_out

    def forward(self, x):
        return self.puts_out(self, self.main(x), self.other(x), x)


def of(puts_out, classes=1):
    return adapted(Net(puts_out, classes), "Net", Shapes(3, classes, 32))


def tokens(main, number, width):
    """As a transformer gives them: they depend on the image and on the weights."""
    return main.mean((1, 2, 3))[:, None, None] * torch.linspace(-1, 1, number * width).view(1, number, width)


def attention(main, heads, number):
    return tokens(main, heads * number, number).reshape(len(main), heads, number, number).softmax(-1)


# Beside the logits comes something that is no map: the logits alone are trained and scored.
ALONE = {
    "tokens": lambda net, a, b, x: (a, tokens(a, 64, 128)),
    "tokens as many as wide": lambda net, a, b, x: (tokens(a, 32, 32), a),
    "hidden states": lambda net, a, b, x: {"logits": a, "hidden_states": (tokens(a, 64, 128),)},
    "attention": lambda net, a, b, x: (attention(a, 2, 64), a),
    "attention of 32 tokens": lambda net, a, b, x: (attention(a, 1, 32), a),
    "indices": lambda net, a, b, x: (a, torch.arange(len(x) * 64 * 64).view(len(x), 64, 64)),
    "a mask": lambda net, a, b, x: (a > 0, a),
    "a larger reconstruction": lambda net, a, b, x: (F.interpolate(b, scale_factor=2), a),
    "a copy of the image": lambda net, a, b, x: (-x[:, :1], a),
    "a constant": lambda net, a, b, x: (torch.ones(len(x), 1, *x.shape[2:]), a),
    "masks and their quality": lambda net, a, b, x: (a, b.mean((2, 3))),
    "a loss and logits": lambda net, a, b, x: SegmenterOutput(a.mean(), a, (tokens(a, 4, 9),)),
    "a class of the image": lambda net, a, b, x: (a, F.adaptive_avg_pool2d(b, 1)),
    "of each row one number": lambda net, a, b, x: (b.mean((2, 3), keepdim=True).expand_as(a), a),
}


@pytest.mark.parametrize("puts_out", ALONE.values(), ids=list(ALONE))
def test_what_comes_beside_the_logits_is_passed_over(puts_out):
    network = of(puts_out)
    wanted = inside(network).main(IMAGES)
    torch.testing.assert_close(network.eval()(IMAGES), wanted)
    torch.testing.assert_close(network.train()(IMAGES), wanted)


def smaller(maps):
    return F.avg_pool2d(maps, 4)


def enlarged(maps):
    return F.interpolate(maps, 32, mode="bilinear")


# The first is the prediction, and the second is trained beside it.
BOTH = {
    "torchvision's dict": lambda net, a, b, x: OrderedDict(out=a, aux=b),
    "logits, named last": lambda net, a, b, x: {"edges": b, "logits": a},
    "logits of a quarter of the size": lambda net, a, b, x: SegmenterOutput(None, smaller(a), (b,)),
    "a smaller one first": lambda net, a, b, x: [smaller(b), a],
}


@pytest.mark.parametrize("kind", BOTH)
def test_a_known_name_or_the_size_decides_and_both_are_trained(kind):
    network = of(BOTH[kind])
    main, further = network.train()(IMAGES)
    wanted = inside(network).main(IMAGES)
    if "quarter" in kind:
        wanted = enlarged(smaller(wanted))
    torch.testing.assert_close(main, wanted)
    assert further.shape == main.shape
    torch.testing.assert_close(network.eval()(IMAGES), wanted)
    assert any("of its 2 maps, " in note for note in network.notes)


# Nothing tells which is the prediction.
SEVERAL = {
    "a head of edges first": lambda net, a, b, x: (b, a),
    "features as many as classes": lambda net, a, b, x: (a, b),
    "UNet++": lambda net, a, b, x: [b, b * 2, b - 1, a],
    "U2-Net's": lambda net, a, b, x: tuple((a + n * b).sigmoid() for n in range(7)),
    "stacked": lambda net, a, b, x: torch.stack([a, b, a + b], 1),
    "of no known name": lambda net, a, b, x: {"edges": b, "seg": a},
}


@pytest.mark.parametrize("puts_out", SEVERAL.values(), ids=list(SEVERAL))
def test_of_equals_all_are_trained_and_any_may_be_scored(puts_out):
    network = of(puts_out)
    assert isinstance(network, OneOfSeveral)
    trained = network.train()(IMAGES)
    scored = candidates(network.eval(), IMAGES)
    assert f"{len(scored)} {EQUAL}: output" in " ".join(notes_of(network))
    for number, (one, other) in enumerate(zip(trained, scored, strict=True)):
        torch.testing.assert_close(one, other)
        network.number = number
        torch.testing.assert_close(network(IMAGES), other)
        assert network.prediction == f"{network.evaluated.maps[number].told}, of {len(scored)} equal maps"


def test_the_prediction_is_saved_with_the_weights():
    network, other = of(SEVERAL["UNet++"]), of(SEVERAL["UNet++"])
    network.number = 3
    other.load_state_dict(network.state_dict())
    torch.testing.assert_close(other.eval()(IMAGES), inside(network).main(IMAGES))
    assert other.prediction == "output[3] (1, 32, 32), of 4 equal maps"


def test_stacked_heads_in_training_are_trained_one_by_one():
    network = of(lambda net, a, b, x: torch.stack([a, b], 1) if net.training else a, classes=4)
    first, second = network.train()(IMAGES)
    torch.testing.assert_close(first, inside(network).main(IMAGES))
    torch.testing.assert_close(second, inside(network).other(IMAGES))
    torch.testing.assert_close(network.eval()(IMAGES), first)
    assert not isinstance(network, OneOfSeveral)


@pytest.mark.parametrize(
    ("puts_out", "said"),
    [
        (lambda net, a, b, x: a.flatten(2).transpose(1, 2), r"puts out \(1, 1024, 1\) .*in the form of the image"),
        (lambda net, a, b, x: a.flatten(1), r"puts out \(1, 1024\) .*in the form of the image"),
        (
            lambda net, a, b, x: (a > 0).long(),
            r"puts out \(1, 1, 32, 32\) of int64 .*return the logits, before the thr",
        ),
        (lambda net, a, b, x: attention(a, 2, 16), r"puts out \(1, 2, 16, 16\)"),
        (lambda net, a, b, x: None, "puts out a NoneType .*: return a tensor, or tensors in a tuple"),
        (lambda net, a, b, x: a.detach().numpy(), "puts out a ndarray .*: return a tensor, or tensors in a tuple"),
        (lambda net, a, b, x: a.permute(0, 2, 3, 1), r"puts out \(1, 32, 32, 1\) .*: return the classes on the second"),
        (lambda net, a, b, x: torch.complex(a, b), r"puts out .* of complex64 .*: return real numbers"),
    ],
)
def test_who_puts_out_no_map_says_what_to_do(puts_out, said):
    with pytest.raises(UserError, match=f"Net {said}"):
        of(puts_out)


def test_one_image_alone_may_lose_its_axes():
    network = of(lambda net, a, b, x: a.squeeze()).eval()
    torch.testing.assert_close(network(IMAGES[:1]), inside(network).main(IMAGES[:1]))
    torch.testing.assert_close(network(IMAGES), inside(network).main(IMAGES))


def test_trials_leave_the_network_and_the_random_state_as_they_were():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(), nn.Conv2d(4, 1, 1))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = torch.get_rng_state()
    assert adapted(network, "Net", Shapes(3, 1, 32)) is network
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert network.training


def test_trials_put_back_a_network_that_cannot_be_copied():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 1))
    network.held = (one for one in "a generator cannot be copied")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert adapted(network, "Net", Shapes(3, 1, 32)) is network
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert network.training
    assert all(module.training for module in network)


def test_probabilities_that_are_declared_and_are_none_are_refused():
    network = Net(lambda net, a, b, x: a * 9)
    network.output = "sigmoid"
    with pytest.raises(UserError, match="Net: output = 'sigmoid' is declared, but its values lie outside of 0 and 1"):
        adapted(network, "Net", Shapes(3, 1, 32))
    network.puts_out = lambda net, a, b, x: a * 9 if net.training else (a * 9).sigmoid()
    torch.testing.assert_close(adapted(network, "Net", Shapes(3, 1, 32)).eval()(IMAGES), network.main(IMAGES) * 9)


def test_a_width_that_the_network_takes_tells_tokens_apart():
    """This one takes multiples of 64 alone, so that 32 pixels less are none."""

    def puts_out(net, a, b, x):
        assert x.shape[-1] % 64 == 0
        return tokens(a, 64, 64), a

    network = adapted(Net(puts_out), "Net", Shapes(3, 1, 64))
    images = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(network.eval()(images), inside(network).main(images))
    assert not isinstance(network, OneOfSeveral)


def test_a_network_that_writes_into_its_images_is_given_copies():
    network, images = of(lambda net, a, b, x: (x.neg_()[:, :1], a)), IMAGES.clone()
    torch.testing.assert_close(network.eval()(images), inside(network).main(IMAGES))
    assert torch.equal(images, IMAGES)
    assert "is given copies of the images, for it writes into them" in notes_of(network)
    assert not isinstance(network, OneOfSeveral)


def test_a_network_that_takes_one_image_at_a_time_is_not_scored():
    network = of(lambda net, a, b, x: a.view(1, 1, 32, 32))
    assert fault_of(network, training=False).startswith("it takes one image at a time")
    assert network.eval()(IMAGES[:1]).shape == (1, 1, 32, 32)


@pytest.mark.parametrize("seed", range(3))
def test_a_sigmoid_that_is_enlarged_by_cubic_interpolation_is_to_be_declared(seed):
    def puts_out(net, a, b, x):
        return F.interpolate(F.avg_pool2d(a, 2).sigmoid(), scale_factor=2, mode="bicubic")

    network = Net(puts_out)
    torch.manual_seed(seed)
    nn.init.normal_(network.main.weight)
    assert "may be logits or probabilities; declare" in fault_of(adapted(network, "Net", Shapes(3, 1, 32)), False)
