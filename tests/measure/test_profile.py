"""Counts of each module by hand, times by an invented clock, and the whole on a small network."""

import itertools
from collections import defaultdict
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from bench.measure.counters import by_torch
from bench.measure.profile import assemble, count, profile, timed
from bench.measure.switches import around_modules
from bench.quantities import ModuleCost, ProfileSpec

SIDE = 8
PIXELS = SIDE * SIDE


class Small(nn.Module):
    """A list that is only indexed, a module called twice, one never called, and a matrix product of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 1, bias=False)
        self.blocks = nn.ModuleList([nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.ReLU())])
        self.again = nn.Conv2d(4, 4, 1, bias=False)
        self.idle = nn.Linear(5, 6)
        self.scale = nn.Parameter(torch.ones(7))

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks[0](self.first(x))
        x = self.again(self.again(x))
        return x @ x.transpose(2, 3)


def image() -> Tensor:
    return torch.rand(1, 3, SIDE, SIDE)


def modules(network: nn.Module, x: Tensor, times: dict[str, float]) -> dict[str, ModuleCost]:
    return {cost.name: cost for cost in assemble(network, count(network, x), times)}


TIMES = {"": 10.0, "first": 1.0, "blocks.0": 4.0, "blocks.0.0": 2.5, "blocks.0.1": 0.5, "again": 3.0}


def test_each_module_by_hand():
    network = Small().eval()
    found = modules(network, image(), TIMES)
    assert list(found) == [name for name, _ in network.named_modules()]
    block, again, product = PIXELS * 4 * 4 * 9, 2 * PIXELS * 4 * 4, 4 * SIDE * SIDE * SIDE
    macs = {name: cost.macs for name, cost in found.items()}
    assert macs == {
        "": PIXELS * 12 + block + again + product, "first": PIXELS * 12, "blocks": block, "blocks.0": block,
        "blocks.0.0": block, "blocks.0.1": 0, "again": again, "idle": 0,
    }  # fmt: skip
    assert macs[""] == by_torch(network, image()).macs
    assert found[""].activations == PIXELS * 4 * 4 + 4 * SIDE * SIDE
    assert found["again"].activations == 2 * PIXELS * 4
    assert [found[name].calls for name in ("", "first", "blocks", "blocks.0", "again", "idle")] == [1, 1, 0, 1, 2, 0]
    assert found[""].parameters == 12 + 144 + 16 + 36 + 7
    assert found["blocks"].parameters == 144
    assert found["blocks"].time_s == found["blocks.0"].time_s == 4.0
    assert found["idle"].time_s is None
    assert [found[name].depth for name in ("", "blocks", "blocks.0.1")] == [0, 1, 3]


def test_what_modules_share_is_counted_once_in_parameters_and_at_each_call_in_the_rest():
    shared = nn.Conv2d(3, 3, 1, bias=False)
    network = nn.Sequential(nn.Sequential(shared), nn.Sequential(shared))
    found = modules(network, image(), {name: 1.0 for name, _ in network.named_modules()})
    assert found[""].parameters == 9
    assert found["0.0"].calls == 2
    assert found["0.0"].macs == found[""].macs == 2 * PIXELS * 9
    assert found["0"].macs == found["1"].macs == PIXELS * 9


def test_a_scripted_module_is_passed_over_and_the_network_has_its_cost():
    network = nn.Sequential(torch.jit.script(nn.Conv2d(3, 4, 1)))
    found = modules(network, image(), {"": 1.0})
    assert found[""].macs == PIXELS * 12
    assert found["0"].calls is None
    assert found["0"].time_s is None


def test_inference_mode_inside_a_network_hides_nothing():
    network = nn.Sequential(nn.Conv2d(3, 4, 1))
    network[0].forward = torch.inference_mode()(network[0].forward)
    assert modules(network, image(), {"": 1.0, "0": 1.0})["0"].macs == PIXELS * 12


def test_a_module_lasts_from_its_start_to_its_end_once_the_device_is_done():
    events: list[str] = []
    ticks = itertools.count()

    def clock() -> float:
        events.append("clock")
        return float(next(ticks))

    spent = defaultdict(float)
    network = nn.Sequential(nn.Identity(), nn.Sequential(nn.Identity()))
    with around_modules(network, partial(timed, clock, lambda: events.append("synchronize"), spent)):
        network(image())
    # in "" 0, in 0 1, out 2, in 1 3, in 1.0 4, out 5, out 6, out "" 7
    assert spent == {"0": 1.0, "1.0": 1.0, "1": 3.0, "": 7.0}
    assert events == ["synchronize", "clock"] * 8
    network(image())
    assert len(events) == 16, "the clocks are gone"


@pytest.fixture
def conditions() -> ProfileSpec:
    return ProfileSpec(machine="m", device="cpu", threads=torch.get_num_threads(), size=SIDE, batch=2)


def test_times_are_medians_over_passes_of_a_clock_that_ticks_once_a_look(conditions):
    ticks = itertools.count()
    heard = []
    found = profile(Small(), conditions, lambda *news: heard.append(news), lambda: float(next(ticks)))
    times = {cost.name: cost.time_s for cost in found.modules}
    # Ten intervals between the six calls' starts and ends, and one before and one after: 13 looks apart by 1.
    assert found.plain_s == 1.0
    assert found.clocked_s == times[""] == 13.0
    assert times["first"] == times["blocks.0.0"] == 1.0
    assert times["blocks"] == times["blocks.0"] == 5.0
    assert times["again"] == 2.0
    assert times["idle"] is None
    assert found.passes == 3, "20 invented seconds are over, so it stops at the fewest passes"
    assert [doing for doing, _, _ in heard] == ["counting", "timing", "timing", "timing", "timing operators"]


def test_a_profile_of_a_small_network(conditions):
    network = nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 1))
    found = profile(network.train(), conditions, lambda *news: None)
    assert found.modules[0].parameters == 4 * 27 + 4 + 4 * 36 + 1
    assert found.modules[0].macs == 36 * 4 * 27 + 4 * 36
    assert not network.training
    assert not network[0]._forward_hooks
    assert found.uncounted == ()
    names = {operator.name for operator in found.operators}
    assert {"aten::addmm"} <= names
    assert sum(operator.share for operator in found.operators) == pytest.approx(1)
    own_s = [operator.self_s for operator in found.operators]
    assert own_s == sorted(own_s, reverse=True)
    assert next(o for o in found.operators if o.name == "aten::addmm").calls == 1


def test_what_may_multiply_and_is_not_counted_is_named(conditions):
    class Distances(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cdist(x, x)

    assert profile(Distances(), conditions, lambda *news: None).uncounted == ("aten._cdist_forward (no formula)",)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_on_a_gpu_the_operators_own_time_is_the_devices(conditions):
    found = profile(Small(), conditions.model_copy(update={"device": "cuda"}), lambda *news: None)
    assert found.modules[0].time_s > 0
    assert any(operator.name.startswith("aten::") for operator in found.operators)
    assert sum(operator.share for operator in found.operators) == pytest.approx(1)
