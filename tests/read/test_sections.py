"""What belongs together is put together; samples become figures with intervals."""

import pytest
from handmade import (
    DICE,
    LATENCY,
    altered,
    cost_record,
    dice_record,
    fold_record,
    latency_record,
    predicted_record,
    record,
    unnamed_record,
)

from bench.quantities import CostSpec, Latency, LatencySpec, Memory, MemorySpec
from bench.read.sections import is_named, named, outdated, sections
from bench.run.store import Record


def test_one_section_with_a_row_a_network(reference):
    (section,) = sections(reference)
    assert [row.network for row in section.rows] == ["mdsa_unet", "unet"]
    row = section.rows[1]
    assert row.title == "U-Net"
    assert row.cost.parameters == 31_037_633
    assert row.latency_s.value == 0.31
    assert row.dice.value == pytest.approx(0.7)
    assert len(row.records) == 3
    assert section.name == "synthetic-224-cpu"


def plain_form() -> list[Record]:
    return [cost_record("mdsa_unet_plain", 6_576_225), latency_record("mdsa_unet_plain", (0.2, 0.21, 0.22))]


def test_a_network_of_the_same_function_stands_beside_the_one_whose_dice_it_shares(reference):
    (section,) = sections([*reference, *plain_form()])
    ours, plain, other = section.rows
    assert (ours.network, plain.network, other.network) == ("mdsa_unet", "mdsa_unet_plain", "unet")
    assert plain.twin is ours
    assert (ours.twin, other.twin) == (None, None)
    assert (plain.dice, plain.latency_s.value) == (None, 0.21)


def test_a_network_of_the_same_function_is_neither_ranked_nor_compared(reference):
    many = tuple(0.5 + n / 100 for n in range(12))
    scored = [dice_record("mdsa_unet", many), dice_record("unet", tuple(d - 0.2 for d in many))]
    (section,) = sections([*scored, *plain_form()])
    assert [pair.row.network for pair in section.paired] == ["unet"]
    assert [row.network for row in section.unbeaten] == ["mdsa_unet"]
    assert set(section.ranking.ranks()) == {"MDSA-UNet", "U-Net"}


def test_a_network_of_the_same_function_has_no_twin_where_the_other_is_not_or_where_it_was_scored_itself(reference):
    unet = [record for record in reference if record.job.network == "unet"]
    timed, scored = sections([*unet, *plain_form()])[::-1]
    assert [row.network for row in scored.rows] == ["unet"]
    assert [(row.network, row.twin) for row in timed.rows] == [("mdsa_unet_plain", None), ("unet", None)]
    elsewhere = [*reference, *plain_form(), predicted_record("mdsa_unet_plain")]
    own = next(row for section in sections(elsewhere) for row in section.rows if row.network == "mdsa_unet_plain")
    assert own.twin is None
    assert own.dice.value == pytest.approx(0.7)


def test_other_sizes_machines_and_trainings_are_never_mixed():
    other_size = record("unet", CostSpec(size=256), cost_record().result)
    other_machine = record("unet", LatencySpec(machine="m2", device="cpu", threads=2), latency_record().result)
    found = sections([cost_record(), latency_record(), dice_record(), other_size, other_machine])
    assert [section.name for section in found] == ["synthetic-224-cpu", "synthetic-224-cpu", "256"]
    assert [section.latency and section.latency.machine for section in found] == [
        latency_record().job.spec.machine, "m2", None,
    ]  # fmt: skip
    assert [len(row.records) for section in found for row in section.rows] == [3, 3, 1]


def test_dice_of_smaller_images_stands_beside_the_cost_of_the_usual_size():
    records = [altered(dice_record(), size=64), cost_record(), latency_record()]
    (section,) = sections(records)
    assert (section.dice.size, section.size, len(section.rows)) == (64, 224, 1)
    assert section.rows[0].cost
    assert section.rows[0].latency_s
    assert section.name == "synthetic-224-cpu"
    (section,) = sections([altered(dice_record(), size=64), cost_record()])  # nothing was timed
    assert (section.size, section.rows[0].cost is not None) == (224, True)


def test_dice_of_a_size_that_was_measured_stands_beside_that_alone():
    swept = [altered(record, size=size) for record in (cost_record(), latency_record()) for size in (64, 224)]
    found = sections([altered(dice_record(), size=64), *swept])
    assert [(section.size, bool(section.dice)) for section in found] == [(64, True)]


