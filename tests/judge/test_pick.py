import pytest
from handmade import cost_record, dice_record, latency_record

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


def test_several_data_sets_want_one_to_be_named(reference):
    other = dice_record("unet")
    spec = other.job.spec.model_copy(update={"dataset": "ddti"})
    other = other.model_copy(update={"job": other.job.model_copy(update={"spec": spec})})
    with pytest.raises(UserError, match="give --dataset with one of ddti, synthetic"):
        choose_section(sections([*reference, other]), "", "", "nowhere")
