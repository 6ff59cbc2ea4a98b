"""What is found about a machine, from states and system files made by hand."""

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from fake_nvml import Card, Nvml, busy
from handmade import ENVIRONMENT, STATE

from bench.machine import doctor, system
from bench.machine.doctor import Finding, findings

BEFORE = STATE.model_copy(
    update={"clock_s": 0.0, "cpu_busy_s": 0.0, "own_cpu_s": 0.0, "cpu_steal_s": 0.0, "throttled_s": 0.0}
)


def after(**facts: object):
    return BEFORE.model_copy(update={"clock_s": 1.0, **facts})


@pytest.fixture(autouse=True)
def _two_plain_processors(monkeypatch, tmp_path):
    """No hypervisor, no half precision, no GPU, whatever the machine that tests."""
    monkeypatch.setattr(doctor, "processors", lambda: (0, 1))
    monkeypatch.setattr(doctor, "cpu_info", lambda field: "fpu avx2")
    monkeypatch.setattr(doctor, "cpu_has", lambda flag: False)
    monkeypatch.setattr(doctor, "CPUS", tmp_path)
    monkeypatch.setattr(system, "nvml", lambda: None)
    monkeypatch.setattr(psutil, "swap_memory", lambda: SimpleNamespace(used=0))


def found(last=None, facts=ENVIRONMENT, device="cpu", cuda=False) -> dict[str, Finding]:
    """What is found, by its text."""
    return {one.what: one for one in findings(facts, BEFORE, last or after(), device, cuda)}


def marked(found: dict[str, Finding], part: str) -> str:
    """The mark of the one finding whose text holds this; nothing where none does."""
    marks = [finding.mark for what, finding in found.items() if part in what]
    assert len(marks) <= 1
    return "".join(marks)


def write(root: Path, path: str, content: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(content)


def test_a_quiet_plain_machine():
    quiet = found()
    assert marked(quiet, "other processes use 0.0 % of the 2 cores' time") == "ok"
    assert [one.what.split()[0] for one in quiet.values() if one.mark == "note"] == ["bfloat16", "float16"]
    assert not [one for one in quiet.values() if one.mark == "bad"]


def test_what_spoils_times_comes_first_and_says_what_to_do():
    first, second, *_ = found(after(cpu_busy_s=1.0, cpu_steal_s=0.5)).values()
    assert first.what == "other processes used 50 % of the 2 cores' time (limit 5 %)"
    assert second.what == "the hypervisor took 25 % of the 2 cores' time (limit 2 %)"
    assert first.mark == second.mark == "bad"
    assert "`top`" in first.todo


def test_a_system_that_does_not_tell_is_not_called_quiet():
    assert marked(found(STATE), "does not tell what other processes use") == "note"


@pytest.mark.parametrize(("quota", "cores", "mark"), [(2.0, 2, "note"), (1.5, 2, "bad")])
def test_a_quota(quota, cores, mark):
    facts = ENVIRONMENT.model_copy(update={"cpu_quota": quota, "cores": cores})
    assert marked(found(facts=facts), f"may use {quota:g} processors' time") == mark
    assert marked(found(after(throttled_s=0.1), facts), "held the process back for 100 ms") == "bad"


def test_governors_and_turbo(tmp_path):
    write(tmp_path, "cpu0/cpufreq/scaling_governor", "performance\n")
    write(tmp_path, "intel_pstate/no_turbo", "1\n")
    steady = found()
    assert (marked(steady, "governor"), marked(steady, "turbo")) == ("ok", "ok")
    write(tmp_path, "cpu1/cpufreq/scaling_governor", "powersave\n")
    write(tmp_path, "intel_pstate/no_turbo", "0\n")
    loose = found()
    assert (marked(loose, "performance, powersave"), marked(loose, "turbo is on")) == ("note", "note")


@pytest.mark.parametrize(("boost", "mark"), [("1", "note"), ("0", "ok")])
def test_boost_of_other_drivers(tmp_path, boost, mark):
    write(tmp_path, "cpufreq/boost", boost)
    assert marked(found(), "turbo") == mark


def test_siblings_on_one_core(tmp_path):
    for number, siblings in enumerate(("0", "1")):
        write(tmp_path, f"cpu{number}/topology/thread_siblings_list", siblings)
    assert marked(found(), "SMT") == ""
    for number in range(2):
        write(tmp_path, f"cpu{number}/topology/thread_siblings_list", "0-1")
    assert marked(found(), "2 processors are 1 cores (SMT)") == "note"


def test_swap_in_use(monkeypatch):
    assert marked(found(), "swapped") == ""
    monkeypatch.setattr(psutil, "swap_memory", lambda: SimpleNamespace(used=3 * 2**20))
    assert marked(found(), "3 MiB are swapped out") == "note"


def test_virtual_machines_and_native_half_precision(monkeypatch):
    monkeypatch.setattr(doctor, "cpu_has", lambda flag: flag in ("hypervisor", "avx512_bf16"))
    seen = found()
    assert marked(seen, "virtual machine") == "note"
    assert marked(seen, "bfloat16 is native (avx512_bf16)") == "ok"
    assert marked(seen, " float16 is native") == ""


def test_a_processor_without_flags_is_not_said_to_emulate(monkeypatch):
    monkeypatch.setattr(doctor, "cpu_info", lambda field: "")
    assert marked(found(), "bfloat16") == ""


def test_a_gpu_that_torch_cannot_use():
    facts = ENVIRONMENT.model_copy(update={"gpus": ("H200",), "driver": "1"})
    assert marked(found(facts=facts), "torch cannot use the GPU (H200, driver 1)") == "note"
    assert marked(found(facts=facts, cuda=True), "torch cannot use the GPU") == ""


def test_the_gpu_is_looked_at_where_it_would_be_measured(monkeypatch):
    monkeypatch.setattr(system, "nvml", lambda: Nvml(busy()))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    last = after(gpu={"throttle_reasons": 0x40, "processes": 2, "other_processes": 1})
    seen = found(last, device="cuda", cuda=True)
    assert marked(seen, "heat, by hardware") == "bad"
    assert marked(seen, "1 other processes used the GPU") == "bad"
    assert marked(seen, "driver sleeps") == "note"
    assert marked(seen, "bfloat16 is emulated") == "note"
    assert seen["float16 is native (compute capability 7.5)"].mark == "ok"
    on_cpu = found(last)
    assert marked(on_cpu, "GPU") == marked(on_cpu, "driver") == ""


def test_a_gpu_that_answers_nothing_is_not_judged(monkeypatch):
    monkeypatch.setattr(system, "nvml", lambda: Nvml(Card("GPU-0")))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert list(found(device="cuda", cuda=True)) == ["other processes use 0.0 % of the 2 cores' time"]
