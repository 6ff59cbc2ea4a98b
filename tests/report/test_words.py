"""The answer in sentences."""

from handmade import dice_record

from bench.report.summary import sections
from bench.report.words import sentences


def test_who_is_most_accurate_fastest_and_smallest(reference):
    accurate, fastest, smallest = sentences(sections(reference)[0])
    assert accurate.startswith("Most accurate: MDSA-UNet, Dice 0.783; the intervals of U-Net overlap")
    assert fastest == "Fastest: MDSA-UNet, 110 ms an image on this machine, 2.8 times as fast as U-Net."
    assert smallest == "Smallest: MDSA-UNet, 6.58 M parameters; fewest multiply-adds: MDSA-UNet, 4.46 G."


def test_a_clear_winner_is_called_one():
    records = [dice_record("unet", (0.10, 0.11, 0.12)), dice_record("mdsa_unet", (0.90, 0.91, 0.92))]
    assert sentences(sections(records)[0]) == ["Most accurate: MDSA-UNet, Dice 0.910, its interval above all others'."]


def test_one_network_wins_nothing():
    assert sentences(sections([dice_record()])[0]) == []
