"""Records to sections: what may be compared is put together, and nothing else."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from bench.machine import Environment
from bench.networks import is_pretrained
from bench.quantities import CostSpec, DiceSpec, LatencySpec, MemorySpec, Scores
from bench.quantities.protocols import PROTOCOLS, Protocol
from bench.quantities.variants import PLAIN, name_of
from bench.read.paired import Paired, paired, reference_row
from bench.read.rows import Row, longest, spec_of
from bench.run.store import Record

# How long a latency was measured, not what was measured.
PROTOCOL = {"process", "samples", "seconds", "warmup_calls", "warmup_s"}
USUAL_SIZE = 224


@dataclass(frozen=True)
class Section:
    """Rows that may be compared: one data set and training, one machine and latency protocol, all pre-trained or none.

    Where networks are compared two by two, it is with the one called `against`, where it was scored.
    """

    dice: DiceSpec | None
    latency: LatencySpec | None
    cost: CostSpec | None
    environment: Environment
    rows: tuple[Row, ...]
    protocol: Protocol = PROTOCOLS["per_image"]
    against: str | None = None
    pretrained: bool = False

    @cached_property
    def reference(self) -> Row | None:
        """Whom the others are compared with: the one named, else the subject, else the most accurate."""
        return reference_row(self.rows, self.against)

    @property
    def paired(self) -> list[Paired]:
        """Every other scored row against the reference, on the same units; none where nothing was scored."""
        return self.paired_with(self.reference) if self.reference else []

    def paired_with(self, reference: Row) -> list[Paired]:
        """The same against any of these rows; kept, for tables, figures and sentences ask for the same."""
        place = next(number for number, row in enumerate(self.rows) if row is reference)
        if place not in self._kept:
            self._kept[place] = paired(self.rows, reference)
        return self._kept[place]

    @cached_property
    def _kept(self) -> dict[int, list[Paired]]:
        return {}

    @property
    def distance_unit(self) -> str:
        """The unit of HD95."""
        return next((scores.distance_unit for row in self.rows for scores in row.trainings), "px")

    @property
    def trained_on(self) -> set[str]:
        """The machines that the networks were trained on, in words."""
        trained = (
            r for row in self.rows for r in row.records if isinstance(r.result, Scores) and not r.result.weights_file
        )
        return {f"{r.environment.title}, torch {r.environment.packages.get('torch')}" for r in trained}

    @property
    def name(self) -> str:
        """A name for files: "isic2017-224-cpu"."""
        spec = self.dice or self.latency or self.cost
        parts = [self.dice.dataset if self.dice else "", str(spec.size if spec else "")]
        parts.append(self.latency.device if self.latency else "")
        parts.append("pretrained" if self.pretrained else "")
        return "-".join(part for part in parts if part)


def named(found: list[Section]) -> dict[str, Section]:
    """Sections by a name of their own: a second one of the same name gets a number."""
    by_name: dict[str, Section] = {}
    for section in found:
        name, number = section.name, 2
        while name in by_name:
            name, number = f"{section.name}-{number}", number + 1
        by_name[name] = section
    return by_name


def outdated(records: Sequence[Record]) -> list[Record]:
    """Records of a network whose code was edited since: another network, though it has the same name."""
    newest: dict[tuple[str, bool], Record] = {}
    for record in records:
        if _code(record) not in newest or record.before.at > newest[_code(record)].before.at:
            newest[_code(record)] = record
    return [r for r in records if r.job.network_digest != newest[_code(r)].job.network_digest]


def _code(record: Record) -> tuple[str, bool]:
    """What went by the same digest: accuracy may go by that of the code which first computed the function."""
    return record.job.network, record.job.spec.quantity == "dice"


def sections(
    records: Sequence[Record], protocol: Protocol | None = None, against: str | None = None, running: bool = False
) -> list[Section]:
    """Put the records that may be compared together. Without a `protocol` each data set is scored by its own.

    Networks are compared two by two with the one called `against`, else with MDSA-UNet, else with the most accurate.

    Each training protocol on a data set makes a section for each machine and device that networks were timed on as they
    are, at the smallest batch. Networks that were timed and not trained make one at the usual size, else the smallest,
    in which all that were timed stand; while a run is `running`, those that are still to be scored stand with those
    that are. Counts that fit neither make sections of their own. Networks that begin pre-trained are kept apart from
    the others. Sweeps and variants are `bench.read.speeds`.
    """
    old = {id(record) for record in outdated(records)}
    records = [record for record in records if id(record) not in old]
    apart = [[r for r in records if is_pretrained(r.job.network) is pretrained] for pretrained in (False, True)]
    plain, pretrained = (_sections(kind, protocol, running) for kind in apart)
    return [
        *(replace(section, against=against) for section in plain),
        *(replace(section, against=against, pretrained=True) for section in pretrained),
    ]


def _sections(records: Sequence[Record], protocol: Protocol | None, running: bool) -> list[Section]:
    dice = _scored(records)
    timed = _timed(records, {_shape(scored[0]) for scored in dice})
    cost = grouped(records, CostSpec, set())
    wanted = _names(record for scored in dice for record in scored) if running else _names(records)

    def unscored(*groups: list[Record]) -> set[str]:
        """The networks of groups of one shape that no data set was scored with."""
        scored = _names(r for group in groups[:1] for other in _alike(group, dice) for r in other)
        return _names(r for group in groups for r in group) - scored

    found = [
        _section(scored, group, _counted(scored, cost), wanted - _names(scored), protocol)
        for scored in dice
        for group in _alike(scored, timed) or [[]]
    ]
    found += [
        _section([], group, _counted(group, cost), set(), protocol)
        for group in timed
        if not _alike(group, dice) or (not running and unscored(group, _counted(group, cost)))
    ]
    swept = {_shape(r) for r in records if isinstance(r.job.spec, LatencySpec)}
    alone = [
        counted
        for counted in cost
        if _shape(counted[0]) not in swept and (not _alike(counted, dice) or (not running and unscored(counted)))
    ]
    return found + [_section([], [], counted, set(), protocol) for counted in alone]


def _names(records: Iterable[Record]) -> set[str]:
    return {record.job.network for record in records}


def _counted(group: list[Record], cost: list[list[Record]]) -> list[Record]:
    return next(iter(_alike(group, cost)), [])


def _scored(records: Sequence[Record]) -> list[list[Record]]:
    """Networks that were trained alike, and with them somebody's own weights that were scored on the same images."""
    scored = [record for record in records if isinstance(record.job.spec, DiceSpec)]
    own = [record for record in scored if spec_of(record).weights]
    groups = grouped([record for record in scored if record not in own], DiceSpec, {"train": {"seed"}})
    known = {_scoring(group[0]) for group in groups}
    alone = grouped([r for r in own if _scoring(r) not in known], DiceSpec, {"weights"})
    return [[*group, *(r for r in own if _scoring(r) == _scoring(group[0]))] for group in groups] + alone


