"""Maps are found in whatever a network puts out; several are trained against one mask."""

import pytest
import torch

from bench.networks.output_maps import binary, logit_maps, supervised

LARGE, SMALL = torch.zeros(2, 1, 8, 8), torch.ones(2, 1, 4, 4)


@pytest.mark.parametrize(
    "output", [LARGE, (LARGE, SMALL), [SMALL, LARGE], {"aux": SMALL, "out": LARGE}, (torch.zeros(2, 7), [SMALL, LARGE])]
)
def test_the_largest_map_is_the_main_one(output):
    assert logit_maps(output, 1)[0] is LARGE


def test_of_equals_the_first_is_the_main_one_and_other_numbers_of_classes_are_passed_over():
    first, second, other = torch.zeros(1, 4, 8, 8), torch.ones(1, 4, 8, 8), torch.zeros(1, 3, 99, 99)
    assert logit_maps([other, first, second], 4)[0] is first


def test_of_equals_the_least_nested_is_the_main_one():
    main = torch.zeros(1, 1, 8, 8)
    assert logit_maps(((torch.ones(1, 1, 8, 8), torch.ones(1, 1, 8, 8)), main), 1)[0] is main


def test_a_map_without_classes_and_two_maps_for_one_class():
    assert logit_maps(torch.zeros(2, 8, 8), 1)[0].shape == (2, 1, 8, 8)
    two = torch.randn(2, 2, 8, 8)
    assert logit_maps(two, 1)[0] is two
    torch.testing.assert_close(torch.sigmoid(binary(two, 1)), two.softmax(1)[:, 1:])


def test_further_maps_weigh_half_of_the_one_before_and_all_weigh_one():
    def mean(maps):
        assert maps.shape[-2:] == (8, 8)
        return maps.mean()

    assert supervised((LARGE, SMALL), 1, (8, 8), mean).item() == pytest.approx(1 / 3)
    assert supervised((LARGE, SMALL, SMALL), 1, (8, 8), mean).item() == pytest.approx(3 / 7)
    assert supervised(SMALL, 1, (8, 8), mean).item() == 1
