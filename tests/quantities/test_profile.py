import pytest

from bench.quantities import ModuleCost


@pytest.mark.parametrize(("name", "depth"), [("", 0), ("encode", 1), ("encode.attention.local", 3)])
def test_depth_is_how_far_inside_the_network(name, depth):
    module = ModuleCost(name=name, kind="Module", parameters=0, macs=0, activations=0, calls=1, time_s=None)
    assert module.depth == depth
