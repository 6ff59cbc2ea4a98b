import numpy as np
import pytest
from claiming import at, busy, counted, now, timed, trained, trainings
from gitting import commit
from handmade import ENVIRONMENT, altered, fold_record, predicted_record, record, unnamed_record

from bench.judge.compare import Change, compare
from bench.judge.history import history
from bench.quantities import Memory, MemorySpec, find_metric
from bench.report.changes import as_text
from bench.run.store import Record


def found(base, head):
    return {change.metric.name: change for change in compare(base, head)}


def test_a_count_that_grew_is_worse_one_that_fell_better_and_one_that_stayed_the_same():
    grown = found([counted(parameters=100)], [counted(parameters=103)])
    assert (grown["parameters"].outcome, grown["parameters"].change) == ("worse", pytest.approx(0.03))
    assert grown["macs_fvcore"].outcome == "same"
    assert found([counted(parameters=103)], [counted(parameters=100)])["parameters"].outcome == "better"


def test_what_is_on_one_side_only_appeared_or_vanished():
    both = compare([counted("unet")], [counted("unetpp")])
    assert {(c.network, c.outcome) for c in both} == {("unet", "vanished"), ("unetpp", "appeared")}


def test_of_an_edited_network_the_newest_records_count():
    old = counted(parameters=5).model_copy(
        update={"job": counted().job.model_copy(update={"network_digest": "0" * 12})}
    )
    new = counted(parameters=7).model_copy(update={"before": at(5)})
    assert found([counted(parameters=7)], [new, old])["parameters"].outcome == "same"


def test_times_differ_only_beyond_their_spread_and_a_quiet_machines_drift():
    base = timed("unet", [1.0, 1.01, 0.99, 1.0, 1.0])
    assert found(base, timed("unet", [1.5, 1.51, 1.49, 1.5, 1.5]))["latency"].outcome == "worse"
    assert found(base, timed("unet", [0.5, 0.51, 0.49, 0.5, 0.5]))["latency"].outcome == "better"
    assert found(base, timed("unet", [1.02, 1.03, 1.01, 1.02, 1.02]))["latency"].outcome == "same"
    assert found(base, timed("unet", [1.0, 1.5, 0.8, 1.2, 0.9]))["latency"].outcome == "undecided"
    assert found(base, timed("unet", [1.5]))["latency"].outcome == "undecided", "one process says nothing of its spread"


def test_times_on_a_gpu_are_compared_by_both_clocks_and_on_a_cpu_by_one():
    base = timed("unet", [1.0, 1.01, 0.99, 1.0, 1.0])
    assert "gpu_time" not in found(base, base)
    assert "gpu_time" not in found(base, elsewhere(base, cpu="B CPU"))
    on_gpu = [altered(r, {"event_samples_s": (r.result.samples_s[0] / 2,)}, device="cuda") for r in base]
    slower = [altered(r, {"event_samples_s": r.result.samples_s}) for r in on_gpu]
    both = found(on_gpu, slower)
    assert (both["latency"].outcome, both["gpu_time"].outcome) == ("same", "worse")


def elsewhere(records, **facts):
    other = ENVIRONMENT.model_copy(update=facts)
    return [r.model_copy(update={"machine": other}) for r in records]


def test_times_of_two_machines_are_refused_with_the_fact_and_both_values():
    base = timed("unet", [1.0] * 5)
    change = found(base, elsewhere(base, cpu="B CPU"))["latency"]
    assert (change.outcome, change.reason) == ("refused", "processor differs: A CPU and B CPU")
    change = found(base, elsewhere(base, packages={"torch": "2.11.0"}))["latency"]
    assert change.reason == "torch differs: 2.14.1 and 2.11.0"


FIVE = ("attention_unet", "mdsa_unet", "swin_unet", "unet", "unetpp")
NOISE = (1.0, 1.01, 0.99, 1.0, 1.005)


def run(drift: float, edited: float | None = None) -> list[Record]:
    """Five networks, all slower by `drift`; the code of MDSA-UNet edited, and slower by `edited` in all."""
    records = []
    for place, name in enumerate(FIVE):
        factor = 1 + (edited if edited is not None and name == "mdsa_unet" else drift)
        made = timed(name, [(place + 1) * factor * one for one in NOISE])
        if edited is not None and name == "mdsa_unet":
            job = made[0].job.model_copy(update={"network_digest": "e" * 12})
            made = [r.model_copy(update={"job": job.model_copy(update={"spec": r.job.spec})}) for r in made]
        records += made
    return records


def of_latency(base: list[Record], head: list[Record]) -> dict[str, Change]:
    return {change.network: change for change in compare(base, head) if change.metric.name == "latency"}


