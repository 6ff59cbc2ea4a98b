"""The contract every network of the table keeps. A new entry is tested by being there."""

import pytest
import torch

from bench.errors import UserError
from bench.networks import NETWORKS, Network, find_network

# MDSA-UNet, built to its public description, is 1.1 % under the paper's count; tests/mdsa_unet holds it to the unit.
AS_PUBLISHED = [name for name in NETWORKS if name != "mdsa_unet"]
SIZE = 64


@pytest.mark.parametrize("name", AS_PUBLISHED)
def test_parameters_within_one_percent_of_the_published(name):
    network = NETWORKS[name].build(3, 1, 224)
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(NETWORKS[name].parameters, rel=0.01)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("channels", "classes"), [(1, 1), (3, 4)])
def test_logits_have_the_size_of_the_image_and_every_parameter_learns(name, channels, classes):
    network = NETWORKS[name].build(channels, classes, SIZE)
    logits = network(torch.randn(2, channels, SIZE, SIZE))
    assert logits.shape == (2, classes, SIZE, SIZE)
    logits.square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_eval_mode_gives_the_same_output_twice_and_for_each_image_alone(name):
    # Double precision: a choice among near-equal regions must not hang on the last digit of a float32.
    network = NETWORKS[name].build(3, 1, SIZE).double().eval()
    images = torch.randn(2, 3, SIZE, SIZE, dtype=torch.float64)
    with torch.inference_mode():
        both, again, first = network(images), network(images), network(images[:1])
    assert torch.equal(both, again)
    torch.testing.assert_close(both[:1], first)


@pytest.mark.parametrize("name", NETWORKS)
def test_an_odd_size_works_or_is_refused_with_the_size_to_use(name):
    network = NETWORKS[name].build(3, 1, SIZE).eval()
    try:
        with torch.inference_mode():
            logits = network(torch.randn(1, 3, 50, 70))
    except UserError as error:
        text = str(error)
        assert "50x70" in text
        assert "64x80" in text or "64x64" in text
    else:
        assert logits.shape == (1, 1, 50, 70)


@pytest.mark.parametrize("name", NETWORKS)
def test_one_seed_gives_one_network(name):
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(NETWORKS[name].build(3, 1, SIZE).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize("network", NETWORKS.values(), ids=list(NETWORKS))
def test_the_table_names_its_sources_and_its_own_keys(network):
    assert list(NETWORKS).count(network.name) == 1
    assert network.source[-4:].isdigit()
    assert network.files
    assert all(file.exists() for file in network.files)


def test_unknown_network():
    with pytest.raises(UserError, match="unknown network 'unett'; did you mean 'unet'"):
        find_network("unett")


def digest_of(tmp_path, monkeypatch, name: str, text: str) -> str:
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return Network(name, "", name, 1, 1, "").digest


def test_a_digest_follows_the_code_and_not_its_comments(tmp_path, monkeypatch):
    plain = digest_of(tmp_path, monkeypatch, "plain_network", "def build(a):\n    return a + 1\n")
    same = digest_of(
        tmp_path, monkeypatch, "same_network", '"""Doc."""\n\ndef build(a):\n    """Doc."""\n    return a+1 # why\n'
    )
    other = digest_of(tmp_path, monkeypatch, "other_network", "def build(a):\n    return a + 2\n")
    assert plain == same != other


def test_code_written_again_keeps_its_trainings_until_it_is_edited(tmp_path, monkeypatch):
    code = digest_of(tmp_path, monkeypatch, "fast_network", "def build(a):\n    return 1 + a\n")
    fast = Network("fast", "", "fast_network", 1, 1, "", same_function=(code, "an earlier one"))
    assert (fast.digest_for("dice"), fast.digest_for("latency")) == ("an earlier one", code)
    edited = Network("fast", "", "fast_network", 1, 1, "", same_function=("other code", "an earlier one"))
    assert edited.digest_for("dice") == edited.digest_for("latency") == code


def test_a_declaration_of_the_same_function_is_of_the_code_as_it_is():
    for network in NETWORKS.values():
        assert network.same_function[0] in ("", network.digest), network.name
