"""The contract of every network in the table; a new one is tested by being there."""

import re
from importlib.metadata import version

import pytest
import torch
from torch import nn

from bench.errors import UserError
from bench.networks import GROUPS, NETWORKS, origin_of
from bench.networks.code import SUBJECT, is_networks_code, legacy_digest
from bench.networks.imported import seen
from bench.networks.table import in_groups

# MDSA-UNet, built to its public description, has 1.1 % fewer parameters than its paper says; tests/mdsa_unet checks its
# exact count. What a paper counts in addition to the network: layers that MISSFormer's code never calls. What it leaves
# out: MALUNet's group norms. Their files say so.
COUNTED = {"missformer": 7_009_792, "malunet": -2_912}
AS_PUBLISHED = [name for name in NETWORKS if not name.startswith("mdsa_unet")]
SIZE = 64
HEAVY = ("attention_unet", "h2former", "transunet", "unet", "unet3plus", "unetpp")  # run on images of half the size


def without_values(name: str, channels: int, size: int) -> torch.nn.Module:
    """The network on the meta device: neither counts nor shapes need values."""
    try:
        with torch.device("meta"):
            return NETWORKS[name].build(channels, 1, size)
    except NotImplementedError:  # timm 1.0.20 reads values while it builds
        return NETWORKS[name].build(channels, 1, size).to("meta")


@pytest.mark.parametrize("name", AS_PUBLISHED)
def test_parameters_within_one_percent_of_the_published(name):
    network = without_values(name, 3, 224)
    published = NETWORKS[name].parameters - COUNTED.get(name, 0)
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(published, rel=0.01)


@pytest.mark.parametrize("name", NETWORKS)
def test_logits_have_the_size_of_the_image_and_an_odd_size_works_or_is_refused_with_the_size_to_use(name):
    network = without_values(name, 1, SIZE).eval()

    def shape(height: int, width: int) -> tuple[int, ...]:
        return tuple(network(torch.empty(2, 1, height, width, device="meta")).shape)

    assert shape(SIZE, SIZE) == (2, 1, SIZE, SIZE)
    height, width = 50, 70
    try:
        shape(height, width)
    except UserError as error:
        height, width = map(int, re.search(r"got 50x70; .*the input to (\d+)x(\d+)", str(error)).groups())
    assert shape(height, width) == (2, 1, height, width)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_real_network_goes_by_its_seed_learns_and_takes_each_image_alone(name):
    side = SIZE // 2 if name in HEAVY else SIZE
    network, again = seeded(name, side), seeded(name, side).state_dict()
    assert all(torch.equal(tensor, again[key]) for key, tensor in network.state_dict().items())
    images = torch.randn(2, 3, side, side)
    output = network(images)
    maps = output if isinstance(output, tuple) else (output,)  # several with deep supervision
    assert maps[0].shape == (2, 4, side, side)
    sum(logits.square().mean() for logits in maps).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
    # In double precision, because rounding in float32 can change which of two similar regions is selected.
    network, images = network.double().eval(), images.double()
    with torch.inference_mode():
        both, first = network(images), network(images[:1])  # neither dropout nor batch statistics
    torch.testing.assert_close(both[:1], first)


def seeded(name: str, side: int) -> nn.Module:
    torch.manual_seed(3)
    return NETWORKS[name].build(3, 4, side)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=list(NETWORKS))
def test_the_table_names_its_sources_and_its_own_keys(network):
    assert list(NETWORKS).count(network.name) == 1
    assert network.source[-4:].isdigit()
    assert network.files
    assert all(file.exists() for file in network.files)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=list(NETWORKS))
def test_each_network_is_of_one_kind_and_light_where_it_is_small(network):
    assert network.kind in ("cnn", "transformer", "hybrid")
    assert set(network.groups) <= set(GROUPS)
    assert ("light" in network.groups) == (network.parameters < 2e6)


def test_a_network_of_the_same_function_names_one_that_is_trained():
    shared = {name: origin_of(name) for name in NETWORKS if origin_of(name)}
    assert shared == {"mdsa_unet_plain": "mdsa_unet"}
    assert all(not origin_of(origin) for origin in shared.values())
    for name, origin in shared.items():
        ours, theirs = (without_values(one, 3, 224).state_dict() for one in (name, origin))
        assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in theirs.items()}
    assert origin_of("nets/mine.py:Net") == ""


def test_groups_are_joined_in_the_order_of_the_table():
    assert in_groups(["paper"]) == ["attention_unet", "mdsa_unet", "swin_unet", "unet", "unetpp"]
    both = in_groups(["light", "transformer"])
    assert both == [name for name in NETWORKS if name in {*in_groups(["light"]), *in_groups(["transformer"])}]
    with pytest.raises(UserError, match="unknown group 'cnns'; did you mean 'cnn'"):
        in_groups(["cnns"])


def test_a_network_counts_no_harness_and_its_code_alone():
    """An edit of the harness measures nothing anew; of `bench` the networks import only errors."""
    assert [file.name for file in NETWORKS["unet"].files] == ["__init__.py", "unet.py"]
    assert {file.parent for file in NETWORKS["mdsa_unet"].files} == {SUBJECT}
    assert {"kernel.py", "network.py"} <= {file.name for file in NETWORKS["mdsa_unet"].files}


def test_libraries_are_those_that_the_code_imports():
    assert NETWORKS["swin_unet"].libraries == {"timm": version("timm")}
    assert NETWORKS["unet"].libraries == {}


# Records of the first format in results/reference hold these.
LEGACY = {"unet": "a563ac8465b9", "swin_unet": "c3002f40136e", "unetpp": "daead9c38a8e"}


@pytest.mark.parametrize("name", LEGACY)
def test_records_of_the_first_format_are_of_the_code_as_it_is(name):
    assert NETWORKS[name].legacy_digest("cost") == LEGACY[name] != NETWORKS[name].digest


def test_declarations_for_the_first_format_are_of_the_code_as_it_is():
    for network in NETWORKS.values():
        assert network.renamed[0] in ("", legacy_digest(network.module)), network.name
        assert network.same_function[0] in ("", network.legacy_digest("latency")), network.name


def test_mdsa_unet_keeps_its_records_of_the_first_format():
    assert NETWORKS["mdsa_unet"].legacy_digest("latency") == "6b652b709fa6"
    assert NETWORKS["mdsa_unet"].legacy_digest("dice") == "ec4126e8aab2"


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS.values(), ids=list(NETWORKS))
def test_the_files_found_by_reading_are_those_that_a_process_imports(network):
    """Without a GPU the kernel for CUDA is not imported."""
    imported = {path for path in seen(network.name) if path.suffix == ".py" and is_networks_code(path)}
    assert imported == {*network.files} - {SUBJECT / "kernel.py"}
