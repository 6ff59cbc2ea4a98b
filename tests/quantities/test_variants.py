"""Variants by name and back."""

import pytest

from bench.errors import UserError
from bench.quantities import LatencySpec
from bench.quantities.variants import VARIANTS, conditions, name_of, ordered


def spec(**changes: str) -> LatencySpec:
    return LatencySpec(machine="m", device="cpu", threads=2, **changes)


@pytest.mark.parametrize("name", [*VARIANTS, "folded+bfloat16", "channels_last+folded+bfloat16", "cuda_graph+folded"])
def test_a_name_leads_to_conditions_and_back(name):
    assert set(name_of(spec(**conditions(name))).split("+")) == set(name.split("+"))


def test_a_part_may_be_said_twice():
    assert conditions("folded+compiled+folded") == conditions("compiled+folded")


@pytest.mark.parametrize("name", ["bfloat16+folded", "folded+bfloat16", "folded+eager+bfloat16+folded"])
def test_the_order_of_the_parts_does_not_matter(name):
    assert ordered(name) == name_of(spec(**conditions(name))) == "folded+bfloat16"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("foldet", "unknown variant 'foldet'; did you mean 'folded'"),
        ("compiled+onnx", "both compiled and onnx"),
        ("folded+compiled+onnx", r"both folded\+compiled and onnx"),
        ("bfloat16+float16", "both bfloat16 and float16"),
    ],
)
def test_refusals(name, text):
    with pytest.raises(UserError, match=text):
        conditions(name)
