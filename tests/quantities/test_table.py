"""The table of quantities: what a study asks of each, and the metrics and columns that all commands read."""

from dataclasses import replace
from pathlib import Path

import pytest
from handmade import cost_record, dice_record, latency_record

import bench
from bench.errors import UserError
from bench.quantities import (
    MEASURABLE,
    METRICS,
    QUANTITIES,
    Asked,
    AskedData,
    Energy,
    EnergySpec,
    Latency,
    LatencySpec,
    Memory,
    MemorySpec,
    Peak,
    PeakSpec,
    ProfileSpec,
    find_metric,
)
from bench.quantities.budget import BUDGETS
from bench.quantities.variants import name_of
from bench.run.job import Job

DATA = AskedData("synthetic", "0" * 12, 1, ("object",), "per_image", {"train": 100, "val": 20, "test": 30})
ASKED = Asked(MEASURABLE, BUDGETS["quick"], "m", "cpu", 2, data=DATA)


def specs(name: str, **changes):
    return QUANTITIES[name].jobs(replace(ASKED, **changes))


@pytest.mark.parametrize("quantity", QUANTITIES.values(), ids=QUANTITIES)
def test_a_quantity_is_named_alike_everywhere(quantity):
    assert quantity.spec.model_fields["quantity"].default == quantity.name
    assert quantity.result.model_fields["quantity"].default == quantity.name
    if quantity.takes != "order":
        measure = Path(bench.__file__).parent / "measure" / f"{quantity.name}.py"
        assert f"\ndef {quantity.name}(" in measure.read_text()
    names = set(quantity.spec.model_fields)
    assert {*quantity.grows, *quantity.repeats, *quantity.beside} <= names
    assert all(set(metric.where) <= names for metric in quantity.metrics)


@pytest.mark.parametrize("name", QUANTITIES)
def test_jobs_are_conditions_of_their_quantity_each_asked_once(name):
    wanted = specs(name, sizes=(128,), batches=(1, 4), variants=("eager", "folded"), seeds=(0, 1))
    assert wanted
    assert len(set(wanted)) == len(wanted)
    assert all(type(spec) is QUANTITIES[name].spec for spec in wanted)
    assert all(QUANTITIES[name].passes(spec, ASKED) >= 0 for spec in wanted)


def test_a_sweep_leads_away_from_the_first_batch_and_the_trained_size_one_step_at_a_time():
    more = {"sizes": (448, 112), "batches": (1, 8, 2), "variants": ("folded+bfloat16",)}
    assert [spec.size for spec in specs("cost", **more)] == [224, 112, 448]
    first = [spec for spec in specs("latency", **more) if spec.process == 0]
    assert [(spec.size, spec.batch, name_of(spec)) for spec in first] == [
        (224, 1, "eager"), (112, 1, "eager"), (448, 1, "eager"), (224, 2, "eager"), (224, 8, "eager"),
        (224, 1, "folded+bfloat16"),
    ]  # fmt: skip
    memory = [(spec.mode, spec.size, spec.batch) for spec in specs("memory", **more)]
    assert memory == [("inference", size, 1) for size in (112, 224, 448)] + [("training", 224, 4)]


@pytest.mark.parametrize("name", ["peak", "latency", "memory", "energy", "profile"])
def test_switches_are_conditions_of_all_that_runs_and_first_keys_without_them_stay_as_they_are(name):
    plain, tf32, tuned = (
        specs(name, **switch)[-1] for switch in ({}, {"tf32": True}, {"cudnn_benchmark": True})
    )  # fmt: skip
    assert [(spec.tf32, spec.cudnn_benchmark) for spec in (plain, tf32, tuned)] == [
        (False, False), (True, False), (False, True)
    ]  # fmt: skip
    jobs = [Job(network="unet", network_digest="d", spec=spec) for spec in (plain, tf32, tuned)]
    assert len({job.key for job in jobs}) == len({job.first_key for job in jobs}) == 3


def test_a_condition_that_older_records_lack_leaves_their_name_as_it_was():
    """Stored digits, made before the switches, the runtime and the windows were conditions."""
    shared = {"machine": "m", "device": "cpu", "threads": 2}
    specs = [kind(**shared) for kind in (LatencySpec, MemorySpec, EnergySpec, PeakSpec, ProfileSpec)]
    names = [Job(network="unet", network_digest="d", spec=spec).first_key for spec in specs]
    assert names == [
        "unet-latency-a747b05fe37b",
        "unet-memory-a747b05fe37b",
        "unet-energy-a747b05fe37b",
        "unet-peak-a747b05fe37b",
        "unet-profile-a747b05fe37b",
    ]


def test_the_training_step_whose_memory_is_measured_has_one_batch_in_every_budget():
    steps = [specs("memory", budget=budget)[-1] for budget in BUDGETS.values()]
    assert len({budget.batch for budget in BUDGETS.values()}) > 1
    assert {(spec.mode, spec.batch) for spec in steps} == {("training", 4)}