def test_of_two_protocols_that_a_network_was_timed_by_the_longer_is_shown():
    short, other = latency_record(samples_s=(9.0,)), latency_record("unetpp", samples_s=(8.0,))
    spec = short.job.spec.model_copy(update={"samples": 60})
    long = record("unet", spec, latency_record(samples_s=(1.0,) * 5).result)
    (section,) = sections([short, long, other])
    assert [row.latency_s.value for row in section.rows] == [1.0, 8.0]


def test_every_record_is_shown_somewhere(reference):
    other = record("unet", LatencySpec(machine="m", device="cpu", threads=2, size=256), latency_record().result)
    records = [*reference, other, record("unetpp", CostSpec(size=512), cost_record().result)]
    shown = {r.id for section in sections(records) for row in section.rows for r in row.records}
    assert shown == {r.id for r in records}


def test_a_network_whose_code_was_edited_is_not_mixed_with_what_it_was():
    def made(dice: float, digest: str, at: str) -> Record:
        before = dice_record(dice=(dice, dice))
        job = before.job.model_copy(update={"network_digest": digest})
        return before.model_copy(update={"job": job, "before": before.before.model_copy(update={"at": at})})

    old, new = made(0.2, "a", "2026-01-01"), made(0.8, "b", "2026-02-01")
    assert sections([old, new])[0].rows[0].dice.value == pytest.approx(0.8)
    assert outdated([old, new]) == [old]


def test_a_training_goes_by_the_code_that_first_computed_the_function_and_stands_beside_counts_of_todays():
    def of(record: Record, digest: str, at: str) -> Record:
        job = record.job.model_copy(update={"network_digest": digest})
        return record.model_copy(update={"job": job, "before": record.before.model_copy(update={"at": at})})

    trained, counted = of(dice_record(), "a", "2026-01-01"), of(cost_record(), "b", "2026-02-01")
    assert outdated([trained, counted]) == []
    assert outdated([trained, counted, of(cost_record(), "c", "2026-03-01")]) == [counted]


def test_no_records_make_no_section():
    assert sections([]) == []


def test_a_network_scored_on_another_data_set_alone_is_no_empty_row_here(reference):
    before = dice_record("unet")
    spec = before.job.spec.model_copy(update={"dataset": "ddti"})
    records = [*reference, latency_record("unetpp"), record("unet", spec, before.result)]
    rows = {section.name: [row.network for row in section.rows] for section in sections(records)}
    assert rows == {
        "synthetic-224-cpu": ["mdsa_unet", "unet"], "ddti-224-cpu": ["unet"],
        "224-cpu": ["mdsa_unet", "unet", "unetpp"],
    }  # fmt: skip
    under_way = {section.name: [row.network for row in section.rows] for section in sections(records, running=True)}
    assert under_way == {"synthetic-224-cpu": ["mdsa_unet", "unet", "unetpp"], "ddti-224-cpu": ["unet", "unetpp"]}


def test_a_sweep_stands_beside_nothing_but_its_first_batch_and_the_trained_size(reference):
    others = [
        record("unet", LATENCY.model_copy(update=conditions), Latency(samples_s=(9.0,), warmup_s=()))
        for conditions in ({"batch": 8}, {"size": 448}, {"form": "folded"})
    ]
    counted = record("unet", CostSpec(size=448), cost_record().result)
    (section,) = sections([*reference, *others, counted])
    assert section.rows[1].latency_s.value == 0.31
    assert section.name == "synthetic-224-cpu"


def test_memory_stands_beside_the_latency_of_the_same_conditions():
    def memory(peak, **conditions):
        spec = MemorySpec(machine=LATENCY.machine, device="cpu", threads=2, **conditions)
        return record("unet", spec, Memory(weights_bytes=1, peak_bytes=peak))

    (section,) = sections([latency_record(), memory(10), memory(20, mode="training"), memory(30, size=448)])
    assert section.rows[0].memory.peak_bytes == 10


