"""Both counters on the closed formulas."""

import pytest

from bench.measure.counters import by_fvcore, by_torch
from bench.measure.formulas import formulas


@pytest.mark.parametrize("formula", formulas())
@pytest.mark.parametrize("counter", [by_fvcore, by_torch])
def test_closed_formulas(counter, formula):
    network, x, macs = formulas()[formula]
    by_operator = counter(network, x).by_operator
    assert sum(n for name, n in by_operator.items() if not name.endswith("_norm")) == macs
