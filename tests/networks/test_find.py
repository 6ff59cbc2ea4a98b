"""From what was typed to a network, or to words that say what to type."""

import pytest

from bench.errors import UserError
from bench.networks import find_network, is_pretrained, title_of, titles, with_arguments


def test_unknown_network():
    with pytest.raises(UserError, match="unknown network 'unett'; did you mean 'unet'") as caught:
        find_network("unett")
    assert "path/to/file.py:Name" in str(caught.value)


def test_the_tables_networks_take_no_arguments():
    with pytest.raises(UserError, match="'unet' is built as in its paper and takes no arguments, got width=8"):
        find_network("unet?width=8")


def test_titles_need_neither_file_nor_library():
    assert title_of("mdsa_unet") == "MDSA-UNet"
    assert title_of("gone/mine.py:Net?width=8") == "mine.py:Net (width=8)"
    assert title_of("smp:Unet/resnet34?decoder_attention_type=scse&pretrained=true") == (
        "Unet/resnet34 (pre-trained, decoder_attention_type=scse)"
    )
    assert title_of("what?is this") == "what (is this)"


def test_titles_of_several_are_no_two_alike():
    alike = ["x/a/mine.py:Net", "x/b/mine.py:Net", "y/b/mine.py:Net", "/x/b/mine.py:Net?width=8", "unet"]
    assert list(titles(alike).values()) == [
        "x/a/mine.py:Net", "x/b/mine.py:Net", "y/b/mine.py:Net", "mine.py:Net (width=8)", "U-Net",
    ]  # fmt: skip
    assert list(titles(alike[:2]).values()) == ["a/mine.py:Net", "b/mine.py:Net"]
    assert list(titles(["mine.py:Net", "a/mine.py:Net"]).values()) == ["mine.py:Net", "a/mine.py:Net"]
    spelled = ["smp:Unet/resnet18?pretrained=true", "smp:Unet/resnet18?encoder_weights=imagenet"]
    assert list(titles(spelled).values()) == spelled
    assert titles([]) == {}


def test_arguments_go_to_networks_from_elsewhere_alone():
    assert with_arguments("unet", {"width": "8"}, pretrained=True) == "unet"
    assert with_arguments("mine.py:Net", {"width": "8"}) == "mine.py:Net?width=8"
    assert with_arguments("mine.py:Net?width=8", {"width": "9", "depth": "2"}) == "mine.py:Net?depth=2&width=8"
    assert is_pretrained(with_arguments("smp:Unet/resnet34", {}, pretrained=True))
    assert not is_pretrained("no?name of ours")
