"""Networks of installed packages: by module, or by the name that a package offers."""

from importlib.metadata import EntryPoint

import pytest
import torch

from bench.errors import UserError
from bench.networks import find_network, foreign, plug_ins

TARGET = "torchvision.models.segmentation:lraspp_mobilenet_v3_large"


def test_a_function_of_an_installed_package_whose_output_is_a_dict():
    network = find_network(f"{TARGET}?weights_backbone=none").build(3, 4, 64)
    with torch.inference_mode():
        assert network.eval()(torch.rand(1, 3, 64, 64)).shape == (1, 4, 64, 64)


def test_a_package_offers_a_network_by_a_name(monkeypatch):
    monkeypatch.setattr(foreign, "entry_points", lambda group: [EntryPoint("lraspp", TARGET, group)])
    plug_ins.cache_clear()
    try:
        network = find_network("lraspp?weights_backbone=none")
        assert (network.title, network.source) == ("lraspp", "torchvision")
        assert network.build(3, 1, 64).eval()(torch.rand(1, 3, 64, 64)).shape == (1, 1, 64, 64)
    finally:
        plug_ins.cache_clear()


@pytest.mark.parametrize(
    ("name", "said"),
    [("nobody_has.this:Net", "no module 'nobody_has.this' is installed"), ("torch:", "name a class or function")],
)
def test_what_is_not_there_is_told_in_words(name, said):
    with pytest.raises(UserError, match=said):
        find_network(name).build(3, 1, 64)


def test_a_module_without_such_a_name():
    with pytest.raises(UserError, match=r"module 'torchvision\.models' has no 'Nett'"):
        find_network("torchvision.models:Nett").build(3, 1, 64)
