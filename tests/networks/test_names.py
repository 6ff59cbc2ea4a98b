"""One network with one set of arguments has one spelling."""

import pytest

from bench.errors import UserError
from bench.networks.names import parse, value_of


def test_arguments_are_in_the_order_of_their_names_and_paths_tidied():
    assert str(parse(" ./nets//mine.py:Net?width=8&depth=2")) == "nets/mine.py:Net?depth=2&width=8"
    assert str(parse("unet")) == "unet"
    assert parse("mine.py:Net?width=8").values == {"width": 8}


@pytest.mark.parametrize(
    ("text", "value"), [("8", 8), ("0.5", 0.5), ("True", True), ("none", None), ("(1, 2)", (1, 2)), ("gelu", "gelu")]
)
def test_values_are_what_they_spell(text, value):
    assert value_of(text) == value


@pytest.mark.parametrize("wrong", ["width", "=8", "width=", "a b=3", "width=8?9"])
def test_an_argument_of_another_form_is_refused(wrong):
    with pytest.raises(UserError, match="key=value"):
        parse(f"mine.py:Net?{wrong}")


def test_who_asks_for_weights_of_elsewhere_is_pretrained():
    assert parse("smp:Unet/resnet34?pretrained=true").pretrained
    assert parse("smp:Unet/resnet34?encoder_weights=imagenet").pretrained
    assert not parse("smp:Unet/resnet34?pretrained=false").pretrained
    assert not parse("smp:Unet/resnet34?encoder_weights=none").pretrained
