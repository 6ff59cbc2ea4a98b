"""Scores of single cases from a file: matched with the samples of a data set, or standing for themselves."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from bench.data import DataSet
from bench.data.files import first_few
from bench.data.patients import patients_by_file
from bench.data.predicted import aliases, owners_of, unmatched
from bench.data.sample import Options, Sample
from bench.errors import UserError
from bench.quantities import ImageScore, VolumeScore
from bench.quantities.scores import FAILURE, SCORES
from bench.run.case_scores import WHOLE, CaseScore, CaseScores

CASES = "cases"  # in the place of a data set's name, where cases stand for themselves
ON_OWN_GRID = {"dice": "dice_own", "iou": "iou_own"}  # what a Dice of the image's own grid is called beside the other


@dataclass(frozen=True)
class Cases:
    """The scores of one training: `samples` has an image or a volume for each case, and `cases` its name in the file.

    `numbers` are the numbers of the classes. `data` is the data set that the samples are of; None where cases stand
    for themselves. `unit` is that of distances; those in another one are left out, as is what else is not in `kept`.
    """

    table: CaseScores
    samples: tuple[Sample, ...]
    cases: Mapping[str, str]
    numbers: Mapping[str, int]
    data: DataSet | None
    unit: str
    kept: frozenset[str]

    @property
    def digest(self) -> str:
        """12 hexadecimal digits that change with the scores."""
        lines = [
            f"{sample.id} {number} {sorted(line.values.items())} {line.counts}"
            for sample in self.samples for number, line in self._lines(sample.id)
        ]  # fmt: skip
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]

    def scores(self, shown: Sequence[Sample]) -> dict[str, Any]:
        """The fields of Scores; `shown` are the samples under the names that the record is to have."""
        images, volumes = [], []
        in_volumes = self.data is not None and self.data.protocol == "per_volume"
        for sample, named in zip(self.samples, shown, strict=True):
            for number, line in self._lines(sample.id):
                values, counts = self._values(line), self._counts(line)
                volume = named.id if in_volumes else ""
                images.append(ImageScore(
                    id=named.id, label=number, volume=volume, patient=named.group, **counts, **values,
                ))  # fmt: skip
                if in_volumes:
                    whole = {name: value for name, value in values.items() if not SCORES[name].counts}
                    volumes.append(VolumeScore(volume=volume, label=number, **whole))
        return {"images": tuple(images), "volumes": tuple(volumes), "distance_unit": self.unit or "px"}

    def _lines(self, unit: str) -> list[tuple[int, CaseScore]]:
        by_label = self.table.lines[self.cases[unit]]
        return sorted((self.numbers[label], line) for label, line in by_label.items())

    @property
    def _on_own_grid(self) -> bool:
        """Whether the protocol's grid is another one, the network's size, so that its scores are not known."""
        return self.data is not None and self.data.protocol == "per_image"

    def _counts(self, line: CaseScore) -> dict[str, int]:
        if line.counts is None:
            return {}
        own = dict(zip(("own_tp", "own_fp", "own_fn"), line.counts, strict=True))
        protocol = dict(zip(("tp", "fp", "fn"), line.counts, strict=True))
        return protocol if self.data is None else own if self._on_own_grid else {**protocol, **own}

    def _values(self, line: CaseScore) -> dict[str, float]:
        values = {name: value for name, value in line.values.items() if name in self.kept}
        values = {**_implied(line), **values}
        if self.data is not None:
            values |= {ON_OWN_GRID[name]: values[name] for name in ON_OWN_GRID if name in values}
        if self._on_own_grid:
            values = {name: value for name, value in values.items() if SCORES[name].grid == "own"}
        return values


def _implied(line: CaseScore) -> dict[str, float]:
    """The scores that follow from the pixel counts; without these, from Dice."""
    if line.counts is None:
        dice = line.values.get("dice", math.nan)
        return {} if math.isnan(dice) else {"iou": dice / (2 - dice), "failed": float(dice < FAILURE)}
    found = {}
    for name, score in SCORES.items():
        if score.counts and score.grid == "protocol":
            part, whole = (sum(w * n for w, n in zip(weights, line.counts, strict=True)) for weights in score.counts)
            found[name] = part / whole if whole else math.nan
    tp, fp, fn = line.counts
    return {**found, **({"failed": float(found["dice"] < FAILURE)} if tp + fn else {"false_alarm": float(fp > 0)})}


# ---- cases of a data set ---------------------------------------------------------------------------------------------


def of_data(table: CaseScores, data: DataSet, asked_unit: str, tolerance: float | None, problems: list[str]) -> Cases:
    """The cases of a file as images or volumes of the data set's test split. What does not fit is in `problems`."""
    units = _units(data)
    ids = {unit.id for unit in units}
    stems = {case: case if case in ids else case.rpartition("/")[2] for case in table.lines}
    owners, extra = owners_of(stems, aliases(units))
    problems += unmatched(table.source, "cases", units, owners, extra)
    unit = "mm" if all(sample.spacing for sample in data.splits["test"]) else "px"
    numbers = _numbers(table, data.classes)
    kept = _kept(table, unit, asked_unit, tolerance)
    return Cases(table, units, {name: found[0] for name, found in owners.items()}, numbers, data, unit, kept)


def _units(data: DataSet) -> tuple[Sample, ...]:
    """A sample for each image, or for each volume where the data set is scored by volumes."""
    samples = data.splits["test"]
    if data.protocol == "per_image":
        return samples
    first = {sample.volume or sample.id: sample for sample in reversed(samples)}
    return tuple(replace(sample, id=name, volume="") for name, sample in reversed(first.items()))


