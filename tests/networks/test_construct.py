"""A class or function is given what its parameters ask for, whatever they are called."""

import pytest
from torch import nn

from bench.errors import UserError
from bench.networks.construct import construct, known_arguments
from bench.networks.table import Shapes

SHAPES = Shapes(1, 4, 96)


class Net(nn.Module):
    def __init__(self, **known):
        super().__init__()
        self.known = known


class Empty(Net):
    def __init__(self):
        super().__init__()


def by_other_names(n_channels, num_classes=2, img_size=(224, 224), width=8):
    return Net(channels=n_channels, classes=num_classes, size=img_size, width=width)


def test_known_facts_go_to_parameters_of_known_names_and_a_pair_stays_a_pair():
    assert construct(by_other_names, "net", SHAPES, {}).known == {
        "channels": 1, "classes": 4, "size": (96, 96), "width": 8
    }  # fmt: skip


def test_widths_of_stages_are_no_number_of_channels():
    def wide(channels=(8, 16), n_classes=2):
        return Net(channels=channels, classes=n_classes)

    assert construct(wide, "net", SHAPES, {}).known == {"channels": (8, 16), "classes": 4}


@pytest.mark.parametrize(
    ("builder", "known"),
    [
        (lambda channels=64: Net(channels=channels), {"channels": 64}),
        (lambda channels=3: Net(channels=channels), {"channels": 1}),
        (lambda num_channels=5: Net(channels=num_channels), {"channels": 5}),
        (lambda num_channels=4: Net(channels=num_channels), {"channels": 1}),
        (lambda out_channels=64: Net(out=out_channels), {"out": 64}),
        (lambda out_channels=2: Net(out=out_channels), {"out": 4}),
        (lambda out_channels: Net(out=out_channels), {"out": 4}),
        (lambda in_channels=64: Net(channels=in_channels), {"channels": 1}),  # this name has one meaning
    ],
)
def test_a_default_that_is_no_images_is_the_width_of_a_layer(builder, known):
    assert construct(builder, "net", SHAPES, {}).known == known


def test_the_width_leaves_its_place_to_the_next_name():
    def build(out_channels=64, n_classes=2, channels=32, in_ch=3):
        return Net(out_channels=out_channels, n_classes=n_classes, channels=channels, in_ch=in_ch)

    assert known_arguments(build, "net", SHAPES, {"in_ch": 3}) == {"n_classes": 4}
    assert construct(build, "net", SHAPES, {}).known == {
        "out_channels": 64, "n_classes": 4, "channels": 32, "in_ch": 1
    }  # fmt: skip


def test_the_users_own_argument_stands():
    assert construct(by_other_names, "net", SHAPES, {"num_classes": 9, "width": 3}).known["classes"] == 9


def test_a_builder_that_asks_for_nothing_is_given_nothing():
    assert construct(Empty, "net", SHAPES, {}).known == {}


@pytest.mark.parametrize(
    ("builder", "arguments", "said"),
    [
        (by_other_names, {"widht": 3}, "unknown argument of net 'widht'; did you mean 'width'"),
        (lambda depth: Net(depth=depth), {}, "needs depth; give it: --arg depth=VALUE, or name a function"),
        (lambda: "a network", {}, "gives a str, not a torch.nn.Module"),
        (3, {}, "is a int; name a class or a function"),
        (Net(), {}, "is a Net; name a class or a function"),
    ],
)
def test_what_cannot_be_called_is_told_in_words(builder, arguments, said):
    with pytest.raises(UserError, match=said):
        construct(builder, "net", SHAPES, arguments)


def test_a_builder_that_takes_all_is_given_all():
    assert construct(lambda classes, **more: Net(classes=classes, **more), "net", SHAPES, {"depth": 2}).known == {
        "classes": 4,
        "depth": 2,
    }
