"""Sweeps are drawn where there is more than one point."""

from handmade import LATENCY, record

from bench.quantities import Latency
from bench.report.speed_figures import by_size, throughput
from bench.summary.speeds import speeds


def timed(seconds: float, **conditions):
    return record("unet", LATENCY.model_copy(update=conditions), Latency(samples_s=(seconds,) * 5, warmup_s=()))


def test_throughput_by_batch_has_a_line_a_network_with_units():
    (found,) = speeds([timed(0.1), timed(0.1, batch=2), timed(0.2, batch=4)])
    axes = throughput(found).axes[0]
    assert list(axes.lines[0].get_ydata()) == [10, 20, 20]
    assert axes.get_ylabel().startswith("images a second")
    assert by_size(found) is None


def test_latency_by_size():
    (found,) = speeds([timed(0.1), timed(0.4, size=448)])
    assert list(by_size(found).axes[0].lines[0].get_ydata()) == [100, 400]
    assert throughput(found) is None
