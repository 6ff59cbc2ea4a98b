"""What records say of a claim on a score: of these weights, of the networks, or nothing."""

import numpy as np
import pytest
from claiming import claim, now, trained, trainings
from handmade import altered, fold_record, predicted_record, unnamed_record

from bench.judge.figure import Undecided
from bench.judge.scored import scored
from bench.quantities.scores import SCORES, Score

DICE = {"metric": "dice", "dataset": "synthetic", "relation": "at_least"}
TWENTY = tuple(np.linspace(0.5, 0.9, 20).round(3))
LESS = tuple(d - 0.1 - 0.01 * (-1) ** n for n, d in enumerate(TWENTY))


def longer(record, **settings):
    """The same after a training of twice the steps, or with other settings."""
    return altered(record, train=record.job.spec.train.model_copy(update=settings or {"steps": 160}))


def undecided(claimed, records) -> Undecided:
    with pytest.raises(Undecided) as raised:
        scored(claimed, records)
    return raised.value


def test_a_score_of_one_training_is_that_of_these_weights_with_one_more_patient_at_each_bound():
    from scipy.stats import sem, t

    found = scored(claim(**DICE, value=0.5), [trained("mdsa_unet", TWENTY)])
    worse, better = (*TWENTY, 0.0), (*TWENTY, 1.0)
    low = t.interval(0.95, 20, np.mean(worse), sem(worse))[0]
    high = t.interval(0.95, 20, np.mean(better), sem(better))[1]
    assert (found.value, found.low, found.high) == pytest.approx((np.mean(TWENTY), low, high))
    assert (found.n, found.scope) == (20, "these weights: 20 patients, 1 training")
    assert (found.need.trainings, found.need.patients > 0) == (None, True)


def test_two_trainings_are_of_these_weights_and_three_of_the_network_which_vary_too():
    records = trainings("mdsa_unet", TWENTY, spread=0.1)
    two, three = (scored(claim(**DICE, value=0.5), some) for some in (records[:2], records))
    assert (two.scope, two.value) == ("these weights: 20 patients, 2 trainings", pytest.approx(0.65))
    assert (three.scope, three.value) == ("the network: 20 patients, 3 trainings", pytest.approx(0.7))
    assert three.high - three.low > 1.5 * (two.high - two.low)


def test_a_lead_needs_three_trainings_of_each_network():
    lead = claim(**DICE, against="unet")
    ours, theirs = trainings("mdsa_unet", TWENTY), trainings("unet", LESS)
    found = scored(lead, [*ours, *theirs])
    assert found.value == pytest.approx(0.1, abs=1e-3)
    assert 0 < found.low < 0.1 < found.high
    assert found.scope == "the networks: 20 patients, 3 trainings each"
    assert found.unseen == pytest.approx(1 - 0.05 ** (1 / 20))
    assert (found.n, len(found.records), found.false_claim < 0.01) == (20, 6, True)
    for count in (1, 2):
        why = undecided(lead, [*ours, *theirs[:count]])
        assert str(why) == f"3 and {count} trainings: 3 of each network are needed to speak of networks"
        assert why.todo == "bench run --all --dataset synthetic --budget paper --seeds 0,1,2"
        assert why.measured.scope.startswith("these weights: 20 patients")
        assert why.measured.value == pytest.approx(0.1, abs=0.02)


def test_nothing_is_decided_by_fewer_than_ten_patients():
    for records, claimed in (
        ([trained("mdsa_unet", TWENTY[:9])], claim(**DICE, value=0.1)),
        ([*trainings("mdsa_unet", TWENTY[:9]), *trainings("unet", LESS[:9])], claim(**DICE, against="unet")),
    ):
        why = undecided(claimed, records)
        assert (str(why), why.measured.n) == ("9 patients, 10 needed", 9)
    assert scored(claim(**DICE, value=0.1), [trained("mdsa_unet", TWENTY[:10])]).n == 10


def test_images_of_one_patient_are_one_patient():
    made = trained("mdsa_unet", TWENTY)
    images = tuple(i.model_copy(update={"patient": f"p{n // 4}"}) for n, i in enumerate(made.result.images))
    assert str(undecided(claim(**DICE, value=0.1), [altered(made, {"images": images})])) == "5 patients, 10 needed"


