"""Claims and records made by hand, for tests of what judges them."""

from handmade import ENVIRONMENT, LATENCY, STATE, cost_record, dice_record, latency_record

from bench.judge.claim import Claim
from bench.networks import find_network
from bench.run.store import Record

MACHINE = ENVIRONMENT.fingerprint


def claim(**facts) -> Claim:
    usual = {"name": "c", "says": "so", "source": "a paper", "network": "mdsa_unet", "metric": "parameters",
             "relation": "at_most", "value": None if "against" in facts else 7e6}  # fmt: skip
    return Claim.model_validate({k: v for k, v in {**usual, **facts}.items() if v is not None})


def now(record: Record, **changes) -> Record:
    """The record as of the network's present code."""
    digest = find_network(record.job.network).digest
    job = record.job.model_copy(update={"network_digest": digest})
    return record.model_copy(update={"job": job, **changes})


def counted(network: str = "mdsa_unet", parameters: int = 6_576_225) -> Record:
    return now(cost_record(network, parameters, 4_456_851_840))


def at(minute: int):
    hours, minutes = divmod(minute, 60)
    return STATE.model_copy(update={"at": f"2026-01-01T{hours:02d}:{minutes:02d}:00+00:00"})


def timed(network: str, medians: list[float], first_minute: int = 0, first: int = 0) -> list[Record]:
    """A process for each median, two minutes apart."""
    return [
        now(latency_record(network, (median,) * 3, first + n), before=at(first_minute + 2 * n))
        for n, median in enumerate(medians)
    ]


def busy(record: Record) -> Record:
    """The same, while other processes used half of both cores."""
    states = (
        {"clock_s": 0.0, "cpu_busy_s": 0.0, "own_cpu_s": 0.0},
        {"clock_s": 10.0, "cpu_busy_s": 20.0, "own_cpu_s": 10.0},
    )
    before, after = (record.before.model_copy(update=facts) for facts in states)
    return record.model_copy(update={"before": before, "after": after})


def trained(network: str, dice: tuple[float, ...], seed: int = 0) -> Record:
    """80 steps of 4 images."""
    return now(dice_record(network, dice, seed))


def trainings(network: str, dice: tuple[float, ...], spread: float = 0.01) -> list[Record]:
    """Three seeds, of which the second has the scores given and the others so much less and more."""
    return [trained(network, tuple(d + spread * (seed - 1) for d in dice), seed) for seed in range(3)]


__all__ = ["LATENCY", "MACHINE", "at", "busy", "claim", "counted", "now", "timed", "trained", "trainings"]
