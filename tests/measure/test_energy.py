"""Known watts in, the right joules out: a machine with a clock, a power and a stepping counter of its own."""

import math
import sys
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn

from bench.measure import energy as module
from bench.measure import meters
from bench.measure.energy import energy
from bench.measure.meters import Rapl, Unreadable, meter_of, nvml
from bench.quantities import EnergySpec

SPEC = EnergySpec(machine="m", device="cpu", threads=1, size=8, batch=2, seconds=5, counter_steps=50, windows=3)
IDLE_W, BUSY_W = 50.0, 300.0


class Machine(nn.Module):
    """A network whose pass takes `pass_s` at BUSY_W; all other time is at IDLE_W. Its counter moves every `step_s`."""

    def __init__(self, pass_s: float, step_s: float) -> None:
        super().__init__()
        self.pass_s, self.step_s = pass_s, step_s
        self.now = self.spent = self.shown = 0.0
        self.inputs: set[object] = set()

    def advance(self, seconds: float, watts: float) -> None:
        edge = math.floor((self.now + seconds) / self.step_s) * self.step_s
        if edge > self.now:
            self.shown = self.spent + watts * (edge - self.now)
        self.now += seconds
        self.spent += watts * seconds

    def sleep(self, seconds: float) -> None:
        self.advance(seconds, IDLE_W)

    def clock(self) -> float:
        return self.now

    def joules(self) -> float:
        return self.shown

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.inputs.add((tuple(images.shape), images.dtype, self.training, torch.is_inference_mode_enabled()))
        self.advance(self.pass_s, BUSY_W)
        return images


def measured(machine: Machine, counter: object = None, **conditions: object):
    spec = SPEC.model_copy(update=conditions)
    return energy(machine, spec, (counter or machine).joules, clock=machine.clock, sleep=machine.sleep)


@pytest.mark.parametrize(
    ("pass_s", "step_s"),
    [(0.004, 0.1), (0.004, 0.5), (0.03, 0.001), (0.7, 0.1)],
    ids=["a GPU", "slow steps", "fast steps", "slow passes"],
)
def test_known_watts_give_the_right_joules(pass_s, step_s):
    found = measured(Machine(pass_s, step_s))
    # A window that begins or ends up to a look at the counter away from its step is wrong by that much at each end.
    tolerance = 2 * max(module.POLL_S, min(pass_s, step_s)) / SPEC.seconds
    assert found.joules_per_image == pytest.approx(BUSY_W * pass_s / SPEC.batch, rel=tolerance)
    assert found.idle_watts == pytest.approx(IDLE_W, rel=2 * module.POLL_S / module.IDLE_S)
    assert found.window_s == pytest.approx(found.images / SPEC.batch * pass_s)
    assert found.unreadable == ""


def test_a_window_begins_and_ends_at_a_step():
    """Steps of 1 s with 20 of them in a window: ends anywhere between two steps would be wrong by up to 5 %."""
    found = measured(Machine(0.0137, 1.0), seconds=1, counter_steps=20)
    assert [one.counter_steps for one in found.windows] == [20] * 3
    assert [one.window_s for one in found.windows] == pytest.approx([20] * 3, abs=module.POLL_S)
    assert found.joules_per_image == pytest.approx(BUSY_W * 0.0137 / 2, rel=2 * module.POLL_S / 20)


@pytest.mark.parametrize(
    ("step_s", "seconds", "steps", "window_s"),
    [(0.5, 5, 50, 25.0), (0.1, 5, 50, 5.0), (0.1, 8, 50, 8.0)],
    ids=["steps decide", "both", "seconds decide"],
)
def test_the_window_lasts_its_seconds_and_its_steps(step_s, seconds, steps, window_s):
    found = measured(Machine(0.004, step_s), seconds=seconds, counter_steps=steps)
    for one in found.windows:
        assert one.window_s == pytest.approx(window_s, abs=step_s + module.POLL_S)
        assert one.window_s >= seconds
        assert one.counter_steps >= steps
    assert found.window_s == sum(one.window_s for one in found.windows)
    assert found.images == sum(one.images for one in found.windows)


def test_the_net_follows_from_gross_and_idle():
    found = measured(Machine(0.004, 0.1))
    net = found.joules_per_image - found.idle_watts * found.window_s / found.images
    assert net == pytest.approx((BUSY_W - IDLE_W) * 0.004 / SPEC.batch, rel=0.02)


def test_the_batch_is_as_the_conditions_say():
    machine = Machine(0.02, 0.1)
    measured(machine, precision="bfloat16", channels=1)
    assert machine.inputs == {((2, 1, 8, 8), torch.bfloat16, False, True)}


class Heats(Machine):
    """A machine of 40 degrees C that heats up by 10 degrees C in a second of work and cools down by `cools` at rest."""

    def __init__(self, cools: float) -> None:
        super().__init__(0.004, 0.1)
        self.cools, self.heat = cools, 40.0

    def advance(self, seconds: float, watts: float) -> None:
        super().advance(seconds, watts)
        self.heat = max(40.0, self.heat + seconds * (10.0 if watts == BUSY_W else -self.cools))

    def celsius(self) -> float:
        return self.heat


