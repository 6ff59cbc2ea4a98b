"""The score of a claim, from records: of whole test splits, of patients, of trainings.

These weights differ on other patients: one training says that. The networks differ: three trainings of each say that.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from shlex import quote
from typing import Any

from bench.data import DATASETS
from bench.judge.claim import Claim
from bench.judge.figure import Measured, Undecided
from bench.quantities.scores import PROTOCOLS, SCORES
from bench.read.rows import Row, on_one_grid
from bench.read.sections import conditions_of, dataset_of, is_named
from bench.read.trained import united
from bench.run.store import Record
from bench.stats.estimate import LEAST_PATIENTS, LEAST_TRAININGS
from bench.stats.paired import difference
from bench.stats.power import need


def scored(claim: Claim, records: Sequence[Record]) -> Measured:
    """The score, or its difference to that of `against`, for the longest training that the networks had alike.

    A score is that of these weights, on other patients; with three or more trainings that of the network. A difference
    is one of networks, and needs three trainings of each.
    """
    best = _longest_training(claim, records)
    protocol = PROTOCOLS[claim.protocol or best[0].job.spec.protocol]
    rows = on_one_grid([Row(n, tuple(r for r in best if r.job.network == n), protocol) for n in claim.networks])
    ids = tuple(record.id for row in rows for record in row.records)
    found = _difference(claim, rows, ids) if claim.is_lead else _figure(claim, rows[0], ids)
    if found.n < LEAST_PATIENTS:
        raise Undecided(f"{_over(rows, found.n)}, {LEAST_PATIENTS} needed", measured=found)
    return found


def _over(rows: Sequence[Row], count: int) -> str:
    """A number of patients, or of images where these stand for one each."""
    return counted(count, "image" if any(row.patients == "images" for row in rows) else "patient")


def _figure(claim: Claim, row: Row, ids: tuple[str, ...]) -> Measured:
    """The score of these weights or of the network."""
    found = row.score(claim.metric)
    if found is None:
        raise Undecided(f"{claim.network} has no {claim.metric} by the protocol {row.protocol.name}")
    whose = "the network" if found.seeds >= LEAST_TRAININGS else "these weights"
    scope = f"{whose}: {_over([row], found.n)}, {counted(found.seeds, 'training')}"
    more = need(_gap(claim, found.value), found.n, (found.seeds,), found.parts)
    return Measured(found.value, found.low, found.high, ids, n=found.n, scope=scope, need=more)


def _difference(claim: Claim, rows: Sequence[Row], ids: tuple[str, ...]) -> Measured:
    """The difference of two networks. Raises Undecided, with the difference of these trainings, if they are too few."""
    ours, theirs = (row.terms(claim.metric) for row in rows)
    found = difference(ours, theirs, worst=SCORES[claim.metric].worst)
    if found is None:
        raise Undecided(f"{claim.network} and {claim.against} have no {claim.metric} of one patient in common")
    trainings, whose = of_each(found.trainings), "the networks" if found.of == "the networks" else "these weights"
    scope = f"{whose}: {_over(rows, found.patients)}, {trainings}"
    more = need(_gap(claim, found.value), found.patients, found.trainings, found.parts)
    figure = Measured(
        found.value,
        found.low,
        found.high,
        ids,
        n=found.patients,
        scope=scope,
        false_claim=found.false_claim,
        unseen=found.unseen,
        need=more,
    )
    if found.of != "the networks":
        reason = f"{trainings}: {LEAST_TRAININGS} of each network are needed to speak of networks"
        raise Undecided(reason, _todo(claim), figure)
    return figure


def _gap(claim: Claim, value: float) -> float:
    """The distance from a figure to the nearest limit of the claim."""
    return min((abs(value - end) for end in claim.allowed if math.isfinite(end)), default=0.0)


def counted(count: int, what: str) -> str:
    """A number of things: "1 patient", "2 patients".

    >>> counted(1, "patient"), counted(2, "process")
    ('1 patient', '2 processes')
    """
    return f"{count} {what}{'' if count == 1 else 'es' if what.endswith('s') else 's'}"


def of_each(trainings: Sequence[int]) -> str:
    """The numbers of trainings of two networks: "3 trainings each", "3 and 1 trainings".

    >>> of_each((1, 1)), of_each((3, 1))
    ('1 training each', '3 and 1 trainings')
    """
    first, second = trainings
    return f"{counted(first, 'training')} each" if first == second else f"{first} and {second} trainings"


def _todo(claim: Claim) -> str:
    """The command that trains what a claim needs: networks are compared by three trainings of each.

    `--all` trains what all such claims need.
    """
    name = claim.dataset.partition("/")[0]
    root = " --data-root FOLDER" if name not in DATASETS or DATASETS[name].needs_root else ""
    data = f"--dataset {quote(name)}{root} --budget paper"
    return f"bench run --all {data} --seeds 0,1,2" if claim.against else f"bench run {quote(claim.network)} {data}"


def _longest_training(claim: Claim, records: Sequence[Record]) -> list[Record]:
    """The records that may decide the claim, of the longest training that all its networks had alike.

    Raises Undecided with the first reason that leaves none.
    """
    found, alike = [r for r in records if _is_scored(claim, r)], " trained alike" if claim.against else ""
    groups = _complete(claim, found)
    if not groups:
        raise Undecided(f"no record of {' and '.join(claim.networks)}{alike} on {claim.dataset}", _todo(claim))
    if len(folders := {dataset_of(record) for record in found}) > 1:
        named = f"records of several folders: {', '.join(sorted(folders))}"
        raise Undecided(f"{named}; name one in the claim, as dataset = 'folder/NAME' or 'folder/DIGEST'")
    for reason, holds in _SOUND:
        found = [record for record in found if holds(record.job.spec, record.result)]
        if not (sound := _complete(claim, found)):
            first = next(r for r in groups[0] if not holds(r.job.spec, r.result))
            raise Undecided(reason(first.job.spec, first.result), _todo(claim))
        groups = sound
    best = max(groups, key=lambda group: (_images_seen(group[0]), group[0].job.spec.scoring))
    if (seen := _images_seen(best[0])) < claim.images_seen:
        wanted = f"the claim is of {claim.images_seen:,} or more"
        raise Undecided(f"trained on {seen:,} images (steps times batch), {wanted}", _todo(claim))
    return best


def _complete(claim: Claim, records: Sequence[Record]) -> list[list[Record]]:
    """Groups of records that were trained and scored alike, those with every network of the claim."""
    exact: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        exact[conditions_of(record)].append(record)
    by_scoring: dict[str, list[list[Record]]] = defaultdict(list)
    for (scoring, training), group in exact.items():
        by_scoring[scoring if training else f"{scoring} elsewhere"].append(group)
    groups = [group for some in by_scoring.values() for group in united(some)]
    return [group for group in groups if {r.job.network for r in group}.issuperset(claim.networks)]


# What a record must be to decide a claim about a score: the reason why it is not, and whether it is.
_SOUND: tuple[tuple[Callable[[Any, Any], str], Callable[[Any, Any], bool]], ...] = (
    (
        lambda spec, result: "its records name no patients: they are shown, and decide nothing",
        lambda spec, result: bool(result.patients),
    ),
    (
        lambda spec, result: f"only {spec.test_images} of the test images were scored",
        lambda spec, result: spec.test_images is None,
    ),
    (lambda spec, result: f"not the published data set: {result.differs}", lambda spec, result: not result.differs),
    (
        lambda spec, result: f"trained on {spec.train.train_images} of the training images alone",
        lambda spec, result: spec.train is None or spec.train.train_images is None,
    ),
)


def _is_scored(claim: Claim, record: Record) -> bool:
    """Whether it is scored on the claim's data after training here.

    A claim that demands no length of training may also be decided by predictions that were made elsewhere.
    """
    spec = record.job.spec
    if (record.status, spec.quantity) != ("ok", "dice") or spec.size != claim.size:
        return False
    trained_so = spec.train is not None or (spec.predicted and not claim.images_seen)
    return bool(trained_so) and is_named(claim.dataset, record)


def _images_seen(record: Record) -> int:
    train = record.job.spec.train
    return int(train.steps * train.batch) if train else 0