def test_each_seed_is_a_training_and_own_weights_are_scored_once_without_one():
    assert [spec.train.seed for spec in specs("dice", seeds=(0, 5))] == [0, 5]
    (own,) = specs("dice", seeds=(0, 5), weights="1" * 12)
    assert (own.train, own.weights) == (None, "1" * 12)
    assert specs("dice", data=None) == []


def test_classes_are_named_where_there_are_several():
    (one,) = specs("dice")
    (three,) = specs("dice", data=replace(DATA, maps=4, labels=("a", "b", "c")))
    assert (one.labels, one.classes) == ((), 1)
    assert (three.labels, three.classes) == (("a", "b", "c"), 4)
    assert specs("cost", data=replace(DATA, maps=4))[0].classes == 4


def test_the_machines_peak_is_found_wherever_something_is_timed():
    assert len(specs("peak")) == 1
    assert specs("peak", measures=("cost", "memory")) == []


def test_a_training_is_three_passes_of_each_image_and_its_checks_and_scores_one():
    (spec,) = specs("dice")  # 80 steps of 4 images, checked 4 times on 20 images, scored on 30
    assert QUANTITIES["dice"].passes(spec, ASKED) == 3 * 80 * 4 + 4 * 20 + 30
    own = specs("dice", weights="1" * 12)[0]
    assert QUANTITIES["dice"].passes(own, ASKED) == 30


def test_what_is_announced_names_the_conditions():
    said = {name: QUANTITIES[name].told(specs(name)[0], replace(ASKED, seeds=(0, 3))) for name in MEASURABLE}
    assert {name for name, told in said.items() if told} == {"latency", "dice"}
    assert said["latency"][1].startswith("batch 1 of 3 channels at 224 pixels a side, float32")
    assert said["latency"][1].endswith("2 threads, 3 processes of 8 calls or more")
    assert "80 steps of 4 images in float32" in said["dice"][1]
    assert "; seeds 0, 3; checked on val and saved every 20 steps" in said["dice"][1]
    own = replace(ASKED, weights="1" * 12, weights_file="mine.pt")
    assert QUANTITIES["dice"].told(QUANTITIES["dice"].jobs(own)[0], own) == (
        "weights", "from mine.pt, trained elsewhere",
    )  # fmt: skip


def test_results_in_one_line():
    told = {
        "cost": (cost_record().result, "31.04 M parameters, 36.88 GMAC (fvcore), 36.88 GMAC (torch)"),
        "latency": (latency_record(samples_s=(1.2, 1.2345)).result, "median 1217 ms of 2 calls"),
        "memory": (Memory(weights_bytes=2**20, peak_bytes=12345 * 2**20), "12345 MiB, of which weights 1.00 MiB"),
        "energy": (Energy(joules_per_image=None, idle_watts=None, unreadable="no counter"), "no counter"),
        "peak": (Peak(macs_per_s=2e11, bytes_per_s=1.5e10), "200.00 G multiply-adds/s, 15.00 GB/s"),
        "dice": (dice_record(dice=(0.5, float("nan"), 0.7)).result, "Dice 0.600, the mean of 2 scores"),
    }
    assert {name: QUANTITIES[name].summary(result) for name, (result, _) in told.items()} == {
        name: line for name, (_, line) in told.items()
    }


def test_an_unknown_metric_is_answered_with_the_nearest():
    with pytest.raises(UserError, match="unknown metric 'latancy'; did you mean 'latency'"):
        find_metric("latancy")


def test_every_metric_is_under_its_own_name_and_is_read_in_one_way():
    assert all(name == metric.name for name, metric in METRICS.items())
    assert sum(len(quantity.metrics) for quantity in QUANTITIES.values()) == len(METRICS)
    for metric in METRICS.values():
        assert [metric.value is not None, metric.samples is not None, metric.tier == "score"].count(True) == 1
        assert metric in [one.of(metric.quantity) for one in QUANTITIES[metric.quantity].metrics]


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
    assert find_metric("parameters").doubt(unread) == ""


def test_latency_is_the_wall_time_and_the_gpu_time_has_a_name_of_its_own():
    both = Latency(samples_s=(2.0,), warmup_s=(), event_samples_s=(1.0,))
    on_cpu = both.model_copy(update={"event_samples_s": ()})
    latency, gpu_time = (find_metric(name).samples for name in ("latency", "gpu_time"))
    assert (latency(both), gpu_time(both)) == ((2.0,), (1.0,))
    assert (latency(on_cpu), gpu_time(on_cpu)) == ((2.0,), ())


def test_columns_read_a_figure_from_results_of_one_network():
    columns = {(q.name, c.name, c.detail): c for q in QUANTITIES.values() for c in q.columns}
    assert columns["cost", "Params", "M"].value([cost_record().result]) == 31_037_633
    time = columns["latency", "Latency", "ms"].value([latency_record(samples_s=(n,)).result for n in (1.0, 2.0, 9.0)])
    assert (time.value, time.n) == (pytest.approx(18 ** (1 / 3)), 3)
    limits = [column.limit for column in columns.values() if column.limit]
    assert sorted(limits) == ["latency", "memory", "multiply-adds", "parameters"]
