import pytest
from claiming import MACHINE, at, busy, claim, counted, now
from handmade import ENVIRONMENT, record

from bench.judge.evidence import Undecided, exact, fitting, preferred, previous
from bench.quantities import Energy, EnergySpec, Memory, MemorySpec

MEMORY = {"metric": "memory_inference", "device": "cpu", "against": "unet", "margin": 0.05}


def memory(network, peak, machine="here", minute=0, mode="inference"):
    spec = MemorySpec(machine=machine, device="cpu", threads=2, mode=mode)
    made = record(network, spec, Memory(weights_bytes=1, peak_bytes=peak))
    title = ENVIRONMENT.model_copy(update={"cpu": machine})
    return now(made, before=at(minute), machine=title)


def test_a_quotient_of_two_counts():
    one = claim(against="unet")
    found = exact(one, [counted(), counted("unet", 2 * 6_576_225)], MACHINE)
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)
    assert len(found.records) == 2


def test_a_failed_or_unverified_count_decides_nothing():
    failed = counted().model_copy(update={"status": "crashed", "error": "segfault", "result": None})
    with pytest.raises(Undecided, match="mdsa_unet: crashed: segfault"):
        exact(claim(), [failed], MACHINE)
    sound = counted()
    wrong = sound.result.model_copy(update={"torch": sound.result.torch.model_copy(update={"macs": 10**9})})
    with pytest.raises(Undecided, match="unverified: the counters disagree"):
        exact(claim(metric="macs_fvcore"), [sound.model_copy(update={"result": wrong})], MACHINE)
    assert exact(claim(), [sound.model_copy(update={"result": wrong})], MACHINE).value == 6_576_225


def test_the_share_attended_is_of_a_module():
    sound = counted()
    sparse = sound.model_copy(update={"result": sound.result.model_copy(update={"attended": {"encode1": 0.02}})})
    assert exact(claim(metric="attended", module="encode1", value=0.1), [sparse], MACHINE).value == 0.02
    with pytest.raises(Undecided, match="no module 'encode9' that attends; known: encode1"):
        exact(claim(metric="attended", module="encode9", value=0.1), [sparse], MACHINE)


def test_this_machine_goes_before_another_and_the_last_one_before_older_ones():
    here, there, later = memory("unet", 1), memory("unet", 2, "there", 5), memory("unet", 3, "elsewhere", 9)
    assert preferred([here, there, later], "there") == [there]
    assert preferred([here, there, later], "unknown") == [later]
    assert preferred([], "here") == []


def test_figures_of_two_machines_make_no_quotient():
    with pytest.raises(Undecided, match=r"measured on two machines: mdsa_unet on here.*unet on there"):
        exact(claim(**MEMORY), [memory("mdsa_unet", 1), memory("unet", 2, "there")], "nowhere")
    assert exact(claim(**MEMORY), [memory("mdsa_unet", 1), memory("unet", 2)], "here").value == 0.5


def test_a_named_machine_is_the_only_one():
    both = [memory("unet", 1), memory("unet", 2, "there")]
    assert fitting(claim(**MEMORY, machine="there"), "unet", both) == [both[1]]
    with pytest.raises(Undecided, match="no record of mdsa_unet under these conditions on there"):
        exact(claim(**MEMORY, machine="there"), [memory("mdsa_unet", 1), *both], "here")


def test_energy_that_others_spent_too_decides_nothing_and_memory_is_its_own():
    spec = EnergySpec(machine="here", device="cpu", threads=2)
    metered = [
        now(record(name, spec, Energy(joules_per_image=joules, idle_watts=1.0)))
        for name, joules in (("mdsa_unet", 1.0), ("unet", 4.0))
    ]
    spent = claim(metric="energy", device="cpu", against="unet", margin=0.05)
    assert exact(spent, metered, "here").value == 0.25
    with pytest.raises(Undecided, match="unet was disturbed while it was measured: other processes used 50 %"):
        exact(spent, [metered[0], busy(metered[1])], "here")
    held = [busy(memory("mdsa_unet", 1)), memory("unet", 2)]
    assert exact(claim(**MEMORY), held, "here").value == 0.5


def test_only_the_claims_conditions_fit():
    records = [memory("unet", 1), memory("unet", 2, mode="training"), counted("unet")]
    assert fitting(claim(**MEMORY), "unet", records) == [records[0]]
    assert fitting(claim(**MEMORY, batch=2), "unet", records) == []


def test_what_was_before_is_of_the_newest_older_code():
    older = counted(parameters=5).model_copy(
        update={"job": counted().job.model_copy(update={"network_digest": "0" * 12})}
    )
    assert previous(claim(), [older]) == 5
    assert previous(claim(), []) is None
