"""The measurements that are needed to decide undecided claims. Trainings are not included."""

from collections.abc import Iterator, Sequence
from typing import Any

from bench.judge.claim import Claim
from bench.judge.verdict import Verdict
from bench.machine import this_machine
from bench.quantities import QUANTITIES, Device
from bench.quantities.budget import Budget
from bench.quantities.variants import made_so
from bench.run.job import Job
from bench.run.store import Record


def missing_jobs(verdicts: Sequence[Verdict], records: Sequence[Record], device: Device, budget: Budget) -> list[Job]:
    """The jobs for undecided claims that can be measured on this machine, on `device`, without training.

    Times, memory on a CPU and energy are measured again for all networks of a claim, in rounds, even if some already
    have records, because a quotient needs processes that run close together in time. Process numbers continue those of
    the existing records, which are kept.
    """
    here = this_machine()
    claims = [v.claim for v in verdicts if v.outcome == "undecided" and v.claim.about.tier != "score"]
    claims = [claim for claim in claims if claim.may_be_of(here) and claim.device in (None, device)]
    repeated = [claim for claim in claims if not claim.about.gates_exactly(claim.device)]
    once = {(name, _spec(claim)): None for claim in claims if claim not in repeated for name in claim.networks}
    return [*(Job.of(name, spec) for name, spec in once), *_rounds(repeated, records, budget)]


def _spec(claim: Claim, **more: Any) -> Any:
    """The conditions of a claim, on this machine."""
    facts, kind = this_machine(), QUANTITIES[claim.about.quantity].spec
    known = {"machine": facts.fingerprint, "threads": facts.cores, **claim.about.where, **more}
    known |= {name: getattr(claim, name) for name in ("channels", "classes", "size", "batch", "device")}
    return kind(**{name: value for name, value in known.items() if name in kind.model_fields})


def _rounds(claims: Sequence[Claim], records: Sequence[Record], budget: Budget) -> Iterator[Job]:
    """Yield the jobs in rounds; each round has every network once under each of the claims' conditions."""
    length = {name: getattr(budget, name) for name in ("warmup_calls", "warmup_s", "samples", "seconds")}
    ways: dict[Any, list[str]] = {}
    for claim in claims:
        of_times = length if claim.about.samples else {}  # the window of an energy is as long in every budget
        spec = _spec(claim, **of_times, **made_so(claim.variant))
        ways[spec] = list(dict.fromkeys([*ways.get(spec, []), *claim.networks]))
    first = {spec: _next_process(spec, names, records) for spec, names in ways.items()}
    for number in range(budget.processes):
        for spec, names in ways.items():
            for name in names:
                yield Job.of(name, spec.model_copy(update={"process": first[spec] + number}))


def _next_process(spec: Any, names: Sequence[str], records: Sequence[Record]) -> int:
    """The first process number after those that these networks have under these conditions."""
    timed = [r.job.spec for r in records if r.job.network in names and isinstance(r.job.spec, type(spec))]
    used = [other.process for other in timed if other.model_copy(update={"process": spec.process}) == spec]
    return max(used, default=-1) + 1
