"""Networks with settings of their own stand in one table, and it says how they were trained."""

import pytest
from handmade import TRAIN, altered, dice_record

from bench.quantities import Tried
from bench.quantities.budget import BUDGETS
from bench.read.sections import sections
from bench.read.trained import alike
from bench.report.tables import notes
from bench.report.text import prose


def trained(network, seed=0, result=None, **settings):
    """A record of a network that was trained with some settings."""
    return altered(dice_record(network, seed=seed), result, train=TRAIN.model_copy(update={"seed": seed, **settings}))


def tried(network, rates, dice, seed=0):
    """A record of a network of which several learning rates were tried."""
    found = tuple(
        Tried(learning_rate=r, val_dice=d, diverged="" if d else "nan") for r, d in zip(rates, dice, strict=True)
    )
    return trained(network, seed, {"tried": found}, learning_rates=rates)


def rows(*records):
    return [[(row.network, len(row.trainings)) for row in section.rows] for section in sections(records)]


USUAL = [trained("unet"), trained("unetpp")]
OWN = {
    "learning rate": ({"learning_rate": 3e-4}, "trained with learning rate 0.0003"),
    "weight decay": ({"weight_decay": 0.1}, "trained with weight decay 0.1"),
    "warm-up": ({"warmup_share": 0.2}, "trained with warm-up over 20 % of the steps"),
    "loss": ({"loss_weights": (1.0, 0.5)}, "trained with 1 x Dice + 0.5 x cross-entropy"),
    "augmentation": ({"augmentation": "none"}, "trained with augmentation none"),
    "batch": ({"batch": 16, "steps": 20, "checkpoint_interval": 5}, "trained with 20 steps of 16 images, 320 in all"),
    "uneven batch": ({"batch": 3, "steps": 107, "checkpoint_interval": 27}, "107 steps of 3 images, 321 in all"),
}


@pytest.mark.parametrize(("settings", "told"), OWN.values(), ids=OWN)
def test_a_network_with_settings_of_its_own_stands_beside_the_others_and_they_are_told(settings, told):
    records = [trained("mdsa_unet", **settings), *USUAL]
    assert rows(*records) == [[("mdsa_unet", 1), ("unet", 1), ("unetpp", 1)]]
    (section,) = sections(records)
    assert section.dice.train == TRAIN
    (said,) = [note for note in notes(section) if "trained with" in note]
    assert said.startswith("MDSA-UNet: ")
    assert told in said
    assert not any("not tuned alike" in note for note in notes(section))


@pytest.mark.parametrize(
    "settings", [{"steps": 81}, {"train_images": 9}, {"val_images": 9}, {"patience": 2}, {"precision": "bfloat16"},
                 {"devices": 2}, {"version": 9}, {"batch": 5, "steps": 70}],
)  # fmt: skip
def test_one_that_saw_other_images_or_was_trained_in_another_way_does_not(settings):
    assert rows(trained("mdsa_unet", **settings), *USUAL) == [[("mdsa_unet", 1)], [("unet", 1), ("unetpp", 1)]]


def test_two_ways_of_one_network_are_never_pooled():
    by_hand = trained("unet", learning_rate=3e-4)
    assert rows(*USUAL, by_hand) == [[("unet", 1), ("unetpp", 1)], [("unet", 1)]]
    assert rows(by_hand, *USUAL, trained("mdsa_unet", weight_decay=0.0)) == [
        [("unet", 1)], [("mdsa_unet", 1), ("unet", 1), ("unetpp", 1)],
    ]  # fmt: skip
    assert rows(trained("unet"), trained("unet", 1), trained("unet", 2, learning_rate=1.0)) == [
        [("unet", 2)], [("unet", 1)],
    ]  # fmt: skip


def test_rates_that_were_tried_are_told_with_the_one_that_was_taken():
    rates = (1e-3, 3e-4, 1e-4)
    records = [tried(name, rates, (0.5, 0.7, None)) for name in ("unet", "mdsa_unet")]
    (section,) = sections(records)
    assert (
        "U-Net: learning rate 0.0003, the best on val of 3 that were tried: "
        "0.001 (Dice 0.500 on val), 0.0003 (Dice 0.700 on val), 0.0001 (1 diverged)" in notes(section)
    )
    assert not any("not tuned alike" in note for note in notes(section))
    assert any("of the learning rates 0.001, 0.0003, 0.0001 the best on val" in note for note in notes(section))
    assert section.rows[0].trainings[0].taken == 3e-4


def test_each_seed_has_its_own_choice():
    rates = (1e-3, 3e-4)
    records = [tried("unet", rates, dice, seed) for seed, dice in enumerate([(0.5, 0.7), (0.9, 0.7), (0.5, 0.6)])]
    (section,) = sections(records)
    assert [note for note in notes(section) if "of 2 that were tried" in note] == [
        "U-Net: learning rate 0.0003 with seeds 0, 2, 0.001 with seed 1, the best on val of 2 that were tried: "
        "0.001 (Dice 0.500, 0.900 on val), 0.0003 (Dice 0.600, 0.700 on val)"
    ]


def test_networks_with_different_numbers_of_trials_are_not_tuned_alike():
    (section,) = sections([tried("mdsa_unet", (1e-3, 3e-4), (0.5, 0.7)), *USUAL])
    (said,) = [note for note in notes(section) if "not tuned alike" in note]
    assert said == "not tuned alike: U-Net, UNet++ had one training; MDSA-UNet had the best of 2 trainings"


def test_the_command_that_trains_again_has_the_settings():
    (section,) = sections([
        trained("unet", learning_rates=(1e-3, 3e-4), weight_decay=0.1, loss_weights=(1.0, 0.5), augmentation="none")
    ])  # fmt: skip
    told = prose("training_command", section, BUDGETS.values())
    assert "--budget quick" in told
    assert told.endswith("--augmentation none --lr 0.001,0.0003 --weight-decay 0.1 --loss-weights 1.0,0.5")


def test_alike_is_the_same_both_ways():
    uneven = TRAIN.model_copy(update={"batch": 3, "steps": 107})
    assert alike(TRAIN, uneven)
    assert alike(uneven, TRAIN)
    assert not alike(TRAIN, TRAIN.model_copy(update={"steps": 81}))