def test_images_that_stand_for_patients_are_called_images():
    made = altered(trained("mdsa_unet", TWENTY), {"patients": "images"})
    assert scored(claim(**DICE, value=0.1), [made]).scope == "these weights: 20 images, 1 training"


REASONS = {
    "patients": (lambda r: now(unnamed_record("mdsa_unet", TWENTY)), "its records name no patients"),
    "part of the test split": (lambda r: altered(r, test_images=20), "only 20 of the test images were scored"),
    "other data": (
        lambda r: altered(r, {"differs": "3 train instead of 4"}), "not the published data set: 3 train instead of 4",
    ),
    "part of the training split": (
        lambda r: longer(r, train_images=8), "trained on 8 of the training images alone",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "told"), REASONS.values(), ids=REASONS)
def test_what_a_record_must_be(change, told):
    sound = trained("mdsa_unet", TWENTY)
    assert told in str(undecided(claim(**DICE, value=0.1), [change(sound)]))
    assert scored(claim(**DICE, value=0.1), [change(sound), sound]).records == (sound.id,)


def test_a_lead_is_of_no_network_of_which_every_record_is_unsound():
    theirs = [altered(r, {"differs": "3 train instead of 4"}) for r in trainings("unet", LESS)]
    why = undecided(claim(**DICE, against="unet"), [*trainings("mdsa_unet", TWENTY), *theirs])
    assert str(why) == "not the published data set: 3 train instead of 4"


def test_two_that_were_not_trained_alike_are_not_compared():
    records = [trained("mdsa_unet", TWENTY), longer(trained("unet", LESS))]
    why = undecided(claim(**DICE, against="unet"), records)
    assert str(why) == "no record of mdsa_unet and unet trained alike on synthetic"


def test_the_longest_training_counts_and_a_short_one_is_not_what_was_claimed():
    records = [trained("mdsa_unet", LESS), longer(trained("mdsa_unet", TWENTY))]
    assert scored(claim(**DICE, value=0.5, images_seen=640), records).value == pytest.approx(np.mean(TWENTY))
    why = undecided(claim(**DICE, value=0.5, images_seen=641), records)
    assert str(why) == "trained on 640 images (steps times batch), the claim is of 641 or more"
    assert why.todo.startswith("bench run mdsa_unet --dataset synthetic")


def test_of_equal_trainings_the_newest_way_of_scoring_counts():
    old, new = trained("mdsa_unet", LESS), altered(trained("mdsa_unet", TWENTY), scoring=2)
    assert scored(claim(**DICE, value=0.5), [old, new]).records == (new.id,)


def test_failed_jobs_other_sizes_and_weights_of_the_users_own_are_no_evidence():
    sound = trained("mdsa_unet", TWENTY)
    failed = sound.model_copy(update={"status": "crashed", "result": None})
    own = altered(sound, {"weights_file": "mine.pt"}, train=None, weights="0" * 12)
    assert str(undecided(claim(**DICE, value=0.5), [failed, own, altered(sound, size=64)])) == (
        "no record of mdsa_unet on synthetic"
    )


def test_protocols_and_other_scores_are_heard():
    records = [trained("mdsa_unet", TWENTY)]
    for protocol in ("pooled", "nnunet"):
        why = undecided(claim(metric="hd95", dataset="synthetic", protocol=protocol, value=3.0), records)
        assert str(why) == f"mdsa_unet has no hd95 by the protocol {protocol}"
    distance = claim(metric="hd95", dataset="synthetic", relation="at_most", value=3.5)
    assert scored(distance, records).value == pytest.approx(10 * (1 - np.mean(TWENTY)))
    iou = claim(metric="iou", dataset="synthetic", relation="at_least", value=0.5)
    assert scored(iou, records).value == pytest.approx(np.mean([d / (2 - d) for d in TWENTY]), abs=1e-3)


def test_a_lead_by_a_protocol_without_the_score_or_on_other_patients_is_none():
    ours, theirs = trainings("mdsa_unet", TWENTY), trainings("unet", LESS)
    no_score = claim(metric="hd95", dataset="synthetic", protocol="pooled", relation="at_most", against="unet")
    assert "no hd95 of one patient in common" in str(undecided(no_score, [*ours, *theirs]))
    others = [
        altered(r, {"images": tuple(i.model_copy(update={"id": f"b{i.id}", "patient": f"b{i.id}"})
                                    for i in r.result.images)}) for r in theirs
    ]  # fmt: skip
    assert "no dice of one patient in common" in str(undecided(claim(**DICE, against="unet"), [*ours, *others]))


