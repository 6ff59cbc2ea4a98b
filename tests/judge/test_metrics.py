import pytest
from handmade import cost_record

from bench.errors import UserError
from bench.judge.metrics import METRICS, find_metric, seconds
from bench.quantities import Energy, Latency


def test_an_unknown_metric_is_answered_with_the_nearest():
    with pytest.raises(UserError, match="unknown metric 'latancy'; did you mean 'latency'"):
        find_metric("latancy")


def test_every_metric_is_under_its_own_name_and_only_one_record_metrics_read_one():
    assert all(name == metric.name for name, metric in METRICS.items())
    assert {name for name, m in METRICS.items() if m.value is None and m.tier != "score"} == {"latency"}


def test_figures_are_read_in_base_units():
    result = cost_record(parameters=7, macs=1000).result
    assert find_metric("parameters").value(result, "") == 7
    assert find_metric("macs_torch").value(result, "") == 1000
    assert find_metric("macs_fvcore").value(result, "") == 2000
    assert find_metric("attended").value(result, "nowhere") is None


def test_memory_gates_exactly_on_cuda_alone():
    memory = find_metric("memory_inference")
    assert memory.gates_exactly("cuda")
    assert not memory.gates_exactly("cpu")
    assert not find_metric("latency").gates_exactly("cuda")


def test_what_could_not_be_read_is_a_doubt():
    unread = Energy(joules_per_image=None, idle_watts=None, unreadable="no counter here")
    assert find_metric("energy").doubt(unread) == "no counter here"


def test_the_devices_own_clock_goes_first():
    both = Latency(samples_s=(2.0,), warmup_s=(), event_samples_s=(1.0,))
    assert seconds(both) == (1.0,)
    assert seconds(both.model_copy(update={"event_samples_s": ()})) == (2.0,)
