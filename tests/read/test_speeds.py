"""Sweeps, percentiles, saturation and exponents, from records made by hand."""

import numpy as np
import pytest
from handmade import LATENCY, altered, cost_record, latency_record, record

from bench.quantities import CostSpec, Energy, EnergySpec, Latency, Memory, MemorySpec, Peak, PeakSpec
from bench.read.speeds import speeds


def timed(seconds: float, network: str = "unet", **conditions):
    spec = LATENCY.model_copy(update=conditions)
    return record(network, spec, Latency(samples_s=(seconds,) * 5, warmup_s=()))


def memory(mode: str, peak: int, **conditions):
    spec = MemorySpec(machine=LATENCY.machine, device="cpu", threads=2, mode=mode, **conditions)
    return record("unet", spec, Memory(weights_bytes=100, peak_bytes=peak))


def test_times_on_fewer_threads_are_apart():
    both = [latency_record(), altered(latency_record(samples_s=(0.9,) * 3), threads=1)]
    assert [found.rows[0].latency_s().value for found in speeds(both)] == [0.31, 0.9]


def test_throughput_rises_until_it_saturates():
    times = {1: 0.10, 2: 0.11, 4: 0.20, 8: 0.40}  # 10, 18.2, 20, 20 images a second
    (found,) = speeds([timed(seconds, batch=batch) for batch, seconds in times.items()])
    (row,) = found.rows
    assert found.batches == [1, 2, 4, 8]
    assert row.throughput(4) == pytest.approx(20)
    assert row.saturates_at(found.batches) == 2
    assert row.saturates_at([1]) is None


def test_a_sweep_is_of_those_that_were_timed_at_more_than_one_value():
    records = [timed(1.0), timed(2.0, batch=4), timed(3.0, "unetpp")]
    (found,) = speeds(records)
    assert [row.network for row in found.swept(lambda s: s.batch)] == ["unet"]
    assert [row.network for row in found.swept(lambda s: s.size)] == ["unet", "unetpp"]


def test_single_figures_are_of_the_smallest_batch_and_the_usual_size():
    (found,) = speeds([timed(9.0, size=512), timed(1.0), timed(5.0, batch=4), timed(0.2, size=128)])
    assert found.rows[0].latency_s().value == 1.0
    assert found.sizes == [128, 224, 512]


def test_a_percentile_needs_enough_calls_and_lies_in_its_interval():
    samples = tuple(np.random.default_rng(0).lognormal(-2, 0.1, 36))
    (few,) = speeds([latency_record(samples_s=samples[:35])])
    (enough,) = speeds([latency_record(samples_s=samples)])
    assert few.rows[0].percentile_s(90) is None
    found = enough.rows[0].percentile_s(90)
    assert found.low < found.value <= found.high == max(samples)
    assert enough.rows[0].percentile_s(95) is None


def test_variants_are_beside_the_plain_network():
    (found,) = speeds([timed(1.0), timed(0.5, form="folded"), timed(0.4, precision="bfloat16")])
    assert found.variants == ["eager", "bfloat16", "folded"]
    assert found.rows[0].latency_s(variant="folded").value == 0.5


def test_share_of_peak_is_of_the_same_machine():
    macs = cost_record().result.torch.macs
    here = record(
        "machine",
        PeakSpec(machine=LATENCY.machine, device="cpu", threads=2),
        Peak(macs_per_s=2.0 * macs, bytes_per_s=1),
    )
    elsewhere = record("machine", PeakSpec(machine="m", device="cpu", threads=2), Peak(macs_per_s=macs, bytes_per_s=1))
    (found,) = speeds([elsewhere, here, cost_record(), timed(1.0)])
    assert found.rows[0].share_of_peak == pytest.approx(0.5)
    assert speeds([elsewhere, cost_record(), timed(1.0)])[0].rows[0].share_of_peak is None


def test_memory_and_energy_are_found():
    spec = EnergySpec(machine=LATENCY.machine, device="cpu", threads=2)
    energy = record("unet", spec, Energy(joules_per_image=None, idle_watts=None, unreadable="no counter"))
    (found,) = speeds([timed(1.0), memory("inference", 300), memory("training", 900, batch=4), energy])
    (row,) = found.rows
    assert row.memory("inference").activations_bytes == 200
    assert row.memory("training").peak_bytes == 900
    assert row.energy.unreadable == "no counter"


def test_machines_are_never_mixed_and_nothing_timed_is_nothing():
    assert len(speeds([timed(1.0), timed(2.0, machine="other")])) == 2
    assert speeds([record("unet", CostSpec(), cost_record().result)]) == []


@pytest.mark.parametrize("switch", ["tf32", "cudnn_benchmark"])
def test_times_with_a_switch_on_stand_apart(switch):
    plain, switched = speeds([timed(1.0), timed(0.5, **{switch: True})])
    assert (plain.switches, switched.switches) == ((), (switch,))
    assert [found.rows[0].latency_s().value for found in (plain, switched)] == [1.0, 0.5]


def test_what_ended_a_sweep_is_known():
    ended = record("unet", LATENCY.model_copy(update={"batch": 64}), None, status="out_of_memory", error="no memory")
    refused = record("unet", LATENCY.model_copy(update={"form": "onnx"}), None, status="refused", error="not installed")
    (found,) = speeds([timed(1.0), ended, refused])
    assert found.rows[0].failure("latency", batch=64) == "out of memory"
    assert found.rows[0].refusal("onnx") == "not installed"


def test_a_variant_is_held_against_the_plain_network_of_its_own_rounds():
    """A longer protocol on another day was faster for both: the quotient must not mix the two."""
    other_day = [timed(0.05, samples=500, process=n) for n in range(3)]
    rounds = [timed(0.1 * (1 + n), process=n) for n in range(3)]
    folded = [timed(0.08 * (1 + n), process=n, form="folded") for n in range(3)]
    (found,) = speeds([*other_day, *rounds, *folded])
    (row,) = found.rows
    ratio = row.over_plain("folded")
    assert (ratio.value, ratio.n) == (pytest.approx(0.8), 3)
    assert row.over_plain("eager") is None
    assert row.over_plain("onnx") is None