def own_folder(name: str, digest: str, dice=TWENTY):
    return altered(trained("mdsa_unet", dice), {"data_name": name}, dataset="folder", data=digest)


def test_own_folders_are_told_apart_by_name_and_digest():
    records = [own_folder("mine", "a" * 12), own_folder("yours", "b" * 12, LESS)]
    folder = DICE | {"value": 0.5}
    why = str(undecided(claim(**folder | {"dataset": "folder"}), records))
    assert why.startswith("records of several folders: folder mine (aaaaaa), folder yours (bbbbbb); name one")
    for name in ("folder/yours", "folder/bbbbbb"):
        assert scored(claim(**folder | {"dataset": name}), records).records == (records[1].id,)
    assert scored(claim(**folder | {"dataset": "folder"}), records[:1]).records == (records[0].id,)
    why = undecided(claim(**folder | {"dataset": "folder/theirs"}), records)
    assert (str(why), why.todo) == (
        "no record of mdsa_unet on folder/theirs",
        "bench run mdsa_unet --dataset folder --data-root FOLDER --budget paper",
    )
    changed = [own_folder("mine", "a" * 12), own_folder("mine", "c" * 12)]
    assert "records of several folders" in str(undecided(claim(**folder | {"dataset": "folder/mine"}), changed))
    assert scored(claim(**folder | {"dataset": "folder/cccccc"}), changed).records == (changed[1].id,)


def test_the_folds_of_a_folder_are_one_result():
    made = [now(fold_record("mdsa_unet", TWENTY, fold)) for fold in range(5)]
    folds = [altered(r, {"data_name": "mine"}, dataset="folder") for r in made]
    found = scored(claim(**DICE | {"dataset": "folder/mine"}, value=0.5), folds)
    assert (found.n, found.scope) == (100, "these weights: 100 patients, 1 training")
    other = [altered(r, {"data_name": "yours"}) for r in folds]
    assert scored(claim(**DICE | {"dataset": "folder/mine"}, value=0.5), [*folds, *other]).n == 100
    assert "folder mine, folder yours" in str(
        undecided(claim(**DICE | {"dataset": "folder"}, value=0.5), folds + other)
    )


def test_folds_that_share_their_test_patients_are_trainings():
    made = [altered(r, data=f"{n}" * 12, fold=n) for n, r in enumerate(trainings("mdsa_unet", TWENTY))]
    found = scored(claim(**DICE, value=0.5), made)
    assert found.scope == "the network: 20 patients, 3 trainings"


def test_predictions_made_elsewhere_decide_where_no_length_of_training_is_demanded():
    ours = [now(predicted_record("mdsa_unet", tuple(d + 0.01 * n for d in TWENTY), n)) for n in range(3)]
    theirs = [now(predicted_record("unet", tuple(d + 0.01 * n for d in LESS), n)) for n in range(3)]
    assert scored(claim(**DICE, against="unet"), [*ours, *theirs]).low > 0
    assert str(undecided(claim(**DICE, value=0.5, images_seen=1), ours)) == "no record of mdsa_unet on synthetic"
    here = trained("mdsa_unet", LESS)
    assert scored(claim(**DICE, value=0.5), [*ours, here]).records == (here.id,), "the longest training is one here"


def test_a_dice_that_is_known_on_the_images_own_grid_alone_is_the_dice(monkeypatch):
    monkeypatch.setitem(SCORES, "dice_own", Score("dice_own", "Dice", ((2, 0, 0), (2, 1, 1)), grid="own"))
    made = now(predicted_record("mdsa_unet", TWENTY))
    grids = {"tp": None, "fp": None, "fn": None, "dice": float("nan")}
    images = tuple(
        i.model_copy(update=grids | {"own_tp": i.tp, "own_fp": i.fp, "own_fn": i.fn}) for i in made.result.images
    )
    found = scored(claim(**DICE, value=0.5), [altered(made, {"images": images})])
    assert found.value == pytest.approx(np.mean(TWENTY))
