"""NVML's answers through a stand-in: which GPU is asked, what of its answers is kept."""

import pytest
from fake_nvml import Card, Nvml, busy

from bench.machine.gpu import compute_capability, first_visible, gpu_state, gpus, persistent

NO_ANSWER = "not readable: Not Supported"


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
def test_the_first_gpu_that_cuda_sees_is_the_one_asked(visible, uuid):
    found = first_visible(Nvml(), visible)
    assert (found.uuid if found else None) == uuid


def test_a_part_of_a_gpu_is_asked_for_by_its_name():
    class Parts(Nvml):
        def nvmlDeviceGetHandleByUUID(self, name):  # noqa: N802
            if name != "MIG-1":
                raise self.NVMLError("Not Found")
            return Card(name)

    assert first_visible(Parts(), "MIG-1").uuid == "MIG-1"
    assert first_visible(Parts(), "MIG-2") is None


def test_without_a_driver_there_are_no_gpus():
    assert gpus(None) == ((), "")
    assert gpu_state(None, None) == {}
    assert persistent(None, None) is None
    assert compute_capability(None, None) is None


def test_all_gpus_are_named():
    assert gpus(Nvml(busy(), busy())) == (("NVIDIA B", "NVIDIA B"), "570.1")


def test_the_state_in_base_units_and_who_else_is_there():
    assert gpu_state(Nvml(), "1") == {
        "sm_mhz": 1500, "memory_mhz": 2600, "temperature_c": 70, "slowdown_c": 90, "power_w": 350.5,
        "throttle_reasons": 4, "processes": 3, "other_processes": 1,
    }  # fmt: skip


def test_what_a_gpu_does_not_answer_is_said_so():
    assert set(gpu_state(Nvml(), "0").values()) == {NO_ANSWER}
    assert persistent(Nvml(), "0") is None
    assert compute_capability(Nvml(), "0") is None


def test_persistence_and_generation():
    assert persistent(Nvml(), "1") is False
    assert compute_capability(Nvml(), "1") == (7, 5)
