"""Volumes stretched to bytes, and labels checked."""

from pathlib import Path

import numpy as np
import pytest

from bench.data.volumes import bounds, checked_labels, grey_rgb, stretched
from bench.errors import UserError

FILE = Path("a.nii.gz")


def test_the_ends_become_0_and_255() -> None:
    values = np.array([[[-100, 0, 100]], [[300, 299, 300]]], np.int16)
    low, high = bounds(values, FILE)
    assert (low, high) == (-100, 300)
    assert stretched(values, low, high).tolist() == [[[0, 64, 128]], [[255, 254, 255]]]


def test_a_volume_of_one_value_is_black() -> None:
    assert stretched(np.full((2, 2), 7), 7, 7).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(UserError, match=r"a\.nii\.gz holds values that are not finite numbers"):
        bounds(np.array([0, value]), FILE)


def test_three_equal_channels() -> None:
    assert grey_rgb(np.array([[1, 2]], np.uint8)).tolist() == [[[1, 1, 1], [2, 2, 2]]]


def test_labels_are_class_numbers_and_others_are_named() -> None:
    assert checked_labels(np.array([[0.0, 2.0]]), FILE, ("a", "b")).dtype == np.uint8
    with pytest.raises(
        UserError, match=r"a\.nii\.gz holds the label -1, 0\.5, 3; allowed are 0 \(background\), 1 \(a\)"
    ):
        checked_labels(np.array([3, 0.5, -1, 0]), FILE, ("a", "b"))
    with pytest.raises(UserError, match="and 12 more"):
        checked_labels(np.arange(1, 21) + 2, FILE, ("a", "b"))