def test_every_window_begins_at_the_temperature_of_rest():
    machine = Heats(cools=4.0)
    found = energy(machine, SPEC, machine.joules, machine.celsius, clock=machine.clock, sleep=machine.sleep)
    assert len(found.windows) == 3
    assert all(40 <= one.start_celsius <= 42 for one in found.windows)


def test_a_device_that_does_not_cool_down_is_measured_as_it_is():
    machine = Heats(cools=0.0)
    found = energy(machine, SPEC, machine.joules, machine.celsius, clock=machine.clock, sleep=machine.sleep)
    heats = [one.start_celsius for one in found.windows]
    assert 42 < heats[0] < heats[1] < heats[2]
    assert machine.now < 3 * (module.COOL_S + module.SETTLE_S + 2 * SPEC.seconds) + 20


def test_without_a_thermometer_it_rests():
    found = measured(Machine(0.004, 0.1))
    assert [one.start_celsius for one in found.windows] == [None] * 3


def test_as_many_windows_as_are_asked_for_between_two_marks():
    machine, marks = Machine(0.004, 0.1), []
    spec = SPEC.model_copy(update={"windows": 2})
    found = energy(
        machine, spec, machine.joules, clock=machine.clock, sleep=machine.sleep, mark=lambda: marks.append(machine.now)
    )
    assert len(found.windows) == 2
    assert len(marks) == 2
    assert marks[1] - marks[0] > found.window_s


# ---- no counter ------------------------------------------------------------------------------------------------------


class Stuck:
    def joules(self) -> float:
        return 17.0


class Fails:
    """A counter that is lost after a while."""

    def __init__(self) -> None:
        self.reads = 0

    def joules(self) -> float:
        self.reads += 1
        if self.reads > 30:
            raise Unreadable("the GPU is lost")
        return float(self.reads)


@pytest.mark.parametrize(
    ("counter", "why"), [(Stuck(), "the energy counter did not move in 10 s"), (Fails(), "the GPU is lost")]
)
def test_a_counter_that_tells_nothing_gives_no_figure_but_the_reason(counter, why):
    found = measured(Machine(0.004, 0.1), counter)
    assert (found.joules_per_image, found.idle_watts, found.images, found.unreadable) == (None, None, 0, why)