def test_where_all_unchanged_networks_move_alike_the_machine_did():
    changes = of_latency(run(0.0), run(0.1))
    assert {name: change.outcome for name, change in changes.items()} == dict.fromkeys(FIVE, "same")
    drift = changes["unet"].drift
    assert (drift.value, drift.controls, drift.is_shown) == (pytest.approx(0.1), 5, True)
    assert as_text([*changes.values()]).startswith(
        "latency: the 5 unchanged networks moved by +10.0 % [+10.0, +10.0]: the machine is slower today"
    )


def test_an_edited_network_is_judged_without_the_machines_drift():
    with_it = of_latency(run(0.0), run(0.1, edited=0.1))
    assert (with_it["mdsa_unet"].outcome, with_it["mdsa_unet"].drift.controls) == ("same", 4)
    slower = of_latency(run(0.0), run(0.1, edited=0.3))["mdsa_unet"]
    assert (slower.outcome, slower.change) == ("worse", pytest.approx(0.3))
    assert slower.reason == "+18.2 % apart from the machine's drift"
    assert of_latency(run(0.0), run(0.1, edited=0.0))["mdsa_unet"].outcome == "better"


def test_an_unchanged_network_that_moves_alone_is_neither_better_nor_worse():
    head = [r for r in run(0.001) if r.job.network != "unet"] + timed("unet", [4 * 2.0 * one for one in NOISE])
    changes = of_latency(run(0.0), head)
    assert changes["unet"].outcome == "undecided"
    assert {change.outcome for change in changes.values()} <= {"same", "undecided"}


def test_with_one_unchanged_network_a_drift_cannot_be_told():
    (change,) = of_latency(timed("unet", [1.0] * 5), timed("unet", [2 * one for one in NOISE])).values()
    assert (change.outcome, change.drift) == ("worse", None)
    assert "fewer than two unchanged networks" in as_text([change])


def moved_to(records: list[Record], fingerprint: str, cpu: str) -> list[Record]:
    machine = ENVIRONMENT.model_copy(update={"cpu": cpu})
    return [altered(record, machine=fingerprint).model_copy(update={"machine": machine}) for record in records]


def test_records_of_two_machines_are_compared_machine_by_machine():
    quick, slow = timed("unet", [1.0] * 5), [*timed("unet", [3.0] * 5)]
    base = [*moved_to(quick, "a" * 12, "A"), *moved_to(slow, "b" * 12, "B")]
    head = [*moved_to(slow, "b" * 12, "B"), *moved_to(quick, "a" * 12, "A")]
    changes = [change for change in compare(base, head) if change.metric.name == "latency"]
    assert [(change.outcome, change.change) for change in changes] == [("same", 0.0)] * 2
    assert [change.conditions.rpartition("(")[2] for change in changes] == ["bbbbbb)", "aaaaaa)"]


def test_times_of_fewer_threads_are_other_times():
    all_cores, one = timed("unet", [1.0] * 5), [altered(r, threads=1) for r in timed("unet", [2.0] * 5)]
    changes = {c.conditions: c.outcome for c in compare(all_cores, [*all_cores, *one]) if c.metric.name == "latency"}
    assert changes == {"device cpu, size 224": "same", "device cpu, size 224, threads 1": "appeared"}


def test_counts_are_compared_whatever_the_machine():
    assert found([counted()], elsewhere([counted()], cpu="B CPU"))["parameters"].outcome == "same"


def test_a_disturbed_time_decides_nothing():
    base = timed("unet", [1.0] * 5)
    head = [busy(r) for r in timed("unet", [2.0] * 5)]
    change = found(base, head)["latency"]
    assert (change.outcome, "other processes used 50 %" in change.reason) == ("undecided", True)


TWENTY = tuple(np.linspace(0.5, 0.8, 20).round(3))


def shifted(by: float) -> tuple[float, ...]:
    """Scores that differ from `TWENTY` by this much, and by a little from patient to patient."""
    return tuple(d + by + 0.01 * (-1) ** n for n, d in enumerate(TWENTY))


def test_scores_of_three_trainings_are_compared_patient_by_patient():
    base = trainings("unet", TWENTY)
    better, worse = (found(base, trainings("unet", shifted(by))) for by in (0.1, -0.1))
    assert {better[name].outcome for name in ("dice", "iou", "precision", "hd95")} == {"better"}
    assert (worse["dice"].outcome, worse["hd95"].outcome) == ("worse", "worse")
    assert better["dice"].change == pytest.approx(0.1, abs=1e-3)
    assert better["dice"].low < better["dice"].change < better["dice"].high
    assert better["hd95"].change == pytest.approx(-1, abs=1e-2)
    assert found(base, trainings("unet", shifted(0.0)))["dice"].outcome == "undecided"
    assert found(base, trainings("unet", shifted(0.1), spread=0.1))["dice"].outcome == "undecided", "seeds could do it"
    assert found(base, base)["dice"].outcome == "same"


