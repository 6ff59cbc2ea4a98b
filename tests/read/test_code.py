"""Records of both formats are told by the code and the libraries they were made with."""

import pytest
from claiming import at, now
from handmade import cost_record, dice_record, latency_record, predicted_record

from bench.networks import find_network
from bench.read.code import digest_of, is_of_present_code
from bench.read.load import load
from bench.read.sections import outdated
from bench.run.store import Record, Store, read_record


def first(record: Record, digest: str | None = None) -> Record:
    """The record as the first format has it: of the code as it is now, or of another digest."""
    legacy = find_network(record.job.network).legacy_digest(record.job.spec.quantity)
    return of(record, digest or legacy).model_copy(update={"schema_version": 1})


def of(record: Record, digest: str | None = None, **libraries: str) -> Record:
    changes = {"libraries": libraries} | ({"network_digest": digest} if digest else {})
    return record.model_copy(update={"job": record.job.model_copy(update=changes)})


@pytest.mark.parametrize("made", [cost_record("mdsa_unet"), dice_record("mdsa_unet")], ids=["cost", "dice"])
def test_a_record_of_the_first_format_is_of_the_present_code_by_the_digest_of_its_time(made):
    digest = find_network("mdsa_unet").digest
    assert digest_of(first(made)) == digest_of(now(made)) == digest
    assert is_of_present_code(first(made))
    assert is_of_present_code(now(made))
    assert not is_of_present_code(first(made, "2" * 12))
    assert digest_of(first(made, "2" * 12)) == "2" * 12


def test_a_digest_of_the_first_format_is_none_of_the_present_one():
    assert not is_of_present_code(of(cost_record(), find_network("unet").legacy_digest("cost")))


def test_a_network_with_another_version_of_what_it_imports_is_other_code():
    (name, version), *_ = find_network("swin_unet").libraries.items()
    assert is_of_present_code(of(now(cost_record("swin_unet")), **{name: version}, fvcore="0"))
    assert not is_of_present_code(of(now(cost_record("swin_unet")), **{name: "0"}))
    assert not is_of_present_code(of(now(cost_record("swin_unet"))))


def test_of_networks_that_are_gone_nothing_is_present_and_nothing_fails():
    gone = first(cost_record(), "3" * 12)
    gone = gone.model_copy(update={"job": gone.job.model_copy(update={"network": "gone.py:Net"})})
    assert digest_of(gone) == "3" * 12
    assert not is_of_present_code(gone)
    assert is_of_present_code(predicted_record("nnunet"))


def test_records_of_both_formats_stand_beside_each_other_while_their_code_is_the_same():
    records = [first(cost_record()), now(latency_record(), before=at(1)), first(dice_record())]
    assert outdated(records) == []
    edited = of(latency_record(process=1), "4" * 12)
    for clock in (at(0), at(2)):  # whichever clock was wrong: the code as it is decides
        other = edited.model_copy(update={"before": clock})
        assert outdated([*records, other]) == [other]


def test_of_two_versions_of_a_library_the_newer_measurement_counts_unless_it_is_of_another_machine():
    old, new = of(cost_record(), fvcore="1"), of(cost_record(), fvcore="2").model_copy(update={"before": at(1)})
    assert outdated([old, new]) == [old]
    there = of(latency_record(), timm="1")
    spec = there.job.spec.model_copy(update={"machine": "m2"})
    here = of(latency_record(), timm="2").model_copy(update={"before": at(1)})
    there = there.model_copy(update={"job": there.job.model_copy(update={"spec": spec})})
    assert outdated([there, here]) == []


def test_a_record_of_the_first_format_gives_way_to_one_measured_anew(tmp_path, monkeypatch):
    old, edited, other = first(cost_record()), first(cost_record("unetpp"), "5" * 12), first(cost_record("swin_unet"))
    anew = [now(cost_record(), before=at(1)), now(cost_record("unetpp"), before=at(1))]
    files = {tmp_path / f"{r.id}.json": r for r in (old, edited, other, *anew)}
    for path in files:
        path.touch()
    monkeypatch.setattr("bench.read.load.read_record", files.__getitem__)
    found = load([tmp_path])
    assert {record.id for record in found.records} == {record.id for record in (edited, other, *anew)}
    assert found.replaced == [f"{old.id}: measured again, in the present format of records"]


def test_a_record_says_its_format(tmp_path):
    path = Store(tmp_path).write(cost_record())
    assert read_record(path).schema_version == 2
