"""Notes say which records are of uncommitted code, and which libraries differ between rows."""

from handmade import cost_record, dice_record, latency_record

from bench.read.rows import Row
from bench.read.sections import sections
from bench.read.speeds import speeds
from bench.read.versions import differing, origins, uncommitted
from bench.report.speed_tables import speed_tables
from bench.report.tables import tables
from bench.run.store import Record


def made(record: Record, commit: str = "abc", python: str = "3.11.7", **packages: str) -> Record:
    found = {**record.machine.packages, **packages}
    machine = record.machine.model_copy(update={"packages": found, "commit": commit, "python": python})
    return record.model_copy(update={"machine": machine})


def rows(*records: Record) -> list[Row]:
    return [
        Row(name, tuple(r for r in records if r.job.network == name)) for name in {r.job.network: 0 for r in records}
    ]


def test_records_of_uncommitted_code_are_counted_once_each():
    changed, clean = made(cost_record("unetpp"), "abc+"), made(cost_record())
    assert uncommitted([changed, changed, clean]) == ["1 of 2 records are of a tree with uncommitted changes"]
    assert uncommitted([changed]) == ["1 of 1 record is of a tree with uncommitted changes"]
    assert uncommitted([clean]) == uncommitted([]) == []


def test_a_library_of_which_rows_have_two_versions_is_named_with_them():
    found = rows(made(cost_record(), torch="2.14.1"), made(cost_record("mdsa_unet"), torch="2.9.0"))
    assert differing(found) == ["torch differs between rows (cost): 2.9.0 (MDSA-UNet), 2.14.1 (U-Net)"]
    assert differing(rows(made(cost_record()), made(cost_record("mdsa_unet")))) == []


def test_python_is_named_too_and_quantities_that_differ_alike_are_told_of_at_once():
    old = [made(one("unetpp"), python="3.12.1") for one in (cost_record, latency_record)]
    found = rows(*old, cost_record(), latency_record(), dice_record())
    assert differing(found) == ["Python differs between rows (cost, latency): 3.11.7 (U-Net), 3.12.1 (UNet++)"]


def test_figures_of_two_quantities_may_be_of_two_versions():
    found = [made(cost_record(name), torch="2.13.0") for name in ("unet", "unetpp")]
    found += [made(dice_record(name), torch="2.14.1") for name in ("unet", "unetpp")]
    assert differing(rows(*found)) == []


def test_what_is_not_installed_or_not_on_record_is_no_version():
    found = rows(made(cost_record(), timm="absent"), made(cost_record("unetpp"), timm="1.0"), cost_record("mdsa_unet"))
    assert differing(found) == []


def test_of_many_rows_the_first_are_named():
    names = [f"nets.py:Net{n}" for n in range(9)]
    found = rows(*map(cost_record, names), made(cost_record(), torch="3.0"))
    assert differing(found) == [
        "torch differs between rows (cost): 2.14.1 (nets.py:Net0, nets.py:Net1, nets.py:Net2, nets.py:Net3, "
        "nets.py:Net4, nets.py:Net5, 3 more), 3.0 (U-Net)"
    ]


def test_the_notes_stand_below_the_first_table_of_a_section_and_of_a_machine():
    records = [made(latency_record(), "abc+", lightning="2.6"), made(latency_record("unetpp"), lightning="2.7")]
    section, timed = sections(records)[0], speeds(records)[0]
    told = [
        "1 of 2 records are of a tree with uncommitted changes",
        "lightning differs between rows (latency): 2.6 (U-Net), 2.7 (UNet++)",
    ]
    assert origins(section.rows) == origins(timed.rows) == told
    assert list(tables(section)[0].notes[-2:]) == list(speed_tables(timed)[0].notes[-2:]) == told
