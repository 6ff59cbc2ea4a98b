"""Groups records into sections: a section contains only what may be compared."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from bench.machine import Machine
from bench.networks import is_pretrained, origin_of, titles
from bench.quantities import QUANTITIES, CostSpec, DiceSpec, LatencySpec, Scores
from bench.quantities.scores import PROTOCOLS, SCORES, Protocol
from bench.quantities.variants import PLAIN, name_of
from bench.read.beside import USUAL_SIZE, InTable, shape_of, stands_in_table
from bench.read.code import digest_of, standing
from bench.read.paired import SUBJECT, Paired, paired, rank, reference_row, told_apart
from bench.read.rows import Row, grouped, longest, on_one_grid
from bench.read.trained import Trained, trained, united
from bench.run.store import Record
from bench.stats.ranking import Rank, Ranking

OWN = ("folder", "cases")  # data sets of the user's own: a folder of images, and a list of cases with scores


@dataclass(frozen=True)
class Section:
    """Rows that may be compared: the same data set, training, machine and latency protocol; all pre-trained or none.

    The reference of paired comparisons is the network `against`, if it was scored. `size` is that of the images for
    which counts, times and memory were measured. A short training may have been of smaller ones: `dice.size`.
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
    _kept: dict[tuple[int, bool], list[Paired]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def reference(self) -> Row | None:
        """The reference row: the network `against`, else MDSA-UNet, else the network with the highest Dice."""
        return reference_row(self.rows, self.against)

    @property
    def paired(self) -> list[Paired]:
        """Every other scored row compared with the reference on the same patients; empty if nothing was scored."""
        if self.reference is None:
            return []
        return self.paired_with(self.reference, self.reference.network not in (self.against, SUBJECT))

    def paired_with(self, reference: Row, chosen_after: bool = True) -> list[Paired]:
        """The same with any of these rows as the reference; cached, because tables, figures and text all use it.

        A reference that was `chosen_after` its figure was seen is paid for.
        """
        key = (id(reference), chosen_after)
        if key not in self._kept:
            self._kept[key] = paired(self.rows, reference, chosen_after)
        return self._kept[key]

    @cached_property
    def unbeaten(self) -> list[Row]:
        """The row with the highest Dice and all that nothing shows to be worse; empty where nothing can be said.

        Each is compared with the highest, which was chosen after its figure was seen.
        """
        scored = [row for row in self.rows if row.dice]
        best = max(scored, key=lambda row: row.dice.value if row.dice else 0.0, default=None)
        pairs = self.paired_with(best) if best else []
        if best is None or not any(pair.statement.has_interval for pair in pairs):
            return []
        return [best, *(pair.row for pair in pairs if not pair.behind)]

    @cached_property
    def ranking(self) -> Ranking | None:
        """The ranks of the rows by Dice; None where fewer than two can be ranked."""
        return rank(self.rows)

    def shows(self, score: str) -> bool:
        """Whether any row has the score."""
        return any(row.score(score) for row in self.rows)

    @cached_property
    def distance_unit(self) -> str:
        """The unit of distances between outlines."""
        return next((scores.distance_unit for row in self.rows for scores in row.trainings), "px")

    @property
    def dataset(self) -> str:
        """The data set that is scored on, and the one that was trained on if it is another; empty without scores."""
        return ", trained on ".join(filter(None, (self.tested_on, self.home)))

    @cached_property
    def home(self) -> str:
        """The data set that the networks were trained on, if it is another than they are scored on; empty otherwise."""
        return home_of(self.dice) if self.dice else ""

    @cached_property
    def tested_on(self) -> str:
        """The data set that is scored on; empty if nothing was. Own folders are told by their name and digest."""
        records = [r for row in self.rows for r in row.records if isinstance(r.job.spec, DiceSpec)]
        return dataset_of(next((r for r in records if r.result), records[0])) if records else ""

    @cached_property
    def differs(self) -> str:
        """How the counts of the data set differ from the published ones, in words; empty if they do not."""
        return next((row.differs for row in self.rows if row.differs), "")

    @cached_property
    def own_grid(self) -> bool:
        """Whether Dice and IoU are those on the images' own grid."""
        return any(row.own_grid for row in self.rows)

    @cached_property
    def patients(self) -> str:
        """What the scores are over: `named` patients, `images` that stand for one each; empty where it is unknown."""
        kinds = {row.patients for row in self.rows if row.dice}
        return "" if "" in kinds or not kinds else "images" if "images" in kinds else "named"

    @cached_property
    def ranks_by(self) -> dict[str, dict[str, Rank]]:
        """Ranks of the rows by every score that tells them apart; none with too few patients."""
        found = {name: one.ranks() for name in SCORES if self.shows(name) and (one := rank(self.rows, name))}
        return {name: ranks for name, ranks in found.items() if len({one.rank for one in ranks.values()}) > 1}

    @cached_property
    def seeds(self) -> list[int]:
        """The seeds of all trainings, each once."""
        return sorted(set().union(*(row.seeds for row in self.rows)))

    @cached_property
    def folds(self) -> list[int]:
        """The folds of the data set that were trained on, each once."""
        return sorted(set().union(*(row.folds for row in self.rows)))

    @cached_property
    def tuned(self) -> list[Trained]:
        """How each network was trained, of those that were trained here."""
        return [one for row in self.rows if (one := trained(row.title, row.records))]

    @cached_property
    def trained_on(self) -> set[str]:
        """The machines that the networks were trained on, in words."""
        every = (record for row in self.rows for record in row.records if isinstance(record.result, Scores))
        machines = (r.machine for r in every if not (r.job.spec.weights or r.job.spec.predicted))
        return {f"{machine.title}, torch {machine.packages.get('torch')}" for machine in machines}

    @cached_property
    def name(self) -> str:
        """A name for files: "isic2017-224-cpu"."""
        parts = [re.sub("[^A-Za-z0-9_]+", "-", self.dataset).strip("-"), str(self.size)]
        parts += [self.latency.device if self.latency else "", "pretrained" if self.pretrained else ""]
        return "-".join(filter(None, parts))


def named(found: Sequence[Section]) -> dict[str, Section]:
    """Sections by unique name. A number is appended to repeated names."""
    return dict(zip(told_apart([section.name for section in found], "{}-{}"), found, strict=True))


def outdated(records: Sequence[Record]) -> list[Record]:
    """Records of networks whose code or libraries changed since, which are treated as different networks.

    Those of the code as it is now are current, whenever they were made; else the newest are.
    """
    codes: dict[Any, set[str]] = defaultdict(set)
    for record in records:
        for of, version in _code(record).items():
            codes[of].add(version)
    disputed = {name for (name, *_), versions in codes.items() if len(versions) > 1}
    some = [record for record in records if record.job.network in disputed]
    current: dict[Any, str] = {}
    for record in sorted(some, key=standing):
        current |= _code(record)
    return [record for record in some if not _code(record).items() <= current.items()]


def _code(record: Record) -> dict[Any, str]:
    """The digest of the network's code and the versions of libraries, each by those that must share it.

    Accuracy may have the digest of the code that first computed the same function. Predictions made elsewhere do not
    depend on the code here. Figures of two machines are never in one row, so their libraries may differ.
    """
    spec = record.job.spec
    shared = record.job.network, spec.quantity == "dice", getattr(spec, "predicted", "")
    libraries = {(*shared, record.machine_id, name): version for name, version in record.job.libraries.items()}
    return {shared: digest_of(record), **libraries}


def sections(
    records: Sequence[Record], protocol: Protocol | None = None, against: str | None = None, running: bool = False
) -> list[Section]:
    """Group the records that may be compared. Without a `protocol` each data set is scored with its own.

    The reference of paired comparisons is the network `against`, else MDSA-UNet, else the network with the highest
    Dice.

    Each training protocol on a data set gives a section for each machine and device on which the plain networks were
    timed, at the smallest batch. Dice of images of a size at which nothing else was measured stands beside the cost at
    the usual size, else at the smallest. Networks that were timed but not trained give a section with all timed
    networks, at the usual size, else the smallest. With `running`, networks that are still to be scored are listed with
    those that already are. Other records get sections of their own. Pre-trained networks are kept in separate sections.
    Sweeps and variants are in `bench.read.speeds`.
    """
    old = {id(record) for record in outdated(records)}
    found = []
    names = titles(_names(records))
    for pretrained in (False, True):
        some = [r for r in records if id(r) not in old and is_pretrained(r.job.network) is pretrained]
        found += [replace(s, against=against, pretrained=pretrained) for s in _sections(some, names, protocol, running)]
    return found


def _sections(
    records: Sequence[Record], called: Mapping[str, str], protocol: Protocol | None, running: bool
) -> list[Section]:
    dice, table, kept = _scored(records), InTable(records, called), _Kept()
    timed = _timed(records, {table.shape(scored[0]) for scored in dice})
    wanted = _names(record for scored in dice for record in scored) if running else _names(records)
    by_shape: dict[Any, list[list[list[Record]]]] = defaultdict(lambda: [[], []])
    for place, groups in enumerate((dice, timed)):
        for group in groups:
            by_shape[table.shape(group[0])][place].append(group)

    def made(scored: list[Record], timed: list[Record], absent: set[str], alone: Sequence[Record] = ()) -> Section:
        return _section(table, kept, scored, timed, absent, protocol, alone)

    found = [
        made(scored, group, wanted - _scored_names(wanted, scored))
        for scored in dice
        for group in by_shape[table.shape(scored[0])][1] or [[]]
    ]
    scored_names = {shape: _names(r for group in groups[0] for r in group) for shape, groups in by_shape.items()}

    def is_left_over(group: list[Record]) -> bool:
        """Whether a network of the group is missing from the scored sections of the same shape."""
        scored = scored_names.get(shape_of(group[0]))
        ours = _names([*group, *table.beside(group[0])])
        return not scored or (not running and any({n, origin_of(n)}.isdisjoint(scored) for n in ours))

    found += [made([], group, set()) for group in timed if is_left_over(group)]
    swept = {shape_of(r) for r in records if isinstance(r.job.spec, LatencySpec)}
    for group in _alone(records):
        if shape_of(group[0]) not in swept and is_left_over(group):
            found.append(made([], [], set(), group))
            swept.add(shape_of(group[0]))
    return found


class _Kept(dict[Any, dict[Any, Any]]):
    """What was computed from the scores of some records, for all sections that show them beside other times."""

    def of(self, network: str, records: Iterable[Record], protocol: Protocol) -> dict[Any, Any]:
        scored = (id(record) for record in records if isinstance(record.job.spec, DiceSpec))
        return self.setdefault((network, protocol.name, *scored), {})


def _names(records: Iterable[Record]) -> set[str]:
    return {record.job.network for record in records}


def _scored_names(names: set[str], scored: Iterable[Record]) -> set[str]:
    """The networks that were scored, and those of `names` that share the scores of one of them."""
    own = _names(scored)
    return own | {name for name in names if origin_of(name) in own}


def _scored(records: Sequence[Record]) -> list[list[Record]]:
    """Groups of networks that were trained alike, with what was trained elsewhere and scored on the same images."""
    trained: dict[tuple[str, str], list[Record]] = defaultdict(list)
    elsewhere: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if isinstance(record.job.spec, DiceSpec):
            scoring, training = conditions_of(record)
            (trained[scoring, training] if training else elsewhere[scoring]).append(record)
    known: dict[str, list[list[Record]]] = defaultdict(list)
    for (scoring, _), group in trained.items():
        known[scoring].append(group)
    groups = [[*group, *elsewhere.get(scoring, [])] for scoring, some in known.items() for group in united(some)]
    return groups + [group for scoring, group in elsewhere.items() if scoring not in known]


def conditions_of(record: Record) -> tuple[str, str]:
    """The conditions of scoring, and of training without the seed; the second is empty for what was trained elsewhere.

    The folds of a data set are scored and trained alike; those of own folders are told apart by the folder's
    name, and those that are not the published data set by how they differ from it.
    """
    spec = record.job.spec
    folds = {"data", "fold"} if spec.fold is not None else set()
    home = {"trained_data", "trained_fold"} if spec.trained_fold is not None else set()
    scoring = spec.model_dump_json(exclude={"train", "weights", "predicted", "training"} | folds | home)
    scoring += dataset_of(record) + getattr(record.result, "differs", "") if folds else ""
    return scoring, spec.train.model_dump_json(exclude={"seed"}) if spec.train else ""


def is_named(dataset: str, record: Record) -> bool:
    """Whether it is scored on the data set of this name, on which it was trained; "folder/NAME", "folder/DIGEST"."""
    spec, (name, _, own) = record.job.spec, dataset.partition("/")
    if spec.dataset != name or spec.trained_on:
        return False
    return not own or own == getattr(record.result, "data_name", "") or (len(own) >= 6 and spec.data.startswith(own))


def home_of(spec: DiceSpec) -> str:
    """The data set that was trained on, if it is another than the one that is scored on: "folder (3fa2c1)"."""
    own = spec.trained_on in OWN and spec.trained_fold is None
    return f"{spec.trained_on} ({spec.trained_data[:6]})" if own else spec.trained_on


def dataset_of(record: Record) -> str:
    """The data set of a record's scores. An own folder is told by its name and its digest: "folder mine (3fa2c1)".

    The folds of a folder have digests of their own and are told by the name alone.
    """
    spec, name = record.job.spec, getattr(record.result, "data_name", "")
    if spec.dataset not in OWN:
        return str(spec.dataset)
    return " ".join(filter(None, (spec.dataset, name, f"({spec.data[:6]})" if spec.fold is None else "")))


def _timed(records: Sequence[Record], scored: set[tuple[int, int, int]]) -> list[list[Record]]:
    """Latencies of plain networks by machine and size, at the smallest batch."""
    plain = [r for r in records if isinstance(r.job.spec, LatencySpec) and name_of(r.job.spec) == PLAIN]
    groups = []
    for family in grouped(plain, "latency", QUANTITIES["latency"].repeats | {"batch", "size"}):
        batch = min(record.job.spec.batch for record in family)
        smallest = [record for record in family if record.job.spec.batch == batch]
        shapes = {shape_of(record) for record in smallest}
        usual = min(shapes, key=lambda shape: (shape[2] != USUAL_SIZE, shape))
        groups += [longest([r for r in smallest if shape_of(r) == s]) for s in sorted(shapes & scored or {usual})]
    return groups


def _alone(records: Sequence[Record]) -> list[list[Record]]:
    """Groups of records for a main table without times, those that depend on the machine first.

    Of a sweep, the usual size is taken, else the smallest, at the smallest batch.
    """
    standing = [r for r in records if stands_in_table(r) and not isinstance(r.job.spec, LatencySpec)]
    families = [f for name, q in QUANTITIES.items() for f in grouped(standing, name, q.repeats | set(q.grows))]
    groups = []
    for family in families:
        first = min((r.job.spec for r in family), key=lambda s: (s.size != USUAL_SIZE, s.size, getattr(s, "batch", 1)))
        groups.append([record for record in family if record.job.spec == first])
    return sorted(groups, key=lambda group: not group[0].machine_id)


def _section(
    table: InTable, kept: _Kept, scored: list[Record], timed: list[Record], absent: set[str],
    protocol: Protocol | None, alone: Sequence[Record] = (),
) -> Section:  # fmt: skip
    """Make one section without the networks `absent`, which were not scored here and would only add empty cells."""
    # Without times, use other records of the table's shape that depend on the machine, at the smallest batch.
    shape = table.shape(scored[0]) if scored and not timed else None
    alike = [r for r in table.of_shape.get(shape, []) if r.machine_id or shape != shape_of(scored[0])]
    first = (timed or sorted(alike, key=_by_batch) or scored or alone)[0]
    beside = table.beside(first)
    counted = [record for record in beside if isinstance(record.job.spec, CostSpec)]
    members: dict[str, list[Record]] = defaultdict(list)
    for record in (*beside, *timed, *scored):
        members[record.job.network].append(record)
    dice: DiceSpec | None = scored[0].job.spec if scored else None
    protocol = protocol or PROTOCOLS[dice.protocol if dice else "per_image"]
    names = sorted(members.keys() - absent)
    parts = [(name, found) for name in names for found in _by_origin(members[name])]
    rows = on_one_grid([Row(n, f, protocol, called=table.called[n], kept=kept.of(n, f, protocol)) for n, f in parts])
    rows = tuple(replace(row, twin=_twin(row, rows)) if origin_of(row.network) else row for row in rows)
    latency, cost = (group[0].job.spec if group else None for group in (timed, counted))
    return Section(dice, latency, cost, first.machine, rows, protocol, size=first.job.spec.size)


def _by_batch(record: Record) -> tuple[bool, int]:
    return not record.machine_id, getattr(record.job.spec, "batch", 1)


def _twin(row: Row, rows: Sequence[Row]) -> Row | None:
    """The row of the network that computes the same function, trained here if there is one; None for a scored row."""
    of = [one for one in rows if one.network == origin_of(row.network) and not (one.elsewhere or row.trainings)]
    return min(of, key=lambda one: bool(one.weights_file), default=None)


def _by_origin(own: Sequence[Record]) -> list[tuple[Record, ...]]:
    """Split a network's records by weights file and by whether it predicted elsewhere.

    Records of other quantities are in every part.
    """
    origins = {id(r): (r.job.spec.weights, bool(r.job.spec.predicted)) for r in own if isinstance(r.job.spec, DiceSpec)}
    kinds = list(dict.fromkeys(origins.values()))
    return [tuple(r for r in own if origins.get(id(r), kind) == kind) for kind in kinds or [("", False)]]
