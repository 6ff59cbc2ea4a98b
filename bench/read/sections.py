"""Groups records into sections: a section contains only what may be compared."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, count

from bench.machine import Machine
from bench.networks import is_pretrained
from bench.quantities import QUANTITIES, CostSpec, DiceSpec, LatencySpec, Scores
from bench.quantities.base import SAME_PASS
from bench.quantities.scores import PROTOCOLS, Protocol
from bench.quantities.variants import PLAIN, name_of
from bench.read.rows import Paired, Row, grouped, longest, paired, reference_row
from bench.run.store import Record

USUAL_SIZE = 224
ELSEWHERE = {"weights", "predicted", "training"}  # conditions that say what was trained elsewhere


@dataclass(frozen=True)
class Section:
    """Rows that may be compared: the same data set, training, machine and latency protocol; all pre-trained or none.

    The reference of paired comparisons is the network `against`, if it was scored.
    """

    dice: DiceSpec | None
    latency: LatencySpec | None
    cost: CostSpec | None
    machine: Machine
    rows: tuple[Row, ...]
    protocol: Protocol = PROTOCOLS["per_image"]
    against: str | None = None
    pretrained: bool = False
    size: int = USUAL_SIZE
    _kept: dict[int, list[Paired]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def reference(self) -> Row | None:
        """The reference row: the network `against`, else MDSA-UNet, else the network with the highest Dice."""
        return reference_row(self.rows, self.against)

    @property
    def paired(self) -> list[Paired]:
        """Every other scored row compared with the reference on the same units; empty if nothing was scored."""
        return self.paired_with(self.reference) if self.reference else []

    def paired_with(self, reference: Row) -> list[Paired]:
        """The same with any of these rows as the reference; cached, because tables, figures and text all use it."""
        if id(reference) not in self._kept:
            self._kept[id(reference)] = paired(self.rows, reference)
        return self._kept[id(reference)]

    def shows(self, score: str) -> bool:
        """Whether any row has the score."""
        return any(row.score(score) for row in self.rows)

    @property
    def distance_unit(self) -> str:
        """The unit of distances between outlines."""
        return next((scores.distance_unit for row in self.rows for scores in row.trainings), "px")

    @property
    def trained_on(self) -> set[str]:
        """The machines that the networks were trained on, in words."""
        every = (record for row in self.rows for record in row.records if isinstance(record.result, Scores))
        machines = (record.machine for record in every if record.job.spec.train)
        return {f"{machine.title}, torch {machine.packages.get('torch')}" for machine in machines}

    @property
    def name(self) -> str:
        """A name for files: "isic2017-224-cpu"."""
        parts = [self.dice.dataset if self.dice else "", str(self.size)]
        parts += [self.latency.device if self.latency else "", "pretrained" if self.pretrained else ""]
        return "-".join(filter(None, parts))


def named(found: Sequence[Section]) -> dict[str, Section]:
    """Sections by unique name. A number is appended to repeated names."""
    by_name: dict[str, Section] = {}
    for section in found:
        names = chain([section.name], (f"{section.name}-{number}" for number in count(2)))
        by_name[next(name for name in names if name not in by_name)] = section
    return by_name


def outdated(records: Sequence[Record]) -> list[Record]:
    """Records of networks whose code was edited since, which are treated as different networks."""
    newest = {_code(r): r.job.network_digest for r in sorted(records, key=lambda r: r.before.at)}
    return [r for r in records if r.job.network_digest != newest[_code(r)]]


def _code(record: Record) -> tuple[str, bool, bool]:
    """What shares a digest. Accuracy may use the digest of the code that first computed the same function.

    Predictions that were made elsewhere have no code here.
    """
    spec = record.job.spec
    return record.job.network, spec.quantity == "dice", bool(getattr(spec, "predicted", ""))


def sections(
    records: Sequence[Record], protocol: Protocol | None = None, against: str | None = None, running: bool = False
) -> list[Section]:
    """Group the records that may be compared. Without a `protocol` each data set is scored with its own.

    The reference of paired comparisons is the network `against`, else MDSA-UNet, else the network with the highest
    Dice.

    Each training protocol on a data set gives a section for each machine and device on which the plain networks were
    timed, at the smallest batch. Networks that were timed but not trained give a section with all timed networks, at
    the usual size, else the smallest. With `running`, networks that are still to be scored are listed with those that
    already are. Other records get sections of their own. Pre-trained networks are kept in separate sections. Sweeps and
    variants are in `bench.read.speeds`.
    """
    old = {id(record) for record in outdated(records)}
    found = []
    for pretrained in (False, True):
        some = [r for r in records if id(r) not in old and is_pretrained(r.job.network) is pretrained]
        found += [replace(s, against=against, pretrained=pretrained) for s in _sections(some, protocol, running)]
    return found


def _sections(records: Sequence[Record], protocol: Protocol | None, running: bool) -> list[Section]:
    dice = _scored(records)
    timed = _timed(records, {_shape(scored[0]) for scored in dice})
    wanted = _names(record for scored in dice for record in scored) if running else _names(records)
    found = [
        _section(records, scored, group, wanted - _names(scored), protocol)
        for scored in dice
        for group in _alike(scored[0], timed) or [[]]
    ]

    def is_left_over(group: list[Record]) -> bool:
        """Whether a network of the group is missing from the scored sections of the same shape."""
        scored = _names(record for other in _alike(group[0], dice) for record in other)
        ours = _names([*group, *_beside(records, group[0])])
        return not _alike(group[0], dice) or (not running and bool(ours - scored))

    found += [_section(records, [], group, set(), protocol) for group in timed if is_left_over(group)]
    swept = {_shape(r) for r in records if isinstance(r.job.spec, LatencySpec)}
    for group in _alone(records):
        if _shape(group[0]) not in swept and is_left_over(group):
            found.append(_section(records, [], [], set(), protocol, group))
            swept.add(_shape(group[0]))
    return found


def _names(records: Iterable[Record]) -> set[str]:
    return {record.job.network for record in records}


def _scored(records: Sequence[Record]) -> list[list[Record]]:
    """Groups of networks with the same training, together with what was trained elsewhere, scored on the same images.

    That is users' own weights, and predictions.
    """
    scored = [record for record in records if isinstance(record.job.spec, DiceSpec)]
    own = [record for record in scored if not record.job.spec.train]
    groups = grouped([record for record in scored if record not in own], "dice", {"train": {"seed"}})
    known = {_scoring(group[0]) for group in groups}
    alone = grouped([r for r in own if _scoring(r) not in known], "dice", ELSEWHERE)
    return [[*group, *(r for r in own if _scoring(r) == _scoring(group[0]))] for group in groups] + alone


def _scoring(record: Record) -> str:
    """The conditions of scoring, without the origin of the weights or predictions."""
    return str(record.job.spec.model_dump_json(exclude={"train", *ELSEWHERE}))


def _timed(records: Sequence[Record], scored: set[tuple[int, int, int]]) -> list[list[Record]]:
    """Latencies of plain networks by machine and size, at the smallest batch."""
    plain = [r for r in records if isinstance(r.job.spec, LatencySpec) and name_of(r.job.spec) == PLAIN]
    groups = []
    for family in grouped(plain, "latency", QUANTITIES["latency"].repeats | {"batch", "size"}):
        batch = min(record.job.spec.batch for record in family)
        smallest = [record for record in family if record.job.spec.batch == batch]
        shapes = {_shape(record) for record in smallest}
        usual = min(shapes, key=lambda shape: (shape[2] != USUAL_SIZE, shape))
        groups += [longest([r for r in smallest if _shape(r) == s]) for s in sorted(shapes & scored or {usual})]
    return groups


def _alone(records: Sequence[Record]) -> list[list[Record]]:
    """Groups of records for a main table without times, those that depend on the machine first.

    Of a sweep, the usual size is taken, else the smallest, at the smallest batch.
    """
    standing = [r for r in records if _stands_in_table(r) and not isinstance(r.job.spec, LatencySpec)]
    families = [f for name, q in QUANTITIES.items() for f in grouped(standing, name, q.repeats | set(q.grows))]
    groups = []
    for family in families:
        first = min((r.job.spec for r in family), key=lambda s: (s.size != USUAL_SIZE, s.size, getattr(s, "batch", 1)))
        groups.append([record for record in family if record.job.spec == first])
    return sorted(groups, key=lambda group: not group[0].machine_id)


def _stands_in_table(record: Record) -> bool:
    quantity = QUANTITIES[record.job.spec.quantity]
    return bool(quantity.columns) and all(getattr(record.job.spec, k) == v for k, v in quantity.beside.items())


def _beside(records: Sequence[Record], first: Record) -> list[Record]:
    """The records for the same row of the main table: those with equal conditions, as far as both have them."""

    def alike(record: Record) -> bool:
        ours, theirs = record.job.spec, first.job.spec
        return all(getattr(ours, name) == getattr(theirs, name, None) for name in SAME_PASS if hasattr(ours, name))

    return [r for r in records if r.job.spec.quantity != "latency" and _stands_in_table(r) and alike(r)]


def _section(
    records: Sequence[Record], scored: list[Record], timed: list[Record], absent: set[str], protocol: Protocol | None,
    alone: Sequence[Record] = (),
) -> Section:  # fmt: skip
    """Make one section without the networks `absent`, which were not scored here and would only add empty cells."""
    # Without times, use other machine-dependent records of the scored shape, at the smallest batch.
    alike = [r for r in records if scored and r.machine_id and _stands_in_table(r) and _shape(r) == _shape(scored[0])]
    first = (timed or sorted(alike, key=lambda r: getattr(r.job.spec, "batch", 1)) or scored or alone)[0]
    beside = _beside(records, first)
    counted = [record for record in beside if isinstance(record.job.spec, CostSpec)]
    members = [record for record in (*beside, *timed, *scored) if record.job.network not in absent]
    dice: DiceSpec | None = scored[0].job.spec if scored else None
    protocol = protocol or PROTOCOLS[dice.protocol if dice else "per_image"]
    names = sorted(_names(members))
    rows = tuple(Row(name, found, protocol) for name in names for found in _by_origin(members, name))
    latency, cost = (group[0].job.spec if group else None for group in (timed, counted))
    return Section(dice, latency, cost, first.machine, rows, protocol, size=first.job.spec.size)


def _by_origin(members: Sequence[Record], network: str) -> list[tuple[Record, ...]]:
    """Split a network's records by where its predictions come from; records of other quantities are in every part."""
    own = [record for record in members if record.job.network == network]
    origins = list(dict.fromkeys(_origin(record) for record in own if isinstance(record.job.spec, DiceSpec)))
    return [
        tuple(record for record in own if not isinstance(record.job.spec, DiceSpec) or _origin(record) == origin)
        for origin in origins or [("", False)]
    ]


def _origin(record: Record) -> tuple[str, bool]:
    """The digest of the user's own weights, if any; and whether the predictions were made elsewhere."""
    return record.job.spec.weights, bool(record.job.spec.predicted)


def _alike(record: Record, others: list[list[Record]]) -> list[list[Record]]:
    """The other groups with the same channels, classes and size."""
    return [other for other in others if _shape(other[0]) == _shape(record)]


def _shape(record: Record) -> tuple[int, int, int]:
    spec = record.job.spec
    return spec.channels, spec.classes, spec.size
