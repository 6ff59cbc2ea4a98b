import numpy as np
import pytest
from handmade import altered, cost_record, dice_record, latency_record, unnamed_record

from bench.errors import UserError
from bench.judge.pick import choose_section, pick
from bench.read.sections import sections


@pytest.fixture
def section(reference):
    (found,) = sections(reference)
    return found


def test_the_most_accurate_of_those_that_fit(section):
    first, second = pick(section, {"latency": 1.0})
    assert (first.row.network, first.fits, second.fits) == ("mdsa_unet", True, True)


def test_what_breaks_a_limit_comes_last_with_the_limit_and_its_figure(section):
    first, second = pick(section, {"parameters": 10e6, "dice": 0.7})
    assert (first.row.network, second.row.network) == ("mdsa_unet", "unet")
    (broken,) = second.broken
    assert (broken.limit.name, broken.bound, broken.value) == ("parameters", 10e6, 31_037_633)


def test_what_was_not_measured_does_not_fit(section):
    assert all(candidate.broken[0].value is None for candidate in pick(section, {"memory": 1e9}))


def test_a_network_that_another_computes_faster_is_never_picked(reference):
    slower = [cost_record("mdsa_unet_plain", 6_576_225), latency_record("mdsa_unet_plain", (0.2,) * 3)]
    (found,) = sections([*reference, *slower])
    assert [one.row.network for one in pick(found, {})] == ["mdsa_unet", "unet"]
    (alone,) = sections(slower)
    assert [one.row.network for one in pick(alone, {})] == ["mdsa_unet_plain"]


TWENTY = tuple(np.linspace(0.5, 0.8, 20).round(3))


def test_a_lead_that_chance_cannot_explain_leaves_no_rival():
    close, far = (tuple(d - by - 0.01 * (-1) ** n for n, d in enumerate(TWENTY)) for by in (0.001, 0.1))
    (found,) = sections([dice_record("mdsa_unet", TWENTY), dice_record("unet", close), dice_record("unetpp", far)])
    first = pick(found, {})[0]
    assert (first.row.network, [row.network for row in first.rivals]) == ("mdsa_unet", ["unet"])
    (old,) = sections([unnamed_record("mdsa_unet", TWENTY), unnamed_record("unetpp", far)])
    assert [row.network for row in pick(old, {})[0].rivals] == ["unetpp"], "old records tell no two apart"


def test_own_folders_are_named_by_their_name_their_digest_or_both():
    records = [
        altered(dice_record(), {"data_name": name}, dataset="folder", data=digest * 12)
        for name, digest in (("mine", "a"), ("yours", "b"), ("yours", "c"))
    ]
    found = sections(records)
    for given, digest in (("folder/mine", "a"), ("mine", "a"), ("aaaaaa", "a"), ("folder yours (bbbbbb)", "b"),
                          ("folder/cccccc", "c")):  # fmt: skip
        assert choose_section(found, given, "", "nowhere").dice.data == digest * 12
    with pytest.raises(UserError, match=r"names several of these records: folder yours \(bbbbbb\), folder yours"):
        choose_section(found, "folder/yours", "", "nowhere")
    with pytest.raises(UserError, match="unknown data set in these records 'theirs'"):
        choose_section(found, "theirs", "", "nowhere")
    with pytest.raises(UserError, match=r"give --dataset with one of folder mine \(aaaaaa\)"):
        choose_section(found, "", "", "nowhere")


def test_a_lead_that_chance_could_explain_names_the_rival(section):
    (first, _) = pick(section, {})
    assert [row.network for row in first.rivals] == ["unet"]


def test_without_a_dice_the_fastest():
    (section,) = sections([cost_record("unet"), cost_record("mdsa_unet"), latency_record("unet", (0.3, 0.3)),
                           latency_record("mdsa_unet", (0.1, 0.1))])  # fmt: skip
    assert [candidate.row.network for candidate in pick(section, {})] == ["mdsa_unet", "unet"]


def test_the_section_is_of_the_data_set_and_device(reference):
    found = sections(reference)
    assert choose_section(found, "", "cpu", "nowhere") is found[0]
    with pytest.raises(UserError, match="did you mean 'synthetic'"):
        choose_section(found, "synthetik", "", "nowhere")
    with pytest.raises(UserError, match="nothing in these records was timed on cuda"):
        choose_section(found, "", "cuda", "nowhere")


def test_records_of_no_network_are_answered_in_words():
    with pytest.raises(UserError, match="these records are of no network"):
        choose_section(sections([]), "", "", "nowhere")


def test_several_data_sets_want_one_to_be_named(reference):
    other = dice_record("unet")
    spec = other.job.spec.model_copy(update={"dataset": "ddti"})
    other = other.model_copy(update={"job": other.job.model_copy(update={"spec": spec})})
    with pytest.raises(UserError, match="give --dataset with one of ddti, synthetic"):
        choose_section(sections([*reference, other]), "", "", "nowhere")
