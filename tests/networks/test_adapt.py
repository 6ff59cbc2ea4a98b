"""What strangers' networks need and put out is found out on one image, or declared."""

import pytest
import torch
from torch import nn

from bench.errors import UserError
from bench.networks.adapt import Adapted, adapted, inside, made, notes_of
from bench.networks.table import Shapes

IMAGES = torch.rand(2, 3, 96, 96)


class Net(nn.Module):
    """One convolution, then what `end` makes of it."""

    def __init__(self, end=lambda x: x, channels=3, maps=1, size=None):
        super().__init__()
        self.layer, self.end, self.size = nn.Conv2d(channels, maps, 1), end, size

    def forward(self, x):
        assert self.size in (None, x.shape[-1]), f"input size {x.shape[-1]} does not match model size {self.size}"
        return self.end(self.layer(x))


def of(network, classes=1, builder=None):
    return adapted(network, "Net", Shapes(3, classes, 96), builder)


def test_who_keeps_the_contract_stays_as_it_is_and_draws_no_random_number():
    network = Net()
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    assert of(network) is network
    assert torch.equal(torch.rand(1), expected)
    assert network.training
    assert notes_of(network) == ()


def test_another_size_and_other_channels_are_found_out():
    network = of(Net(channels=1, size=256))
    assert isinstance(network, Adapted)
    assert network(IMAGES).shape == (2, 1, 96, 96)
    assert network.notes == ("works on images of 256x256, 1 channel inside, made from those of 96x96",)
    assert isinstance(inside(network), Net)


def test_what_is_declared_beside_the_builder_goes_first():
    def builder():
        return Net()

    builder.image_size = 128
    assert "128x128" in of(builder(), builder=builder).notes[0]
    network = Net()
    network.image_size = (64, 64)
    assert "64x64" in of(network).notes[0]


@pytest.mark.parametrize("end", [lambda x: [x, x], lambda x: {"out": x}, lambda x: x[..., ::2, ::2], lambda x: x[:, 0]])
def test_lists_dicts_smaller_maps_and_maps_without_classes_come_out_as_one_map(end):
    network = of(Net(end)).eval()
    assert network(IMAGES).shape == (2, 1, 96, 96)


def test_in_training_all_maps_come_out_the_main_one_first():
    network = of(Net(lambda x: [x[..., ::4, ::4], x]))
    main, other = network.train()(IMAGES)
    assert main.shape == other.shape == (2, 1, 96, 96)
    assert torch.equal(main, inside(network).layer(IMAGES))
    assert isinstance(network.eval()(IMAGES), torch.Tensor)


def test_the_main_map_can_be_declared():
    network = Net(lambda x: {"a": x, "b": x + 1})
    network.main = "b"
    found = of(network).eval()
    torch.testing.assert_close(found(IMAGES), network.layer(IMAGES) + 1)
    network.main = "c"
    with pytest.raises(UserError, match=r"Net: main = 'c' is no map .*: output\['a'\] \(1, 96, 96\), output\['b'\]"):
        of(network)


def test_a_sigmoid_in_half_precision_gives_finite_logits_and_gradients():
    network = of(Net(torch.sigmoid)).train()
    inside(network).layer.bias.data.fill_(20.0)  # next to 1, where bfloat16 has no other number
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(IMAGES)
    logits.mean().backward()
    assert logits.isfinite().all()
    assert all(p.grad.isfinite().all() for p in network.parameters())


def test_who_takes_no_image_says_why_and_what_to_declare():
    with pytest.raises(
        UserError, match=r"Net takes no image of 3x96x96 \(AssertionError: input size 96 .*image_size = 256"
    ):
        of(Net(size=100))


def test_who_puts_out_no_map_of_the_classes_says_what_came_out():
    with pytest.raises(UserError, match=r"Net puts out \(1, 3, 96, 96\) for one image; 4 maps"):
        of(Net(maps=3), classes=4)


def test_an_adapted_network_trains():
    network = of(Net(torch.sigmoid, size=128)).train()
    network(IMAGES).mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


class Two(nn.Module):
    """Two maps of one size, of which the second is the main one."""

    def __init__(self, in_channels):
        super().__init__()
        self.layer = nn.Conv2d(in_channels, 1, 1)

    def forward(self, x):
        return self.layer(x) - 1, self.layer(x)


def test_what_it_does_not_take_itself_may_be_declared_as_an_argument():
    network = made(Two, "Two", Shapes(3, 1, 32), {"main": -1, "image_size": 48}).eval()
    images = torch.rand(2, 3, 32, 32)
    assert "48x48" in network.notes[0]
    inside = nn.functional.interpolate(images, (48, 48), mode="bilinear")
    wanted = nn.functional.interpolate(network.network.layer(inside), (32, 32), mode="bilinear")
    torch.testing.assert_close(network(images), wanted)
