"""What the system says of processors; quotas and throttling from control groups made by hand in both versions."""

import os
from pathlib import Path

import pytest

from bench.machine import system
from bench.machine.system import cpu_info, cpu_quota, processor, processors, text, throttled_s


@pytest.fixture
def second(tmp_path) -> Path:
    """A process in the group /user/job of version 2; returns the folder that stands for /proc."""
    (tmp_path / "cgroup/user/job").mkdir(parents=True)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/mounts").write_text(f"proc /proc proc rw 0 0\ncgroup2 {tmp_path}/cgroup cgroup2 rw,nosuid 0 0\n")
    (tmp_path / "proc/self/cgroup").write_text("0::/user/job\n")
    return tmp_path / "proc"


@pytest.fixture
def first(tmp_path) -> Path:
    """A process in the group /docker/x of version 1, in a container that shows only the group itself, at the mount."""
    (tmp_path / "cpu").mkdir()
    (tmp_path / "proc/self").mkdir(parents=True)
    mounts = f"cgroup {tmp_path}/cpu cgroup rw,cpu,cpuacct 0 0\ncgroup {tmp_path}/memory cgroup rw,memory 0 0\n"
    (tmp_path / "proc/mounts").write_text(mounts)
    (tmp_path / "proc/self/cgroup").write_text("4:memory:/docker/x\n2:cpu,cpuacct:/docker/x\n0::/\n")
    return tmp_path / "proc"


def group(proc: Path, name: str) -> Path:
    return proc.parent / "cgroup" / name


def test_without_control_groups_nothing_is_known(tmp_path):
    assert cpu_quota(tmp_path) is None
    assert throttled_s(tmp_path) is None


def test_a_quota_of_version_2(second):
    assert cpu_quota(second) is None
    (group(second, "user/job") / "cpu.max").write_text("max 100000\n")
    assert cpu_quota(second) is None
    (group(second, "user/job") / "cpu.max").write_text("150000 100000\n")
    assert cpu_quota(second) == 1.5


def test_the_tightest_quota_binds_wherever_it_is_set(second):
    (group(second, "user/job") / "cpu.max").write_text("400000 100000\n")
    (group(second, "user") / "cpu.max").write_text("100000 50000\n")
    assert cpu_quota(second) == 2.0


def test_throttling_adds_up_over_the_groups(second):
    (group(second, "user/job") / "cpu.stat").write_text("usage_usec 9\nnr_throttled 1\nthrottled_usec 250000\n")
    (group(second, "user") / "cpu.stat").write_text("usage_usec 9\nnr_throttled 1\nthrottled_usec 500000\n")
    assert throttled_s(second) == 0.75


def test_version_1_in_a_container(first):
    assert cpu_quota(first) is None
    (first.parent / "cpu/cpu.cfs_period_us").write_text("100000\n")
    (first.parent / "cpu/cpu.cfs_quota_us").write_text("-1\n")
    assert cpu_quota(first) is None
    (first.parent / "cpu/cpu.cfs_quota_us").write_text("250000\n")
    assert cpu_quota(first) == 2.5
    (first.parent / "cpu/cpu.stat").write_text("nr_periods 5\nnr_throttled 2\nthrottled_time 1500000000\n")
    assert throttled_s(first) == 1.5


def test_a_group_outside_the_container_does_not_lead_out_of_the_mount(second):
    (second / "self/cgroup").write_text("0::/../other\n")
    (second.parent / "cpu.max").write_text("100000 100000\n")
    (second.parent / "cgroup/cpu.max").write_text("300000 100000\n")
    assert cpu_quota(second) == 3.0


def test_what_cannot_be_read_is_none(tmp_path):
    assert text(tmp_path / "none") is None
    assert text(tmp_path) is None  # a folder


def test_this_process_has_processors_and_an_unknown_field_is_empty():
    assert 1 <= len(processors()) <= os.cpu_count()
    assert cpu_info("no such field") == ""


X86 = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC
stepping\t: 1
flags\t\t: fpu vme avx2
"""
ARM = """processor\t: 0
Features\t: fp asimd
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
"""


@pytest.fixture
def described(tmp_path, monkeypatch):
    """What is read from a /proc/cpuinfo with this text."""

    def read(info: str) -> dict[str, str]:
        (tmp_path / "cpuinfo").write_text(info)
        monkeypatch.setattr(system, "PROC", tmp_path)
        cpu_info.cache_clear()
        return processor("arm64")

    yield read
    cpu_info.cache_clear()


def test_a_processor_is_told_by_more_than_its_name(described):
    found = described(X86)
    assert list(found.values())[:4] == ["AuthenticAMD", "25", "17", "1"]
    assert list(described(ARM).values())[:4] == ["0x41", "8", "0xd0c", "0x3"]
    assert described(X86.replace("stepping\t: 1", "stepping\t: 2")) == {**found, "cpu_stepping": "2"}


def test_features_count_in_any_order(described):
    digest = described(X86)["cpu_flags"]
    assert described(X86.replace("fpu vme avx2", "avx2 fpu vme"))["cpu_flags"] == digest
    assert described(X86.replace(" avx2", ""))["cpu_flags"] != digest


def test_a_system_that_tells_nothing_of_its_processor(described):
    assert described("") == {
        "cpu_vendor": "arm64", "cpu_family": "", "cpu_model": "", "cpu_stepping": "", "cpu_flags": ""
    }  # fmt: skip
