"""What would have to be measured to decide claims that the records leave open. Nothing is trained for them."""

from collections.abc import Iterator, Sequence

from bench.judge.claim import Claim
from bench.judge.verdict import Verdict
from bench.machine import environment
from bench.networks import find_network
from bench.quantities import CostSpec, Device, EnergySpec, LatencySpec, MemorySpec, Spec
from bench.quantities.budget import Budget
from bench.quantities.variants import conditions
from bench.run.job import Job
from bench.run.store import Record

MEASURED = ("cost", "memory", "latency", "energy")


def missing_jobs(verdicts: Sequence[Verdict], records: Sequence[Record], device: Device, budget: Budget) -> list[Job]:
    """The jobs for what is undecided and can be measured here, on `device`, without training.

    Latencies are measured anew for all networks of a claim, in rounds, even where one of them has some: a quotient
    wants neighbours in time. Their processes are numbered on from those on record, which stay as they are.
    """
    open_ = [v.claim for v in verdicts if v.outcome == "undecided" and v.claim.about.quantity in MEASURED]
    claims = [claim for claim in open_ if _can_be_measured_here(claim, device)]
    specs = {(name, _spec(claim)): None for claim in claims if claim.metric != "latency" for name in claim.networks}
    jobs = [_job(name, spec) for name, spec in specs]
    return [*jobs, *_rounds([claim for claim in claims if claim.metric == "latency"], records, budget)]


def _can_be_measured_here(claim: Claim, device: Device) -> bool:
    facts = environment()
    here = claim.machine in ("", facts.cpu, facts.fingerprint, *facts.gpus)
    return here and claim.device in (None, device)


def _spec(claim: Claim) -> Spec:
    facts, shape = environment(), {name: getattr(claim, name) for name in ("channels", "classes", "size")}
    if claim.about.quantity == "cost":
        return CostSpec(**shape)
    assert claim.device
    there = {**shape, "machine": facts.fingerprint, "device": claim.device, "threads": facts.cores}
    if claim.about.quantity == "energy":
        return EnergySpec(**there, batch=claim.batch)
    mode = "training" if claim.metric == "memory_training" else "inference"
    return MemorySpec(**there, batch=claim.batch, mode=mode)


def _rounds(claims: Sequence[Claim], records: Sequence[Record], budget: Budget) -> Iterator[Job]:
    """In every round each network of the claims once, under each of their conditions."""
    facts = environment()
    ways: dict[LatencySpec, list[str]] = {}
    for claim in claims:
        assert claim.device
        spec = LatencySpec(
            machine=facts.fingerprint, device=claim.device, threads=facts.cores, channels=claim.channels,
            classes=claim.classes, size=claim.size, batch=claim.batch, warmup_calls=budget.warmup_calls,
            warmup_s=budget.warmup_s, samples=budget.samples, seconds=budget.seconds,
        )  # fmt: skip
        spec = spec.model_copy(update=conditions(claim.variant))
        ways[spec] = list(dict.fromkeys([*ways.get(spec, []), *claim.networks]))
    first = {spec: _next_process(spec, names, records) for spec, names in ways.items()}
    for number in range(budget.processes):
        for spec, names in ways.items():
            for name in names:
                yield _job(name, spec.model_copy(update={"process": first[spec] + number}))


def _next_process(spec: LatencySpec, names: Sequence[str], records: Sequence[Record]) -> int:
    """The first process number that none of these networks has under these conditions."""
    used = [
        r.job.spec.process
        for r in records
        if isinstance(r.job.spec, LatencySpec)
        and r.job.network in names
        and r.job.spec.model_copy(update={"process": spec.process}) == spec
    ]
    return max(used, default=-1) + 1


def _job(name: str, spec: Spec) -> Job:
    return Job(network=name, network_digest=find_network(name).digest_for(spec.quantity), spec=spec)
