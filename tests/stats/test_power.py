"""About how much more would decide: with so many patients or trainings the interval is as narrow as the gap."""

import numpy as np
import pytest
from scoring import shares

from bench.stats.estimate import estimate, half_width
from bench.stats.power import need


def test_so_many_patients_would_make_the_interval_as_narrow_as_the_gap():
    found = estimate([shares(*np.random.default_rng(1).normal(0.7, 0.1, 100))])
    wanted = need(0.005, found.n, (1,), found.parts)
    ((variance, _),) = found.parts
    half, _ = half_width([(variance * found.n / wanted.patients, wanted.patients - 1)])
    assert half == pytest.approx(0.005, rel=0.03)
    assert wanted.trainings is None


def test_more_patients_do_not_help_where_trainings_differ_too_much():
    parts = ((1e-6, 99), (4e-4, 20), (4e-4, 20))
    wanted = need(0.01, 100, (21, 21), parts)
    assert wanted.patients is None
    assert 21 < wanted.trainings < 1000
    less = sum(variance * 21 / wanted.trainings for variance, _ in parts[1:])
    half, _ = half_width([parts[0], (less, 2 * wanted.trainings)])
    assert half == pytest.approx(0.01, rel=0.1)


def test_a_figure_at_the_limit_needs_nobody_knows_how_many():
    wanted = need(0.0, 50, (1,), ((1e-4, 49),))
    assert (wanted.patients, wanted.trainings) == (None, None)
