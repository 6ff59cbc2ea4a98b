from dataclasses import replace

from claiming import claim, timed

from bench.judge.missing import missing_jobs
from bench.judge.verdict import judge
from bench.machine import this_machine
from bench.quantities.budget import find_budget

BUDGET = replace(find_budget("quick"), processes=2)
LATENCY = {"metric": "latency", "device": "cpu", "margin": 0.05}


def jobs(*claims, records=(), device="cpu"):
    return missing_jobs(judge(claims, records, "here"), records, device, BUDGET)


def test_a_count_is_measured_once_however_many_claims_want_it():
    found = jobs(claim(), claim(metric="macs_fvcore"), claim(against="unet"))
    assert [(job.network, job.spec.quantity) for job in found] == [("mdsa_unet", "cost"), ("unet", "cost")]


def test_latencies_come_in_rounds_of_all_networks_that_share_conditions():
    found = jobs(claim(**LATENCY, against="unet"), claim(**LATENCY, against="unetpp"))
    assert [(job.network, job.spec.process) for job in found] == [
        ("mdsa_unet", 0), ("unet", 0), ("unetpp", 0), ("mdsa_unet", 1), ("unet", 1), ("unetpp", 1),
    ]  # fmt: skip


def test_processes_are_numbered_on_from_those_on_record():
    (old,) = timed("unet", [1.0], first=4)
    first = jobs(claim(**LATENCY, against="unet"))[0].spec
    spec = first.model_copy(update={"process": 4})
    known = old.model_copy(update={"job": old.job.model_copy(update={"spec": spec})})
    found = jobs(claim(**LATENCY, against="unet"), records=[known])
    assert {job.spec.process for job in found} == {5, 6}


PAIR = {"device": "cpu", "against": "unet", "margin": 0.05, "batch": 4}


def test_memory_and_energy_come_in_rounds_under_the_claims_conditions():
    found = jobs(claim(metric="memory_training", **PAIR), claim(metric="energy", **PAIR))
    names = ("mdsa_unet", "unet")
    assert [(job.spec.quantity, job.network, job.spec.process) for job in found] == [
        (quantity, name, process) for process in range(2) for quantity in ("memory", "energy") for name in names
    ]
    assert (found[0].spec.mode, {job.spec.batch for job in found}) == ("training", {4})


def test_the_window_of_an_energy_is_no_shorter_in_a_quick_budget():
    spec = jobs(claim(metric="energy", **PAIR))[0].spec
    assert (spec.seconds, spec.counter_steps) == (5.0, 50)


def test_the_memory_that_torch_allocates_is_measured_once():
    found = jobs(claim(metric="memory_inference", **PAIR | {"device": "cuda"}), device="cuda")
    assert [(job.network, job.spec.process) for job in found] == [("mdsa_unet", 0), ("unet", 0)]


def test_what_cannot_be_measured_here_is_left():
    assert jobs(claim(metric="dice", dataset="ddti", value=0.5)) == []
    assert jobs(claim(**{**LATENCY, "device": "cuda"}, against="unet")) == []
    assert jobs(claim(**LATENCY, value=1.0, machine="another")) == []
    assert jobs(claim(**LATENCY, value=1.0, machine=this_machine().cpu)) != []