def _numbers(table: CaseScores, classes: Sequence[str]) -> dict[str, int]:
    """The number of each class of the file. Raises UserError unless they are those of the data set."""
    known = {name.casefold(): number for number, name in enumerate(classes, start=1)}
    known |= {str(number): number for number in known.values()}
    known |= {WHOLE: 1} if len(classes) == 1 else {}
    found = {label: known[label.casefold()] for label in table.labels if label.casefold() in known}
    if len(found) < len(table.labels) or sorted(found.values()) != [*range(1, len(classes) + 1)]:
        theirs = ", ".join(f"{number} ({name})" for number, name in enumerate(classes, start=1))
        advice = "give all of these, or leave the data set out, so that the cases stand for themselves"
        raise UserError(f"{table.source} has the classes {', '.join(table.labels)}, the data set {theirs}; {advice}")
    return found


# ---- cases that stand for themselves ---------------------------------------------------------------------------------


def alone(tables: Sequence[CaseScores], options: Options, unit: str) -> tuple[DataSet, list[Cases]]:
    """The cases of all files as a data set of their own. Raises UserError unless all have the same cases and classes.

    A case's patient is that of the file's column, or by `options.patient`; else the case stands for one.
    """
    tolerance = options.tolerance
    first = tables[0]
    names, labels = sorted(first.lines), first.labels
    for other in tables[1:]:
        _refuse_other_cases(first, other)
    patients = _patients(tables, names, options.patient)
    samples = tuple(Sample(name, patients.get(name, name), _no_image, _no_image) for name in names)
    classes = tuple(label if label != WHOLE else "foreground" for label in labels)
    data = DataSet(CASES, classes, {"test": samples}, patients=bool(patients), tolerance=tolerance)
    found_unit = {table.unit or unit for table in tables if _distances(table)}
    if len(found_unit) > 1:
        raise UserError("distances are in mm in one file and in px, or without a unit, in another; give them in one")
    numbers = {label: number for number, label in enumerate(labels, start=1)}
    one = partial(Cases, samples=samples, cases={name: name for name in names}, numbers=numbers, data=None)
    found = [one(t, unit=t.unit or unit, kept=_kept(t, t.unit or unit, unit, tolerance)) for t in tables]
    return data, found


def digest_of_names(data: DataSet) -> str:
    """12 hexadecimal digits of the cases' names, so that files over the same cases are compared."""
    return hashlib.sha256("\n".join(sorted(s.id for s in data.splits["test"])).encode()).hexdigest()[:12]


def _no_image() -> Any:
    raise UserError("no image is known of cases that stand for themselves")


def _refuse_other_cases(one: CaseScores, other: CaseScores) -> None:
    for a, b in ((one, other), (other, one)):
        if lacks := sorted(b.lines.keys() - a.lines.keys()):
            raise UserError(
                f"{a.title} lacks {len(lacks)} of the {len(b.lines)} cases of {b.title}: {first_few(lacks)}; all are "
                "compared on the same cases, so add the missing ones, nan where a score is undefined"
            )
    if one.labels != other.labels:
        classes = f"{', '.join(one.labels)} and {', '.join(other.labels)}"
        raise UserError(f"{one.title} and {other.title} have other classes: {classes}; give the same for both")


def _patients(tables: Sequence[CaseScores], names: Sequence[str], given: str) -> dict[str, str]:
    """The patient by case; empty where none is named. Raises UserError where some are, or two for one case."""
    if given:
        stand_ins = [Sample(name, name, _no_image, _no_image, (Path(name),)) for name in names]
        return {str(path): patient for path, patient in patients_by_file(given, stand_ins, Path())[0].items()}
    found: dict[str, str] = {}
    for table in tables:
        for case, patient in table.patients.items():
            if found.setdefault(case, patient) != patient:
                raise UserError(
                    f"{table.source}: '{case}' is of the patients '{found[case]}' and '{patient}'; keep one"
                )
    if found and (without := [name for name in names if name not in found]):
        raise UserError(f"{tables[0].source} names no patient of {len(without)} cases: {first_few(without)}; name all")
    return found


# ---- what is taken over ----------------------------------------------------------------------------------------------


def _distances(table: CaseScores) -> set[str]:
    return {name for name in table.names if SCORES[name].unit == "distance"}


def _kept(table: CaseScores, unit: str, asked_unit: str, tolerance: float | None) -> frozenset[str]:
    """The scores that are taken over: distances only in the `unit`, NSD only where the user says its tolerance."""
    told, distances = table.unit or asked_unit, _distances(table)
    if distances and not told:
        named = " and ".join(sorted(distances))
        advice = "name the column hd95_mm or hd95_px, say, or give --unit mm or --unit px"
        raise UserError(f"{table.source} does not say whether {named} are in mm or px; {advice}")
    names = set(table.names)
    if told and told != unit:
        names -= distances
    if tolerance is None:
        names.discard("nsd")
    return frozenset(names)


def not_kept(found: Cases) -> str:
    """A sentence on the scores that are left out, and why; empty if none are."""
    why = []
    lost = found.table.names - found.kept
    if "nsd" in lost:
        why.append("nsd, for its tolerance is not known (give --tolerance)")
    if others := sorted(lost - {"nsd"}):
        why.append(f"{', '.join(others)}, for the distances of this data set are in {found.unit}")
    if found.data is not None and found.data.protocol == "per_image":
        shares = sorted(n for n in found.kept if SCORES[n].grid != "own")
        own = " (kept as Dice and IoU at the image's own size)" if set(shares) & ON_OWN_GRID.keys() else ""
        why += [f"{', '.join(shares)}, which are compared at the network's size{own}"] if shares else []
    return f"{found.table.title}: left out {'; '.join(why)}" if why else ""
