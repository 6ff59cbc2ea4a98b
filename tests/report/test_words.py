"""The answer in sentences."""

from handmade import dice_record

from bench.report.summary import sections
from bench.report.words import sentences


def test_who_is_most_accurate_fastest_and_smallest(reference):
    accurate, fastest, smallest = sentences(sections(reference)[0])
    assert accurate.startswith(
        "Most accurate: MDSA-UNet, Dice 0.783; paired on the same 3 images, chance could explain"
    )
    assert fastest == "Fastest: MDSA-UNet, 110 ms an image on this machine, 2.8 times as fast as U-Net."
    assert smallest == "Smallest: MDSA-UNet, 6.58 M parameters; fewest multiply-adds: MDSA-UNet, 4.46 G."


def test_a_clear_winner_is_called_one():
    worse = tuple(0.1 + n / 1000 for n in range(21))
    records = [dice_record("unet", worse), dice_record("mdsa_unet", tuple(dice + 0.5 for dice in worse))]
    assert sentences(sections(records)[0]) == [
        "Most accurate: MDSA-UNet, Dice 0.610, ahead of every other by more than chance, paired on the same 21 images."
    ]


def test_one_network_wins_nothing():
    assert sentences(sections([dice_record()])[0]) == []
