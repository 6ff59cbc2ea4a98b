"""Whatever the system's files and drivers say, a fact that cannot be read is unknown, and nothing is raised."""

import math
import os
import random
from types import SimpleNamespace

import psutil
import pytest

from bench.machine import doctor, facts, system
from bench.machine.doctor import findings, taint
from bench.machine.facts import Machine, State, cpu_times, state
from bench.machine.system import cpu_info, cpu_quota, gpu_state, gpus, processor, text, throttled_s

ODD = (
    b"", b"\n", b"\0", b"max", b"-1", b"0", b"0 0", b"1 0", b"max max", b"-5 100000", b"nan inf", b"\xff\xfe\xe9",
    b"1e999 1", b"9" * 5000, b"9" * 5000 + b" " + b"9" * 5000, b"1", b"1 2 3", b":", b"::", b"0::", b":::::",
    b"0::/../..", b"0::/\xe9", "\u0663 \u0663".encode(), "\u00b2 1".encode(), b"throttled_usec " + b"9" * 400,
    b"throttled_time -1", b"a:" * 9000, b"model name\t: \xe9\x1b[31m\nflags : \xff", b"model name", b"0-", b"-",
    b"5-1", b"0-99999999999", b"0,0,0", b"a-b",
)  # fmt: skip


def garbage(seed: int) -> bytes:
    """Bytes as a damaged file may have them: odd words in any order, and noise."""
    chance = random.Random(seed)
    words = [chance.choice(ODD), chance.choice(ODD), chance.randbytes(chance.randrange(40))]
    return chance.choice([b" ", b"\n", b":", b""]).join(chance.sample(words, 3))


CONTENTS = [*ODD, *map(garbage, range(300))]


@pytest.fixture
def fresh():
    """The caches of what is read once are emptied, before and after."""
    cached = (cpu_info, system.processors, facts.this_machine)
    for one in cached:
        one.cache_clear()
    yield
    for one in cached:
        one.cache_clear()


def proc_of(folder, mounts: bytes, group: bytes, limit: bytes):
    (folder / "self").mkdir(parents=True)
    (folder / "group").mkdir()
    (folder / "mounts").write_bytes(mounts + b"\ncgroup2 %s/group cgroup2 rw 0 0\n" % os.fsencode(folder))
    (folder / "self/cgroup").write_bytes(group + b"\n0::/\n")
    for name in ("cpu.max", "cpu.stat", "cpu.cfs_quota_us", "cpu.cfs_period_us"):
        (folder / "group" / name).write_bytes(limit)
    return folder


def test_no_content_of_proc_or_of_a_control_group_raises(tmp_path):
    for number, content in enumerate(CONTENTS):
        proc = proc_of(tmp_path / str(number), *(random.Random(number).sample([content, content, b"x y"], 3)))
        quota, stopped = cpu_quota(proc), throttled_s(proc)
        assert quota is None or 0 <= quota < math.inf
        assert stopped is None or 0 <= stopped < math.inf


def test_a_mount_that_is_no_utf_8_hides_no_quota(tmp_path):
    proc = proc_of(tmp_path / "proc", b"tmpfs /mnt/\xe9\xff tmpfs rw 0 0", b"9:name=\xe9:/x", b"150000 100000")
    assert cpu_quota(proc) == 1.5


def test_a_mount_with_a_space_is_found(tmp_path):
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b/cpu.max").write_text("50000 100000")
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/mounts").write_text(f"cgroup2 {tmp_path}/a\\040b cgroup2 rw 0 0\n")
    (tmp_path / "proc/self/cgroup").write_text("0::/\n")
    assert cpu_quota(tmp_path / "proc") == 0.5


def test_no_description_of_a_processor_raises_and_its_name_is_printable(tmp_path, monkeypatch, fresh):
    monkeypatch.setattr(system, "PROC", tmp_path)
    for content in (None, *CONTENTS):
        if content is not None:
            (tmp_path / "cpuinfo").write_bytes(content)
        cpu_info.cache_clear()
        assert processor("x86_64")["cpu_vendor"]
        assert cpu_info("model name").isprintable()


