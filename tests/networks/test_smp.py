"""Networks of segmentation-models-pytorch by a spec, built without a download."""

import pytest
import torch

from bench.errors import UserError
from bench.networks import find_network
from bench.networks.smp import ARCHITECTURES


def test_all_architectures_of_the_library_are_known():
    import segmentation_models_pytorch as smp

    assert set(ARCHITECTURES) == {made.__name__ for made in smp.MODEL_ARCHITECTURES_MAPPING.values()}


@pytest.mark.parametrize(
    "spec",
    [
        "smp:Unet/resnet18",
        "smp:MAnet/resnet18?decoder_channels=[64, 32, 16, 16, 8]",
        "smp:Segformer/mit_b0",
    ],
)
def test_a_spec_is_a_network_for_these_channels_and_classes(spec):
    network = find_network(spec).build(1, 4, 64)
    with torch.inference_mode():
        assert network.eval()(torch.rand(1, 1, 64, 64)).shape == (1, 4, 64, 64)


def test_a_size_that_the_architecture_cannot_take_is_resized_inside():
    network = find_network("smp:UPerNet/tu-swin_tiny_patch4_window7_224").build(3, 1, 100)
    with torch.inference_mode():
        assert network.eval()(torch.rand(1, 3, 100, 100)).shape == (1, 1, 100, 100)
    assert "224x224" in network.notes[0]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("smp:Unet", "write smp:ARCHITECTURE/ENCODER"),
        ("smp:Unett/resnet34", "unknown architecture 'Unett'; did you mean 'Unet'"),
    ],
)
def test_a_spec_that_is_none_is_refused_before_anything_is_built(spec, said):
    with pytest.raises(UserError, match=said):
        find_network(spec)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("smp:Unet/resnet35", "unknown encoder 'resnet35'; did you mean"),
        ("smp:Unet/tu-resnet35x", "unknown encoder 'tu-resnet35x'; did you mean tu-"),
        (
            "smp:Unet/resnet18?decoder_chanels=8",
            "'decoder_chanels'; did you mean 'decoder_channels'",
        ),
        ("smp:Unet/resnet18?encoder_depth=9", "cannot be built"),
    ],
)
def test_what_the_library_refuses_is_told_in_words(spec, said):
    with pytest.raises(UserError, match=said):
        find_network(spec).build(3, 1, 64)


def test_weights_that_cannot_be_fetched_are_told_in_words(monkeypatch):
    import segmentation_models_pytorch as smp

    def offline(*args, encoder_weights, **kwargs):
        raise OSError(f"no route to host for {encoder_weights}")

    monkeypatch.setattr(smp, "Unet", offline)
    with pytest.raises(UserError, match=r"'imagenet' of smp:Unet/resnet18 .*no route to host.* leave --pretrained out"):
        find_network("smp:Unet/resnet18?pretrained=true").build(3, 1, 64)


def test_a_digest_is_of_the_libraries_and_a_pretrained_network_has_another_name():
    plain, trained = map(find_network, ("smp:Unet/resnet18", "smp:Unet/resnet18?pretrained=true"))
    assert plain.digest == trained.digest
    assert plain.name != trained.name