def test_without_a_gpu_there_is_a_reason_and_no_pass(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    machine = Machine(0.004, 0.1)
    found = energy(machine, SPEC.model_copy(update={"device": "cuda"}))
    assert found.joules_per_image is None
    assert found.unreadable == "no NVIDIA GPU whose energy counter can be read: torch finds no CUDA device"
    assert machine.now == 0


# ---- NVML ------------------------------------------------------------------------------------------------------------


class DriverError(Exception):
    pass


class Driver:
    """NVML of a machine with two GPUs, the second of which has no counter; `down` is why the driver does not answer."""

    NVMLError = DriverError

    def __init__(self, down: str = "") -> None:
        self.down = down

    def nvmlInit(self) -> None:  # noqa: N802
        if self.down:
            raise DriverError(self.down)

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        if uuid not in ("GPU-aa", "GPU-bb"):
            raise DriverError("Not Found")
        return uuid

    NVML_TEMPERATURE_GPU = 0

    def nvmlDeviceGetTemperature(self, handle: str, sensor: int) -> int:  # noqa: N802
        return 41

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:  # noqa: N802
        if handle != "GPU-aa":
            raise DriverError("Not Supported")
        return 4_250


def with_gpu(monkeypatch, uuid: str, driver: Driver) -> None:
    """Torch sees one GPU, whatever its number is to the driver."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid=uuid))
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(meters, "pynvml", driver)


def test_nvml_counts_millijoules_of_the_gpu_that_torch_uses(monkeypatch):
    with_gpu(monkeypatch, "aa", Driver())
    meter = nvml()
    assert (meter.joules(), meter.celsius()) == (4.25, 41.0)
    assert meter.zones == ("GPU, by NVML",)


@pytest.mark.parametrize(
    ("uuid", "driver", "why"),
    [
        ("aa", Driver(down="Driver Not Loaded"), "Driver Not Loaded"),
        ("bb", Driver(), "Not Supported"),
        ("cc", Driver(), "Not Found"),
    ],
    ids=["no driver", "no counter", "another GPU"],
)
def test_a_gpu_without_a_counter_says_so(monkeypatch, uuid, driver, why):
    with_gpu(monkeypatch, uuid, driver)
    found = energy(Machine(0.004, 0.1), SPEC.model_copy(update={"device": "cuda"}))
    assert found.unreadable == f"no NVIDIA GPU whose energy counter can be read: {why}"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_work_draws_no_less_than_rest():
    network = nn.Conv2d(3, 64, 7, padding=3)
    found = energy(network, SPEC.model_copy(update={"device": "cuda", "size": 512}))
    if not found.unreadable:
        assert found.joules_per_image * found.images / found.window_s > found.idle_watts > 0


# ---- zeus ----------------------------------------------------------------------------------------------------------


class Gpus:
    """zeus on a machine with two GPUs of AMD, the second of which has no counter."""

    def get_total_energy_consumption(self, number: int) -> int:
        if number != 0:
            raise RuntimeError("Not Supported")
        return 4_250

    def get_gpu_temperature(self, number: int) -> int:
        return 41


class Older:
    """An older version of zeus, with other names."""

    def getTotalEnergyConsumption(self, number: int) -> int:  # noqa: N802
        return 4_250

    def getGpuTemperature(self, number: int) -> int:  # noqa: N802
        return 41


def with_amd(monkeypatch, gpus: object, number: int = 0) -> None:
    device = ModuleType("zeus.device")
    device.get_gpus = lambda: gpus
    monkeypatch.setitem(sys.modules, "zeus", ModuleType("zeus"))
    monkeypatch.setitem(sys.modules, "zeus.device", device)
    monkeypatch.setattr(torch.version, "hip", "6.4")
    monkeypatch.setattr(torch.cuda, "current_device", lambda: number)


@pytest.mark.parametrize("gpus", [Gpus(), Older()], ids=["newer", "older"])
def test_zeus_counts_millijoules_of_a_gpu_of_amd(monkeypatch, gpus):
    with_amd(monkeypatch, gpus)
    meter = meter_of("cuda")
    assert (meter.joules(), meter.celsius()) == (4.25, 41.0)
    assert meter.zones == ("GPU, by zeus",)


def test_a_gpu_of_amd_without_a_counter_says_so(monkeypatch):
    with_amd(monkeypatch, Gpus(), 1)
    found = energy(Machine(0.004, 0.1), SPEC.model_copy(update={"device": "cuda"}))
    assert found.unreadable == "no AMD GPU whose energy counter can be read: Not Supported"


def test_a_gpu_of_amd_without_zeus_says_what_to_install(monkeypatch):
    with_amd(monkeypatch, Gpus())
    monkeypatch.setitem(sys.modules, "zeus.device", None)
    with pytest.raises(Unreadable, match=r"it takes zeus; pip install 'mdsa-bench\[amd\]'"):
        meter_of("cuda")


# ---- RAPL ------------------------------------------------------------------------------------------------------------


def zone(root: Path, name: str, title: str, microjoules: int) -> None:
    folder = root / name
    folder.mkdir(exist_ok=True)
    for file, text in (("name", title), ("energy_uj", microjoules), ("max_energy_range_uj", 1_000_000)):
        (folder / file).write_text(f"{text}\n")


def test_rapl_adds_up_packages_and_their_memory_and_nothing_twice(tmp_path):
    def at(first: int, second: int, others: int, memory: int = 0) -> None:
        zone(tmp_path, "intel-rapl:0", "package-0", first)
        zone(tmp_path, "intel-rapl:0:0", "core", others)
        zone(tmp_path, "intel-rapl:0:1", "dram", memory)
        zone(tmp_path, "intel-rapl:1", "package-1", second)
        zone(tmp_path, "intel-rapl:2", "psys", others)

    (tmp_path / "intel-rapl").mkdir()
    at(900_000, 100_000, 0)
    counter = Rapl(tmp_path)
    assert counter.joules() == 0
    at(950_000, 300_000, 700_000)
    assert counter.joules() == pytest.approx(0.25)
    at(50_000, 300_000, 800_000)  # the first went past its end: 50,000 to it and 50,000 from it
    assert counter.joules() == pytest.approx(0.35)
    at(50_000, 300_000, 800_000, memory=400_000)
    assert counter.joules() == pytest.approx(0.75)
    assert counter.names == ("package-0", "package-0 dram", "package-1")


def test_the_zones_of_a_cpu_are_told(tmp_path, monkeypatch):
    zone(tmp_path, "intel-rapl:0", "package-0", 1)
    monkeypatch.setattr(meters, "Rapl", partial(Rapl, tmp_path))
    assert meter_of("cpu").zones == ("package-0",)


def test_without_rapl_there_is_a_reason(tmp_path):
    with pytest.raises(Unreadable, match=r"has no intel-rapl package; it takes Linux on an Intel or AMD processor"):
        Rapl(tmp_path)


def test_what_only_root_may_read_says_how_to_open_it(tmp_path, monkeypatch):
    zone(tmp_path, "intel-rapl:0", "package-0", 1)
    reads = Path.read_text

    def guarded(path: Path) -> str:
        if path.name == "energy_uj":
            raise PermissionError
        return reads(path)

    monkeypatch.setattr(Path, "read_text", guarded)
    with pytest.raises(Unreadable, match=r"energy_uj is for root alone; `sudo chmod a\+r .*/intel-rapl:\*/energy_uj`"):
        Rapl(tmp_path)


def test_a_counter_that_vanishes_is_named(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0", 1)
    counter = Rapl(tmp_path)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    with pytest.raises(Unreadable, match="No such file"):
        counter.joules()