def test_a_change_of_too_few_trainings_patients_or_images_decides_nothing():
    def dice(base, head):
        change = found(base, head)["dice"]
        assert change.change == pytest.approx(0.1, abs=0.02)
        return change.outcome, change.reason

    base, head = trainings("unet", TWENTY), trainings("unet", shifted(0.1))
    assert dice(base[:1], head) == (
        "undecided", "of these trainings (1 and 3): a change of the network needs 3 on both sides",
    )  # fmt: skip
    assert dice(trainings("unet", TWENTY[:8]), trainings("unet", shifted(0.1)[:8])) == (
        "undecided", "8 patients, 10 needed",
    )  # fmt: skip
    old = [[now(unnamed_record("unet", d, seed)) for seed in range(3)] for d in (TWENTY, shifted(0.1))]
    parts = [[altered(r, test_images=20) for r in side] for side in (base, head)]
    for sides in (old, parts):
        outcome, reason = dice(*sides)
        assert (outcome, "decide nothing" in reason) == ("undecided", True)


def test_records_that_were_read_twice_are_the_same_though_a_score_is_undefined():
    def made():
        return [trained("unet", (0.5, float("nan"), 0.8))]

    assert {change.outcome for change in compare(made(), made())} == {"same"}


def test_folds_are_one_training():
    sides = [[now(fold_record("unet", scores, fold)) for fold in range(5)] for scores in (TWENTY, shifted(0.1))]
    (change,) = (c for c in compare(*sides) if c.metric.name == "dice")
    assert (change.outcome, change.reason.partition(":")[0]) == ("undecided", "of these trainings (1 and 1)")
    seeds = [
        [now(fold_record("unet", tuple(d + seed / 100 for d in scores), fold, seed)) for seed in range(3)
         for fold in range(5)] for scores in (TWENTY, shifted(0.1))
    ]  # fmt: skip
    assert found(*seeds)["dice"].outcome == "better"
    assert "other images or another split" in found(sides[0], sides[1][:4])["dice"].reason


def test_two_ways_of_scoring_are_never_compared():
    old, new = trainings("unet", TWENTY), [altered(r, scoring=2) for r in trainings("unet", shifted(0.1))]
    (change,) = (c for c in compare(old, new) if c.metric.name == "dice")
    assert (change.outcome, change.reason) == ("refused", "scored by two versions of the way of scoring: 1 and 2")
    newest = [r.model_copy(update={"before": at(5)}) for r in new]
    assert found([*old, *newest], newest)["dice"].outcome == "same", "of one side's, the newest count"
    hidden = [altered(r, pseudonyms=True) for r in new]
    assert found(new, hidden)["dice"].reason == "patients under other names: False and True"


def test_two_folders_are_never_compared():
    def folder(name, digest, dice):
        return [altered(r, {"data_name": name}, dataset="folder", data=digest) for r in trainings("unet", dice)]

    mine, yours = folder("mine", "a" * 12, TWENTY), folder("yours", "b" * 12, shifted(0.1))
    assert {(c.conditions, c.outcome) for c in compare(mine, yours)} == {
        ("dataset folder mine, size 224", "vanished"), ("dataset folder yours, size 224", "appeared"),
    }  # fmt: skip
    assert "another split" in found(mine, folder("mine", "c" * 12, TWENTY))["dice"].reason
    assert len({c.conditions for c in compare([*mine, *yours], mine)}) == 2


def test_predictions_made_elsewhere_are_trainings_of_their_own():
    def elsewhere(dice):
        return [now(predicted_record("unet", tuple(d + n / 100 for d in dice), n)) for n in range(3)]

    here = trainings("unet", TWENTY)
    changes = [c for c in compare([*here, *elsewhere(TWENTY)], [*here, *elsewhere(shifted(0.1))])
               if c.metric.name == "dice"]  # fmt: skip
    assert {(c.conditions, c.outcome) for c in changes} == {
        ("dataset synthetic, size 224", "same"), ("dataset synthetic, predicted elsewhere, size 224", "better"),
    }  # fmt: skip


def test_scores_without_a_patient_in_common_are_refused():
    base, head = trainings("unet", TWENTY), trainings("unet", shifted(0.1))
    images = [tuple(i.model_copy(update={"id": f"b{i.id}", "patient": f"b{i.id}"}) for i in r.result.images)
              for r in head]  # fmt: skip
    head = [altered(r, {"images": others}) for r, others in zip(head, images, strict=True)]
    assert (found(base, head)["dice"].outcome, found(base, head)["dice"].reason) == ("refused", "no patient in common")