def test_memory_that_was_measured_alone_makes_one_section_whatever_was_swept():
    def measured(peak, **conditions):
        spec = MemorySpec(machine=LATENCY.machine, device="cpu", threads=2, **conditions)
        return record("unet", spec, Memory(weights_bytes=1, peak_bytes=peak))

    swept = [measured(30, size=448), measured(20, batch=4), measured(10), measured(40, mode="training")]
    (section,) = sections([*swept, cost_record()])
    (row,) = section.rows
    assert (section.name, section.latency) == ("224", None)
    assert (row.memory.peak_bytes, row.cost.parameters) == (10, 31_037_633)
    (scored,) = sections([*swept, cost_record(), dice_record()])
    assert (scored.rows[0].memory.peak_bytes, scored.rows[0].dice.value) == (10, pytest.approx(0.7))


def test_somebodys_own_weights_stand_beside_the_trained_networks():
    spec = DICE.model_copy(update={"train": None, "weights": "0123"})
    scores = dice_record(dice=(0.9, 0.9)).result.model_copy(update={"weights_file": "theirs.pt", "curve": ()})
    own = record("unet", spec, scores)
    (section,) = sections([cost_record(), dice_record("unet", (0.5, 0.6)), dice_record("mdsa_unet", (0.4, 0.5)), own])
    assert [row.title for row in section.rows] == ["MDSA-UNet", "U-Net", "U-Net (theirs.pt)"]
    assert [row.dice.value for row in section.rows] == pytest.approx([0.45, 0.55, 0.9])
    assert [row.cost is not None for row in section.rows] == [False, True, True]
    (alone,) = sections([own])
    assert [row.title for row in alone.rows] == ["U-Net (theirs.pt)"]


def test_pretrained_networks_are_never_beside_others():
    plain, trained = "smp:Unet/resnet18", "smp:Unet/resnet18?pretrained=true"
    found = sections([dice_record("unet"), dice_record(plain), dice_record(trained), latency_record(trained)])
    assert [[row.network for row in section.rows] for section in found] == [[plain, "unet"], [trained]]
    assert [section.pretrained for section in found] == [False, True]
    assert found[1].name == "synthetic-224-cpu-pretrained"


def test_networks_that_no_data_set_was_scored_with_stand_with_all_that_were_timed():
    records = [made(name) for name in ("unet", "unetpp") for made in (cost_record, latency_record)]
    records.append(dice_record("unet"))
    assert [[row.network for row in section.rows] for section in sections(records)] == [["unet"], ["unet", "unetpp"]]
    assert [section.name for section in sections(records)] == ["synthetic-224-cpu", "224-cpu"]
    assert [[row.network for row in section.rows] for section in sections(records, running=True)] == [
        ["unet", "unetpp"]
    ]


def test_a_network_that_was_counted_alone_is_not_lost_beside_scored_ones():
    found = sections([dice_record("unet"), cost_record("unetpp")])
    assert [[row.network for row in section.rows] for section in found] == [["unet"], ["unetpp"]]


def test_predictions_made_elsewhere_join_the_networks_that_were_trained_on_the_same_data():
    records = [
        cost_record("unet"), dice_record("unet", (0.5, 0.6)), predicted_record("unet", (0.7, 0.8)),
        predicted_record("unet", (0.7, 0.8), training=1), predicted_record("mdsa_unet", (0.4, 0.5)),
    ]  # fmt: skip
    (section,) = sections(records)
    assert [(row.title, row.elsewhere, len(row.trainings)) for row in section.rows] == [
        ("MDSA-UNet (predicted elsewhere)", "theirs-0", 1), ("U-Net", "", 1),
        ("U-Net (predicted elsewhere)", "theirs-0, theirs-1", 2),
    ]  # fmt: skip
    assert [row.cost is not None for row in section.rows] == [False, True, True]
    assert section.reference is section.rows[0]
    (alone,) = sections(records[2:])
    assert [row.title for row in alone.rows] == ["MDSA-UNet (predicted elsewhere)", "U-Net (predicted elsewhere)"]
    other = altered(predicted_record("unet", (0.7, 0.8)), data="9" * 12)
    assert [len(found.rows) for found in sections([*records, other])] == [3, 1]


def test_what_was_predicted_elsewhere_was_not_trained_on_this_machine():
    assert len(sections([dice_record()])[0].trained_on) == 1
    assert sections([predicted_record()])[0].trained_on == set()


