"""The loader's rates are measured; how high they are is for benchmarks, not tests."""

from bench.data import open_dataset
from bench.data.speed import rates


def test_rates_of_a_few_samples():
    found = rates(open_dataset("synthetic"), size=64, limit=8)
    assert found.samples == 8
    assert found.cold_per_s > 0
    assert found.cached_per_s > 0