def test_no_list_of_processors_raises(tmp_path, monkeypatch):
    monkeypatch.setattr(facts, "ONLINE", tmp_path / "online")
    for content in CONTENTS:
        (tmp_path / "online").write_bytes(content)
        busy_s, steal_s = cpu_times()
        assert all(one is None or 0 <= one < math.inf for one in (busy_s, steal_s))


def test_a_machine_whose_system_tells_nothing_is_described(tmp_path, monkeypatch, fresh):
    def refuses(*_, **__):
        raise random.Random(0).choice([OSError(2, "absent"), ValueError("garbage"), KeyError("MemTotal:")])

    for name in ("virtual_memory", "cpu_times", "cpu_freq", "getloadavg", "swap_memory"):
        monkeypatch.setattr(psutil, name, refuses)
    for module, name in ((system, "PROC"), (facts, "ONLINE"), (doctor, "CPUS")):
        monkeypatch.setattr(module, name, tmp_path / "absent")
    machine, now = facts.this_machine(), state()
    assert machine.cores >= 1
    assert "unknown memory" in machine.title
    assert (now.load_1min, now.cpu_mhz, now.cpu_busy_s, now.memory_free_bytes) == (None, None, None, None)
    assert taint(now, now, machine.cores, "cpu") == ()
    assert all(one.what for one in findings(machine, now, now, "cpu", cuda=False))


@pytest.mark.parametrize("odd", [math.nan, math.inf, None, "n/a"])
def test_a_figure_that_is_no_number_is_unknown(odd, monkeypatch, fresh):
    monkeypatch.setattr(psutil, "getloadavg", lambda: (odd, 0, 0))
    monkeypatch.setattr(psutil, "cpu_freq", lambda: SimpleNamespace(current=odd))
    now = state()
    assert (now.load_1min, now.cpu_mhz) == (None, None)


def test_a_driver_that_answers_oddly_is_no_reason_to_stop(monkeypatch):
    class Driver:
        """Of one GPU; every question but for the names ends in another way."""

        NVML_CLOCK_SM = NVML_CLOCK_MEM = NVML_TEMPERATURE_GPU = NVML_TEMPERATURE_THRESHOLD_SLOWDOWN = 0
        answers = iter(
            [math.nan, "n/a", None, b"\xff", OSError("gone"), UnicodeDecodeError("utf-8", b"", 0, 1, "")] * 9
        )

        def nvmlSystemGetDriverVersion(self):  # noqa: N802
            return b"55\xff.1"

        def nvmlDeviceGetName(self, gpu):  # noqa: N802
            return "GPU \udce9\x1b[31m"

        def nvmlDeviceGetCount(self):  # noqa: N802
            return 1

        def nvmlDeviceGetHandleByIndex(self, number):  # noqa: N802
            return number

        def __getattr__(self, name):
            def answer(*_):
                found = next(self.answers)
                if isinstance(found, Exception):
                    raise found
                return found

            return answer

    monkeypatch.setattr(system, "nvml", Driver)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpus() == (("GPU \\udce9\\x1b[31m",), "55\\udcff.1")
    told = gpu_state()
    assert told
    assert all(isinstance(one, str) and one.startswith("not readable") for one in told.values())
    for names in ("9" * 5000, "\u00b2", "-1", ",", "GPU-\udce9", "0 0"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", names)
        assert gpus()[0] == ()


@pytest.mark.parametrize(("name", "value"), [("OMP_WAIT_POLICY", "\udce9\x1b"), ("KMP_AFFINITY", "a\nb")])
def test_a_variable_that_is_no_text_is_written_out(name, value, monkeypatch, fresh):
    monkeypatch.setenv(name, value)
    machine = facts.this_machine()
    assert machine.variables[name].isprintable()
    assert machine.fingerprint
    assert Machine.model_validate_json(machine.model_dump_json()) == machine


@pytest.mark.parametrize("at", ["", "yesterday", "2026-13-01", "9" * 30])
def test_a_time_that_does_not_parse_is_no_state(at):
    with pytest.raises(ValueError, match="at"):
        State(at=at, load_1min=None, cpu_mhz=None, gpu={})


def test_a_folder_in_the_place_of_a_file_says_nothing(tmp_path):
    assert text(tmp_path) is None
