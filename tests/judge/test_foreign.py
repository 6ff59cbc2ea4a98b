"""Scores on data that was not trained on decide nothing about the data set, and are never taken for those at home."""

import numpy as np
import pytest
from claiming import claim, now
from gitting import commit
from handmade import altered, cost_record, foreign_record, home_record

from bench.errors import UserError
from bench.judge.compare import compare
from bench.judge.figure import Undecided
from bench.judge.history import history
from bench.judge.pick import choose_section, pick
from bench.judge.scored import scored
from bench.quantities import find_metric
from bench.read.sections import sections

TWENTY = tuple(np.linspace(0.5, 0.9, 20).round(3))
LESS = tuple(d - 0.2 for d in TWENTY)
MORE = tuple(d + 0.05 for d in TWENTY)


def at_home(network="unet", dice=TWENTY, dataset="ddti", seed=0):
    return now(home_record(network, dice, dataset, seed))


def abroad(network="unet", dice=MORE, home="isic2017", dataset="ddti", seed=0):
    return now(foreign_record(network, dice, home, dataset, seed))


def test_a_claim_on_a_data_set_takes_no_foreign_scores():
    facts = {"network": "unet", "metric": "dice", "relation": "at_least", "value": 0.5}
    claimed = claim(**facts, dataset="ddti")
    assert scored(claimed, [at_home(), abroad()]).records == (at_home().id,)
    with pytest.raises(Undecided, match="no record of unet on ddti"):
        scored(claimed, [abroad()])
    with pytest.raises(Undecided, match="no record of unet on isic2017"):
        scored(claim(**facts, dataset="isic2017"), [abroad()])


def test_a_lead_is_not_decided_by_one_network_at_home_and_one_abroad():
    lead = claim(network="mdsa_unet", metric="dice", dataset="ddti", relation="at_least", against="unet")
    records = [at_home("unet", seed=seed) for seed in range(3)] + [abroad("mdsa_unet", seed=seed) for seed in range(3)]
    with pytest.raises(Undecided, match="no record of mdsa_unet and unet trained alike on ddti"):
        scored(lead, records)


def test_foreign_scores_are_picked_from_only_where_they_are_named():
    found = sections([cost_record("unet"), cost_record("unext"), at_home(), abroad(), abroad("unext")])
    for named in ("", "ddti"):
        chosen = choose_section(found, named, "", "nowhere")
        assert (chosen.home, pick(chosen, {})[0].row.network) == ("", "unet")
    asked = choose_section(found, "ddti, trained on isic2017", "", "nowhere")
    assert [one.row.network for one in pick(asked, {})] == ["unet", "unext"]
    with pytest.raises(UserError, match="unknown data set in these records 'isic2017'"):
        choose_section(found, "isic2017", "", "nowhere")
    with pytest.raises(UserError, match="data that was not trained on; give --dataset 'ddti, trained on isic2017'"):
        choose_section(sections([abroad(), abroad("unext")]), "", "", "nowhere")


def test_foreign_scores_are_compared_with_those_of_the_same_two_data_sets():
    base, head = [at_home(), abroad()], [at_home(dice=MORE), abroad(dice=LESS)]
    found = {change.conditions: change for change in compare(base, head) if change.metric.name == "dice"}
    assert len(found) == 2
    own = next(change for name, change in found.items() if "trained_on" not in name)
    foreign = next(change for name, change in found.items() if "trained_on isic2017" in name)
    assert (own.base, own.head) == pytest.approx((np.mean(TWENTY), np.mean(MORE)), abs=1e-3)
    assert (foreign.base, foreign.head) == pytest.approx((np.mean(MORE), np.mean(LESS)), abs=1e-3)
    assert not any("trained_data" in name for name in found)


def test_what_was_trained_on_other_images_is_not_compared():
    other = altered(abroad(dice=LESS), trained_data="f" * 12)
    (change,) = (one for one in compare([abroad()], [other]) if one.metric.name == "dice")
    assert (change.outcome, change.reason) == (
        "refused", "trained on other images: data isic2017isic and ffffffffffff",
    )  # fmt: skip


def test_a_change_of_scores_on_images_that_were_trained_on_decides_nothing():
    base, head = ([altered(abroad(dice=dice, seed=s), {"copies": 1}) for s in range(3)] for dice in (LESS, MORE))
    (change,) = (one for one in compare(base, head) if one.metric.name == "dice")
    assert (change.outcome, "images that were trained on" in change.reason) == ("undecided", True)


def test_the_history_of_a_data_set_has_no_foreign_points(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    commit(tmp_path, [at_home(dataset="isic2017"), abroad()], "both")
    (point,) = history("unet", find_metric("dice"))
    assert (point.conditions, point.value) == ("size 224, isic2017", pytest.approx(np.mean(TWENTY), abs=1e-3))
    assert history("unet", find_metric("dice"), "ddti") == []
    commit(tmp_path, [abroad()], "abroad alone")
    assert [point.commit.subject for point in history("unet", find_metric("dice"))] == ["both"]