def test_scores_of_other_images_or_another_training_are_refused():
    base = trained("unet", (0.5, 0.7))

    def changed(**facts):
        spec = base.job.spec.model_copy(update=facts)
        return base.model_copy(update={"job": base.job.model_copy(update={"spec": spec})})

    assert "another split" in found([base], [changed(data="1" * 12)])["dice"].reason
    longer = base.job.spec.train.model_copy(update={"steps": 160})
    assert found([base], [changed(train=longer)])["dice"].reason == "trained otherwise: steps:80 and steps:160"


def test_memory_on_a_cpu_may_differ_by_its_noise_and_on_cuda_by_nothing():
    def memory(device, peak):
        spec = MemorySpec(machine="m", device=device, threads=2)
        return [now(record("unet", spec, Memory(weights_bytes=1, peak_bytes=peak)))]

    assert found(memory("cpu", 100), memory("cpu", 103))["memory_inference"].outcome == "same"
    assert found(memory("cpu", 100), memory("cpu", 110))["memory_inference"].outcome == "worse"
    assert found(memory("cuda", 100), memory("cuda", 103))["memory_inference"].outcome == "worse"
    assert "memory_training" not in found(memory("cpu", 100), memory("cpu", 110))


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_point_for_each_commit_that_has_records(repository):
    commit(repository, [counted(parameters=1)], "first")
    commit(repository, [], "without")
    last = commit(repository, [counted(parameters=2), *timed("mdsa_unet", [0.1, 0.3, 0.2])], "last")
    points = history("mdsa_unet", find_metric("parameters"))
    assert [(point.commit.subject, point.value) for point in points] == [("first", 1), ("last", 2)]
    assert points[-1].commit.name == last[:12]
    assert points[-1].machine == ""
    (latency,) = history("mdsa_unet", find_metric("latency"))
    assert (latency.value, len(latency.records)) == (pytest.approx((0.1 * 0.2 * 0.3) ** (1 / 3)), 3)
    assert latency.machine.startswith("A CPU")


def test_another_processor_is_another_line_whatever_its_name(repository):
    first = moved_to(timed("unet", [1.0] * 3), "a" * 12, "A CPU")
    commit(repository, first, "first")
    commit(repository, [*first, *moved_to(timed("unet", [2.0] * 3), "b" * 12, "A CPU")], "second")
    points = history("unet", find_metric("latency"))
    assert [(point.commit.subject, point.value, point.machine_id[0]) for point in points] == [
        ("first", 1.0, "a"), ("second", 1.0, "a"), ("second", 2.0, "b"),
    ]  # fmt: skip
    assert [point.machine[-8:] for point in points] == ["(aaaaaa)", "(aaaaaa)", "(bbbbbb)"]


def test_a_score_is_of_one_data_set(repository):
    commit(repository, [trained("unet", (0.5, 0.7))], "first")
    (point,) = history("unet", find_metric("dice"))
    assert (point.value, point.conditions) == (pytest.approx(0.6), "size 224, synthetic")
    assert history("unet", find_metric("dice"), dataset="ddti") == []


def test_a_point_of_a_score_is_of_one_way_of_scoring_and_one_folder(repository):
    old = unnamed_record("unet", (0.5, 0.7))
    commit(repository, [old], "old")
    new = altered(trained("unet", (0.6, 0.8), seed=1), scoring=2).model_copy(update={"before": at(5)})
    commit(repository, [old, new], "both")
    points = history("unet", find_metric("dice"))
    assert [(p.value, len(p.records)) for p in points] == [(pytest.approx(0.6), 1), (pytest.approx(0.7), 1)]
    folders = [altered(new, {"data_name": name}, dataset="folder", data=name[0] * 12) for name in ("mine", "yours")]
    commit(repository, folders, "folders")
    assert history("unet", find_metric("dice"), dataset="folder/mine")[-1].records == (folders[0].id,)


def test_other_sizes_batches_variants_and_switches_are_no_part_of_it(repository):
    records = timed("unet", [0.1, 0.2, 0.3, 0.4])
    for number, changes in enumerate(({"batch": 8}, {"size": 448}, {"form": "folded"}, {"tf32": True})):
        spec = records[number].job.spec.model_copy(update=changes)
        job = records[number].job.model_copy(update={"spec": spec})
        records[number] = records[number].model_copy(update={"job": job})
    commit(repository, records, "a batch of eight, a large image, folded, with TF32")
    assert history("unet", find_metric("latency")) == []
