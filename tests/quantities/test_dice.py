import pytest
from pydantic import ValidationError

from bench.quantities import DiceSpec, TrainSpec

TRAIN = TrainSpec(steps=1, leg=1, batch=1)


@pytest.mark.parametrize("source", [{}, {"train": TRAIN, "weights": "0" * 12}], ids=["none", "both"])
def test_weights_come_from_one_source(source):
    with pytest.raises(ValidationError, match="either from a training or from a file"):
        DiceSpec(dataset="ddti", data="1", **source)


def test_a_training_or_a_file_will_do():
    assert DiceSpec(dataset="ddti", data="1", train=TRAIN).weights == ""
    assert DiceSpec(dataset="ddti", data="1", weights="0" * 12).train is None
