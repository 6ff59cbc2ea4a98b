"""Conditions are strict and never change."""

import pytest
from pydantic import ValidationError

from bench.quantities import CostSpec, LatencySpec


@pytest.mark.parametrize("wrong", [{"size": 0}, {"colour": 3}])
def test_impossible_and_unknown_conditions_are_refused(wrong):
    with pytest.raises(ValidationError):
        CostSpec(**wrong)


def test_conditions_never_change():
    spec = LatencySpec(machine="m", device="cpu", threads=2)
    with pytest.raises(ValidationError):
        spec.batch = 2
