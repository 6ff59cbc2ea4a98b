"""Maps are found in whatever a network puts out, by their form and place; several are trained against one mask."""

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch

from bench.errors import UserError
from bench.networks.output_maps import at, binary, chosen, maps_in, shaped_as_map, steps_of, supervised, told

IMAGES = torch.zeros(2, 3, 8, 8)
LARGE, SMALL = torch.zeros(2, 1, 8, 8), torch.ones(2, 1, 4, 4)
Pair = namedtuple("Pair", "logits features")


@dataclass
class Output:
    loss: object
    logits: torch.Tensor


def places(output, classes=1, images=IMAGES):
    return list(maps_in(output, images, classes))


def order(output, main=None, classes=1):
    found = maps_in(output, IMAGES, classes)
    return chosen(steps_of(output), found, main)


@pytest.mark.parametrize(
    ("output", "place"),
    [
        (LARGE, ()),
        ((LARGE, SMALL), (0,)),
        ([SMALL, LARGE], (1,)),
        ({"aux": SMALL, "top": LARGE}, ("top",)),
        ((torch.zeros(2, 7), [SMALL, (LARGE,)]), (1, 1, 0)),
        (Output(None, LARGE), ("logits",)),
        (Pair(LARGE, torch.zeros(2, 9, 4, 4)), ("logits",)),
        (SimpleNamespace(masks=LARGE), ("masks",)),
    ],
)
def test_a_map_is_found_at_any_depth_and_the_largest_is_the_main_one(output, place):
    found = order(output)
    assert found.places[0] == place
    assert at(output, place) is LARGE
    assert found.equal == 1


@pytest.mark.parametrize(
    "other",
    [
        torch.zeros(2, 64, 128),  # tokens
        torch.zeros(2, 64, 1),  # the pixels in a row
        torch.zeros(2, 64),
        torch.zeros(2, 3, 8, 8),  # another number of classes
        torch.zeros(2, 1, 16, 16),  # larger than the image
        torch.zeros(2, 1, 4, 8),
        torch.zeros(2, 1, 1, 1),
        torch.zeros(1, 1, 8, 8),  # of one image
        torch.zeros(2, 8, 8, dtype=torch.int64),
        torch.zeros(2, 1, 8, 8, dtype=torch.bool),
        None,
        "a word",
        torch.nn.Conv2d(1, 1, 1),
    ],
)
def test_what_is_no_map(other):
    assert places((LARGE, other)) == [(0,)]


def test_a_map_larger_than_the_image_is_one_if_there_is_no_other():
    assert places((torch.zeros(2, 1, 16, 16), None)) == [(0,)]


def test_sizes_may_be_rounded_when_they_are_halved():
    images = torch.zeros(2, 3, 100, 68)
    assert places([torch.zeros(2, 1, 7, 5), torch.zeros(2, 1, 25, 17), torch.zeros(2, 1, 25, 20)], 1, images) == [
        (0,), (1,)
    ]  # fmt: skip


def test_stacked_heads_are_taken_apart():
    stacked = torch.arange(3.0)[None, :, None, None, None].expand(2, 3, 4, 8, 8)
    assert places(stacked, 4) == [(0,), (1,), (2,)]
    assert at(stacked, (2,)).unique() == 2
    assert places((stacked, None), 4) == [(0, 0), (0, 1), (0, 2)]
    assert order(stacked, -1, 4).places[0] == (2,)


def test_of_equals_all_are_named_the_least_nested_first():
    found = order(((LARGE, LARGE.clone()), LARGE.clone(), SMALL))
    assert found == ([(1,), (0, 0), (0, 1), (2,)], 3)


@pytest.mark.parametrize(
    ("output", "place"),
    [
        ({"aux": LARGE, "out": SMALL}, ("out",)),
        (OrderedDict(edges=LARGE, logits=LARGE), ("logits",)),
        ({"main": LARGE, "logits": LARGE, "x": LARGE}, ("logits",)),
        ([LARGE, {"main": SMALL}], (1, "main")),
        (Output(LARGE, SMALL), ("logits",)),
        (Pair(SMALL, LARGE), ("logits",)),
    ],
)
def test_a_known_name_decides_whatever_the_size(output, place):
    found = order(output)
    assert (found.places[0], found.equal) == (place, 1)
    assert len(found.places) == len(set(found.places)) == len(places(output))


def test_several_at_a_known_name_are_equal():
    assert order({"aux": LARGE, "out": [LARGE, LARGE, SMALL]}).equal == 2


@pytest.mark.parametrize(("main", "place"), [("b", (1, "b")), (-1, (1, "b")), (0, (0,)), (1, (1, "b"))])
def test_what_is_declared_decides_before_all(main, place):
    assert order((LARGE, {"b": SMALL}), main).places[0] == place


@pytest.mark.parametrize("main", ["c", 2, -3])
def test_what_is_declared_and_not_there_is_refused_with_what_is(main):
    with pytest.raises(UserError, match=rf"main = '?{main}'? is no map .* output\[0\] \(1, 8, 8\), output\[1\]\['b'\]"):
        order((LARGE, {"b": SMALL}), main)


def test_a_place_is_told_as_code():
    assert told((0, "aux")) == "output[0]['aux']"


def test_axes_may_be_missing_for_one_class_and_for_one_image():
    assert shaped_as_map(torch.zeros(2, 8, 8), 2, 1).shape == (2, 1, 8, 8)
    assert shaped_as_map(torch.zeros(8, 8), 1, 1).shape == (1, 1, 8, 8)
    assert shaped_as_map(torch.zeros(4, 8, 8), 1, 4).shape == (1, 4, 8, 8)
    assert shaped_as_map(torch.zeros(4, 8, 8), 2, 4) is None


def test_two_maps_are_the_logits_of_one_class():
    two = torch.randn(2, 2, 8, 8)
    assert shaped_as_map(two, 2, 1) is two
    torch.testing.assert_close(torch.sigmoid(binary(two, 1)), two.softmax(1)[:, 1:])


def test_further_maps_weigh_half_of_the_one_before_and_all_weigh_one():
    def mean(maps):
        assert maps.shape[-2:] == (8, 8)
        return maps.mean()

    assert supervised((LARGE, SMALL), 1, (8, 8), mean).item() == pytest.approx(1 / 3)
    assert supervised((LARGE, SMALL, SMALL), 1, (8, 8), mean).item() == pytest.approx(3 / 7)
    assert supervised(SMALL, 1, (8, 8), mean).item() == 1
