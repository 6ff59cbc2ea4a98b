import pytest
from claiming import MACHINE, at, busy, claim, counted, now, timed
from handmade import ENVIRONMENT, altered, record

from bench.judge.evidence import LEAST, exact, fitting, interleaved, measured, preferred, previous
from bench.judge.figure import Undecided
from bench.quantities import Energy, EnergySpec, Memory, MemorySpec

MEMORY = {"metric": "memory_inference", "device": "cpu", "against": "unet", "margin": 0.05}


def memory(network, peak, machine="here", minute=0, mode="inference", process=0):
    spec = MemorySpec(machine=machine, device="cpu", threads=2, mode=mode, process=process)
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


def test_the_time_on_the_gpu_has_its_own_name_and_a_cpu_has_none():
    networks = {"mdsa_unet": 1.0, "unet": 2.0}
    on_cpu = [r for network, s in networks.items() for r in timed(network, [s, 1.01 * s, 0.99 * s, s, s])]
    on_gpu = [
        altered(r, {"event_samples_s": (0.25 if r.job.network == "unet" else 0.5,)}, device="cuda") for r in on_cpu
    ]
    facts = {"against": "unet", "margin": 0.05}
    assert interleaved(claim(metric="latency", device="cuda", **facts), on_gpu, MACHINE).value == pytest.approx(0.5)
    assert interleaved(claim(metric="gpu_time", device="cuda", **facts), on_gpu, MACHINE).value == pytest.approx(2.0)
    with pytest.raises(Undecided, match="mdsa_unet has no gpu_time on cpu"):
        interleaved(claim(metric="gpu_time", device="cpu", **facts), on_cpu, MACHINE)


def test_a_claim_is_of_times_on_all_cores():
    on_all = timed("unet", [1.0] * 5)
    on_one = [altered(r, threads=1) for r in on_all]
    assert (
        fitting(claim(metric="latency", device="cpu", machine="A CPU", margin=0.05), "unet", [*on_one, *on_all])
        == on_all
    )


def test_a_named_machine_is_the_only_one():
    both = [memory("unet", 1), memory("unet", 2, "there")]
    assert fitting(claim(**MEMORY, machine="there"), "unet", both) == [both[1]]
    with pytest.raises(Undecided, match="no record of mdsa_unet under these conditions on there"):
        exact(claim(**MEMORY, machine="there"), [memory("mdsa_unet", 1), *both], "here")


def energy(network, joules, process=0, **facts):
    spec = EnergySpec(machine="here", device="cpu", threads=2, process=process)
    result = Energy(joules_per_image=joules, idle_watts=1.0, **facts)
    return now(record(network, spec, result), before=at(process))


ENERGY = {"metric": "energy", "device": "cpu", "margin": 0.05}


def test_energy_and_memory_on_a_cpu_are_quotients_of_pairs_of_processes():
    for made, claimed in ((energy, claim(**ENERGY, against="unet")), (memory, claim(**MEMORY))):
        records = [made(name, figure, process=n) for n in range(4) for name, figure in (("mdsa_unet", 1), ("unet", 4))]
        found = measured(claimed, records, "here")
        assert (found.value, found.n, len(found.records)) == (pytest.approx(0.25), 4, 8)
        with pytest.raises(Undecided, match=r"^3 sound pairs of processes with unet, 4 needed$"):
            measured(claimed, records[:6], "here")


def test_memory_torch_allocates_on_cuda_needs_one_record_of_each():
    on_cuda = [altered(memory(name, peak), device="cuda") for name, peak in (("mdsa_unet", 1), ("unet", 2))]
    assert measured(claim(**MEMORY | {"device": "cuda"}), on_cuda, "here").value == 0.5


def test_energy_that_others_spent_too_decides_nothing_and_memory_is_its_own():
    metered = [energy(name, joules, n) for n in range(4) for name, joules in (("mdsa_unet", 1.0), ("unet", 4.0))]
    with pytest.raises(Undecided, match=r"3 sound pairs .*: 1 of 4 were disturbed, other processes used 50 %"):
        measured(claim(**ENERGY, against="unet"), [metered[0], busy(metered[1]), *metered[2:]], "here")
    held = [busy(memory(name, peak, process=n)) for n in range(4) for name, peak in (("mdsa_unet", 1), ("unet", 2))]
    assert measured(claim(**MEMORY), held, "here").value == pytest.approx(0.5)
    with pytest.raises(Undecided, match=r"^3 sound pairs of processes with unet, 4 needed$"):
        measured(claim(**MEMORY), held[2:], "here")