def _scoring(record: Record) -> str:
    """What was scored and how, whatever the weights."""
    return str(spec_of(record).model_dump_json(exclude={"train", "weights"}))


def _timed(records: Sequence[Record], scored: set[tuple[int, int, int]]) -> list[list[Record]]:
    """Latencies of plain networks by machine and size, each with the memory measured beside it."""
    plain = [r for r in records if isinstance(r.job.spec, LatencySpec) and name_of(r.job.spec) == PLAIN]
    groups = []
    for family in grouped(plain, LatencySpec, PROTOCOL | {"batch", "size"}):
        batch = min(spec_of(record).batch for record in family)
        shapes = {_shape(record) for record in family if spec_of(record).batch == batch}
        wanted = shapes & scored or {_usual(shapes)}
        for shape in sorted(wanted):
            group = [r for r in family if spec_of(r).batch == batch and _shape(r) == shape]
            groups.append([*longest(group), *_weighed(records, group[0])])
    return groups


def _usual(shapes: set[tuple[int, int, int]]) -> tuple[int, int, int]:
    return next((shape for shape in shapes if shape[2] == USUAL_SIZE), min(shapes))


def _weighed(records: Sequence[Record], timed: Record) -> list[Record]:
    """The memory of forward passes under the conditions of a latency."""

    def alike(record: Record) -> bool:
        ours, theirs = record.job.spec, timed.job.spec
        return isinstance(ours, MemorySpec) and ours.mode == "inference" and all(
            getattr(ours, name) == getattr(theirs, name)
            for name in ("machine", "device", "channels", "classes", "size", "batch", "precision", "memory_format")
        )  # fmt: skip

    return [record for record in records if alike(record)]


def _section(
    scored: list[Record], timed: list[Record], counted: list[Record], absent: set[str], protocol: Protocol | None
) -> Section:
    """One section, less the networks that are `absent`: not scored here, they would only add empty cells."""
    members = [record for record in (*counted, *timed, *scored) if record.job.network not in absent]
    names = sorted({record.job.network for record in members})
    dice: DiceSpec | None = _first(scored)
    protocol = protocol or PROTOCOLS[dice.protocol if dice else "per_image"]
    rows = tuple(Row(name, found, protocol) for name in names for found in _by_weights(members, name))
    return Section(dice, _first(timed), _first(counted), (timed or scored or counted)[0].environment, rows, protocol)


def _by_weights(members: Sequence[Record], network: str) -> list[tuple[Record, ...]]:
    """A network's records once for its trainings and once for each file of weights, what was not scored in each."""
    own = [record for record in members if record.job.network == network]
    weights = list(dict.fromkeys(spec_of(record).weights for record in own if isinstance(record.job.spec, DiceSpec)))
    return [tuple(r for r in own if getattr(r.job.spec, "weights", kind) == kind) for kind in weights or [""]]


def _first(group: list[Record]) -> Any:
    """The conditions that all records of a group share, but for what numbers repeats."""
    return group[0].job.spec if group else None


def grouped(records: Sequence[Record], kind: type, apart: Any) -> list[list[Record]]:
    """Records of one kind of conditions, by all of these but those that number repeats."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        if isinstance(record.job.spec, kind):
            groups.setdefault(record.job.spec.model_dump_json(exclude=apart), []).append(record)
    return list(groups.values())


def _alike(group: list[Record], others: list[list[Record]]) -> list[list[Record]]:
    """Those of the other groups whose networks have the same channels, classes and size."""
    return [other for other in others if _shape(other[0]) == _shape(group[0])]


def _shape(record: Record) -> tuple[int, int, int]:
    spec = spec_of(record)
    return spec.channels, spec.classes, spec.size