def test_predictions_made_elsewhere_do_not_depend_on_the_code_here():
    def of(made: Record, digest: str, at: str) -> Record:
        job = made.job.model_copy(update={"network_digest": digest})
        return made.model_copy(update={"job": job, "before": made.before.model_copy(update={"at": at})})

    records = [of(predicted_record(training=0), "a", "2026-01-01"), of(predicted_record(training=1), "b", "2026-02-01")]
    assert outdated([*records, of(dice_record(), "c", "2026-03-01")]) == []


def test_ranks_by_each_score_that_tells_the_networks_apart():
    """Distances rank the other way round, and a score that all have alike ranks none."""
    better, worse = tuple(0.7 + n / 100 for n in range(12)), tuple(0.6 + n / 100 for n in range(12))
    (section,) = sections([dice_record("unet", worse), dice_record("mdsa_unet", better)])
    assert {name: ranks["MDSA-UNet"].rank for name, ranks in section.ranks_by.items()} == dict.fromkeys(
        ("dice", "iou", "hd95", "sensitivity", "precision"), 1.0
    )
    assert sections([dice_record("unet", worse), dice_record("mdsa_unet", worse)])[0].ranks_by == {}
    assert sections([dice_record("unet", worse[:9]), dice_record("mdsa_unet", better[:9])])[0].ranks_by == {}


def test_own_folders_are_told_apart():
    def folder(name: str, digest: str, network: str = "unet") -> Record:
        return altered(dice_record(network), {"data_name": name}, dataset="folder", data=digest)

    mine, yours = folder("mine", "a1b2c3d4e5f6"), folder("yours too", "b" * 12)
    found = sections([mine, yours, folder("mine", "a1b2c3d4e5f6", "mdsa_unet")])
    assert [(section.dataset, len(section.rows)) for section in found] == [
        ("folder mine (a1b2c3)", 2), ("folder yours too (bbbbbb)", 1),
    ]  # fmt: skip
    assert list(named(found)) == ["folder-mine-a1b2c3-224", "folder-yours-too-bbbbbb-224"]
    names = ("folder", "folder/mine", "folder/a1b2c3", "folder/a1b2c3d4e5f6", "folder/a1b2", "folder/yours too", "ddti")
    assert [name for name in names if is_named(name, mine)] == list(names[:4])
    failed = mine.model_copy(update={"status": "crashed", "error": "segfault", "result": None})
    (section,) = sections([altered(failed, train=failed.job.spec.train.model_copy(update={"seed": 1})), mine])
    assert (section.dataset, section.rows[0].lost_seeds) == ("folder mine (a1b2c3)", (1, 2))


def test_folds_of_one_folder_are_one_section_and_those_of_another_another():
    def folds(name: str, network: str = "unet") -> list[Record]:
        made = (fold_record(network, (0.5, 0.6), fold) for fold in range(2))
        return [altered(r, {"data_name": name}, dataset="folder") for r in made]

    found = sections([*folds("mine"), *folds("mine", "mdsa_unet"), *folds("yours")])
    assert [(section.dataset, [len(row.records) for row in section.rows]) for section in found] == [
        ("folder mine", [2, 2]), ("folder yours", [2]),
    ]  # fmt: skip
    odd = [altered(r, {"differs": "3 train instead of 4"}) for r in folds("mine")]
    assert len(sections([*folds("mine"), *odd])) == 2


def test_two_ways_of_scoring_are_two_sections():
    old, new = unnamed_record("unet", (0.5, 0.6)), altered(dice_record("mdsa_unet"), scoring=2)
    found = sections([old, new])
    assert [[row.network for row in section.rows] for section in found] == [["unet"], ["mdsa_unet"]]
    assert [section.patients for section in found] == ["", "named"]
    assert list(named(found)) == ["synthetic-224", "synthetic-224-2"]


def test_a_section_says_how_its_data_differ_from_the_published():
    odd = altered(dice_record("unet"), {"differs": "3 train instead of 4"})
    assert sections([dice_record("mdsa_unet"), odd])[0].differs == "3 train instead of 4"
    assert sections([dice_record("mdsa_unet")])[0].differs == ""


def test_trainings_that_all_failed_make_a_section_without_a_comparison():
    failed = dice_record().model_copy(update={"status": "diverged", "error": "no number", "result": None})
    (section,) = sections([failed])
    assert (section.reference, section.paired, section.ranking, section.patients) == (None, [], None, "")
    assert (section.dataset, section.rows[0].failures) == ("synthetic", ("dice with seed 0 diverged: no number",))
