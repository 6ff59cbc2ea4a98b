"""NVML's answers through a stand-in: which GPU is asked, what of its answers is kept."""

import pytest
from fake_nvml import Card, Nvml, busy

from bench.machine import system
from bench.machine.system import first_gpu, first_visible, gpu_state, gpus

NO_ANSWER = "not readable: Not Supported"
MODE, CAPABILITY = "nvmlDeviceGetPersistenceMode", "nvmlDeviceGetCudaComputeCapability"


@pytest.fixture
def machine(monkeypatch):
    """Makes this a machine with these GPUs, of which CUDA_VISIBLE_DEVICES names some."""

    def has(library, visible=None):
        monkeypatch.setattr(system, "nvml", lambda: library)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    return has


@pytest.mark.parametrize(
    ("visible", "uuid"),
    [
        (None, "GPU-aaaa1111"),
        ("0", "GPU-aaaa1111"),
        ("1,0", "GPU-bbbb2222"),
        ("GPU-bbbb2222,GPU-aaaa1111", "GPU-bbbb2222"),
        ("GPU-bbbb", "GPU-bbbb2222"),  # CUDA takes the beginning of a UUID too
        ("", None),
        ("-1", None),
        ("2", None),
        ("GPU-cccc", None),
    ],
)
def test_the_first_gpu_that_cuda_sees_is_the_one_asked(machine, visible, uuid):
    machine(Nvml(), visible)
    found = first_visible()
    assert (found.uuid if found else None) == uuid


def test_a_part_of_a_gpu_is_asked_for_by_its_name(machine):
    class Parts(Nvml):
        def nvmlDeviceGetHandleByUUID(self, name):  # noqa: N802
            if name != "MIG-1":
                raise self.NVMLError("Not Found")
            return Card(name)

    machine(Parts(), "MIG-1")
    assert first_visible().uuid == "MIG-1"
    machine(Parts(), "MIG-2")
    assert first_visible() is None


def test_without_a_driver_there_are_no_gpus(machine):
    machine(None)
    assert gpus() == ((), "")
    assert gpu_state() == {}
    assert first_gpu(MODE) is None


@pytest.mark.parametrize(
    ("seen", "names"),
    [
        (None, ("NVIDIA A", "NVIDIA B", "NVIDIA B")),
        ("2", ("NVIDIA B",)),
        ("2,0", ("NVIDIA B", "NVIDIA A")),
        ("GPU-a, 1", ("NVIDIA A", "NVIDIA B")),
        ("1,7,0", ("NVIDIA B",)),  # CUDA ignores what follows a GPU that is not there
        ("", ()),
        ("-1", ()),
    ],
)
def test_the_gpus_that_cuda_sees_are_named(machine, seen, names):
    machine(Nvml(Card("GPU-aaaa1111", {"name": "NVIDIA A"}), busy(), busy()), seen)
    assert gpus() == (names, "570.1")


def test_what_a_gpu_answers_is_in_base_units_and_says_who_else_is_there(machine):
    machine(Nvml(), "1")
    assert gpu_state() == {
        "sm_mhz": 1500, "memory_mhz": 2600, "temperature_c": 70, "slowdown_c": 90, "power_w": 350.5,
        "throttle_reasons": 4, "processes": 3, "other_processes": 1,
    }  # fmt: skip
    assert first_gpu(MODE) == 0
    assert first_gpu(CAPABILITY) == (7, 5)


def test_what_a_gpu_does_not_answer_is_said_so(machine):
    machine(Nvml(), "0")
    assert set(gpu_state().values()) == {NO_ANSWER}
    assert first_gpu(MODE) is None
    assert first_gpu(CAPABILITY) is None
