"""Variants by name and back."""

import pytest

from bench.errors import UserError
from bench.quantities import LatencySpec
from bench.variants import VARIANTS, conditions, name_of


def spec(**changes: str) -> LatencySpec:
    return LatencySpec(machine="m", device="cpu", threads=2, **changes)


@pytest.mark.parametrize("name", [*VARIANTS, "folded+bfloat16", "channels_last+folded+bfloat16"])
def test_a_name_leads_to_conditions_and_back(name):
    assert set(name_of(spec(**conditions(name))).split("+")) == set(name.split("+"))


def test_the_order_of_the_parts_does_not_matter():
    assert name_of(spec(**conditions("bfloat16+folded"))) == name_of(spec(**conditions("folded+bfloat16")))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("foldet", "unknown variant 'foldet'; did you mean 'folded'"),
        ("folded+onnx", "both folded and onnx"),
        ("bfloat16+float16", "both bfloat16 and float16"),
    ],
)
def test_refusals(name, text):
    with pytest.raises(UserError, match=text):
        conditions(name)
