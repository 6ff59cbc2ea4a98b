import torch

from bench.mdsa_unet import build
from bench.measure.chosen import watching


def test_every_attention_of_mdsa_unet_is_seen_and_nothing_is_changed():
    torch.manual_seed(0)
    network = build(3, 1, 64).eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        before = network(images)
        with watching(network) as watched:
            seen = network(images)
            network(images[:1])
        after = network(images)
    assert torch.equal(before, seen)
    assert torch.equal(before, after)
    shapes = {name.partition(".")[0]: found.shape for name, found in watched.arrays.items()}
    assert shapes == {
        "encode1": (3, 49, 1), "encode2": (3, 49, 4), "encode3": (3, 49, 16),
        "decode2": (3, 49, 4), "decode1": (3, 49, 1),
    }  # fmt: skip
    assert "choose" not in vars(network.encode1.attention)


def test_a_region_attends_to_itself_before_others():
    torch.manual_seed(0)
    network = build(3, 1, 112).eval()
    with torch.inference_mode(), watching(network) as watched:
        network(torch.rand(1, 3, 112, 112))
    first = next(found for name, found in watched.arrays.items() if name.startswith("encode1"))
    assert first[0, :, 0].tolist() == list(range(49))


def test_networks_without_choices_give_none():
    with watching(torch.nn.Conv2d(3, 1, 1)) as watched:
        pass
    assert watched.arrays == {}
