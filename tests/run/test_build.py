"""The network of an order is the one its seed gives."""

import pytest
import torch
from bench.run.build import build
from orders import order


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_the_seed_decides_the_weights_and_the_order_the_threads(tmp_path):
    asked = order(tmp_path, "mdsa_unet", "cost").model_copy(update={"threads": 1})
    one, again, other = (build(asked, seed).state_dict() for seed in (3, 3, 4))
    assert torch.get_num_threads() == 1
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)