def test_a_figure_that_cannot_be_read_decides_nothing():
    spent = claim(**ENERGY, against="unet")
    sound = [energy("mdsa_unet", 1.0, n) for n in range(4)]
    for joules, facts, told in ((None, {"unreadable": "no counter"}, "no counter"), (0.0, {}, "its energy is 0")):
        theirs = [energy("unet", joules, n, **facts) for n in range(4)]
        with pytest.raises(Undecided, match=f"^unet is unverified: {told}$"):
            measured(spent, [*sound, *theirs], "here")


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


LATENCY = {"metric": "latency", "device": "cpu", "margin": 0.05}
RATIO = claim(**LATENCY, against="unet")


def test_pairs_give_the_quotient_with_an_interval_and_every_record_behind_it():
    found = interleaved(RATIO, [*timed("mdsa_unet", [1, 2, 1, 2]), *timed("unet", [2, 4, 2, 4], 1)], MACHINE)
    assert found.value == pytest.approx(0.5)
    assert (found.n, len(found.records)) == (4, 8)
    assert found.low < 0.5 < found.high, "the control differs from itself, so the quotient cannot be that sure"


def test_two_processes_of_two_days_are_no_pair():
    with pytest.raises(Undecided, match=f"0 sound pairs of processes with unet, {LEAST} needed"):
        interleaved(RATIO, [*timed("mdsa_unet", [1] * 5), *timed("unet", [2] * 5, 120)], MACHINE)


def test_disturbed_processes_decide_nothing():
    records = [*timed("mdsa_unet", [1] * 5), *map(busy, timed("unet", [2] * 5, 1))]
    with pytest.raises(Undecided, match="5 of 5 were disturbed, other processes used 50 %"):
        interleaved(RATIO, records, MACHINE)
    with pytest.raises(Undecided, match="every process of unet was disturbed"):
        interleaved(claim(**LATENCY, network="unet", value=1.0, machine="A CPU"), records, MACHINE)


def test_rounds_that_were_measured_later_are_pairs_of_their_own():
    stale = timed("mdsa_unet", [9] * 5)
    fresh = [*timed("mdsa_unet", [1] * 5, 200, first=5), *timed("unet", [2] * 5, 201, first=5)]
    assert interleaved(RATIO, [*stale, *timed("unet", [2] * 5, 100), *fresh], MACHINE).value == pytest.approx(0.5)


@pytest.mark.parametrize("changes", [{"tf32": True}, {"cudnn_benchmark": True}, {"form": "folded"}, {"batch": 2}])
def test_times_under_other_conditions_are_no_evidence(changes):
    def other(record):
        spec = record.job.spec.model_copy(update=changes)
        return record.model_copy(update={"job": record.job.model_copy(update={"spec": spec})})

    records = [other(record) for record in (*timed("mdsa_unet", [1] * 4), *timed("unet", [2] * 4, 1))]
    with pytest.raises(Undecided, match="no record of mdsa_unet under these conditions"):
        interleaved(RATIO, records, MACHINE)
    if "form" in changes:
        folded = claim(**LATENCY, against="unet", variant="folded")
        assert interleaved(folded, records, MACHINE).value == pytest.approx(0.5)


def test_pairs_of_two_protocols_are_not_mixed():
    def shorter(record):
        spec = record.job.spec.model_copy(update={"samples": 5})
        return record.model_copy(update={"job": record.job.model_copy(update={"spec": spec})})

    few = [shorter(record) for record in (*timed("mdsa_unet", [9] * 2), *timed("unet", [9] * 2, 1))]
    found = interleaved(RATIO, [*few, *timed("mdsa_unet", [1] * 4, 10), *timed("unet", [2] * 4, 11)], MACHINE)
    assert (found.value, found.n) == (pytest.approx(0.5), 4)


@pytest.mark.parametrize("metric", ["latency", "energy", "memory_inference"])
def test_alone_on_its_machine_it_is_the_median_of_four_processes_or_more(metric):
    alone = claim(**LATENCY | {"metric": metric}, value=1.0, machine="A CPU")

    def of(*figures):
        if metric == "latency":
            return timed("mdsa_unet", list(figures))
        made = [energy("mdsa_unet", f, n) if metric == "energy" else memory("mdsa_unet", int(f), process=n)
                for n, f in enumerate(figures)]  # fmt: skip
        return [r.model_copy(update={"machine": ENVIRONMENT}) for r in made]

    found = interleaved(alone, of(1, 2, 4, 8), MACHINE)
    assert (found.value, found.low, found.high, found.n, len(found.records)) == (3, 1, 8, 4, 4)
    with pytest.raises(Undecided, match=r"^3 sound processes of mdsa_unet, 4 needed$"):
        interleaved(alone, of(1, 2, 4), MACHINE)
    with pytest.raises(Undecided, match="no record of mdsa_unet"):
        interleaved(claim(**LATENCY | {"metric": metric}, value=1.0, machine="B CPU"), of(1), MACHINE)
