"""Scores of single cases that were computed elsewhere: nnU-Net's `summary.json`, or a CSV file of cases and metrics.

A CSV file has a line for each case and metric (case, metric, value), or a column for each metric (case, dice, hd95).
It may also say the network (team, algorithm), the class, the seed or fold, and the patient.
"""

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from bench.data.files import composed, first_few, read_json, reading
from bench.data.limits import TEXT
from bench.data.predicted import without_suffix
from bench.errors import UserError, printable
from bench.files import content_of
from bench.quantities import MACHINE
from bench.quantities.scores import SCORES

COLUMNS = {
    "case": ("case", "caseid", "casename", "image", "imageid", "id", "name", "file", "filename", "sample", "volume"),
    "metric": ("metric", "score", "measure"),
    "value": ("value", "result"),
    "network": ("network", "team", "algorithm", "model", "method", "participant"),
    "label": ("class", "label", "structure", "organ", "region", "target"),
    "training": ("seed", "fold", "training", "run"),
    "patient": ("patient", "patientid", "subject", "subjectid"),
}
METRICS = {
    "dice": ("dsc", "dicescore", "dicecoefficient", "dicesimilaritycoefficient", "f1", "f1score"),
    "iou": ("jaccard", "jc", "jaccardindex"),
    "hd95": ("95hd", "hausdorff95", "hausdorffdistance95", "95hausdorffdistance"),
    "sensitivity": ("recall", "tpr", "truepositiverate"),
    "precision": ("ppv", "positivepredictivevalue"),
    "nsd": ("surfacedice", "normalizedsurfacedistance", "normalizedsurfacedice", "normalisedsurfacedistance"),
    "assd": ("asd", "avgsymmetricsurfacedistance", "averagesymmetricsurfacedistance"),
}
WHAT = "file of scores"
MOST_PIXELS = 1 << 53  # whole numbers that a float tells apart
MOST_COLUMNS = 1000
FARTHEST = 1e9  # of a distance in mm or px: more is none, and its square is no number
UNIT = re.compile(r"(?<=\w)(mm|px|pixels?|voxels?)$")
NO_CASES = {"mean", "average", "avg", "median", "std", "sd", "min", "max", "total", "sum", "overall", "all"}
UNDEFINED = {"", "nan", "na", "n/a", "none", "null", "-"}
WHOLE = "foreground"  # the class where a file names none

Counts = tuple[int, int, int]


@dataclass
class CaseScore:
    """The scores of one class in one case: `values` by the name of the score, and pixels TP, FP, FN where known."""

    values: dict[str, float] = field(default_factory=dict)
    counts: Counts | None = None


@dataclass
class CaseScores:
    """The scores of one training, from one file, by case and class.

    `network` and `training` are empty where the file does not tell them. `unit` is that of distances, px or mm; empty
    where it is not told. `patients` are by case. `remarks` say what was left out.
    """

    source: str
    network: str = ""
    training: str = ""
    lines: dict[str, dict[str, CaseScore]] = field(default_factory=dict)
    patients: dict[str, str] = field(default_factory=dict)
    unit: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def labels(self) -> list[str]:
        """Its classes: numbers by size, then names by letters."""
        found = {label for by_label in self.lines.values() for label in by_label}
        # Of decimal numbers without zeros in front, the shorter is the less.
        plain = {label: label.lstrip("0") if label.isdecimal() else "" for label in found}
        return sorted(found, key=lambda label: (not label.isdecimal(), len(plain[label]), plain[label], label))

    @property
    def names(self) -> set[str]:
        """The scores that it has."""
        return {name for by_label in self.lines.values() for line in by_label.values() for name in line.values}

    @property
    def title(self) -> str:
        """The file, with the network and the training where the file names them."""
        told = ", ".join(filter(None, (self.network, self.training)))
        return f"{self.source} ({told})" if told else self.source

    def line(self, case: str, label: str) -> CaseScore:
        """The scores of a class in a case, made where they are new."""
        return self.lines.setdefault(case, {}).setdefault(label, CaseScore())


def read_case_scores(path: Path) -> list[CaseScores]:
    """The trainings in a file of scores. Raises UserError naming the file, and the line or the case that is wrong."""
    with reading(WHAT, path, TEXT):
        found = _summary(path) if path.suffix.lower() == ".json" else _table(path)
        for one in found:
            _check_whole(one)
        return found


def case_name(text: str) -> str:
    """A case's name without the suffix of a file, its accents composed.

    >>> case_name("case_01.nii.gz"), case_name(" P1/slice.2 ")
    ('case_01', 'P1/slice.2')
    """
    return composed(without_suffix(text.strip().replace("\\", "/")))


def _check_whole(found: CaseScores) -> None:
    """Raise UserError where a case lacks a class that another one has, or the scores of another one."""
    labels, names = found.labels, found.names
    lacking = [
        f"{case} ({label})" for case, by in found.lines.items() for label in labels
        if label not in by or names - by[label].values.keys()
    ]  # fmt: skip
    if lacking:
        has = f"classes {', '.join(labels)} and scores {', '.join(sorted(names))}"
        raise UserError(
            f"{found.source}: {first_few(lacking)} lack what other cases have, {has}; give all, nan where undefined"
        )


def _value(text: object, name: str, where: str) -> float:
    """A score as a number. Raises UserError for what is none, or out of the range of the score."""
    plain = str(text).strip()
    if text is None or plain.lower() in UNDEFINED:
        return math.nan
    try:
        value = float(plain)
    except ValueError:
        raise UserError(f"{where}: {name} is '{plain[:40]}', which is no number; leave it empty if undefined") from None
    share = SCORES[name].unit != "distance"
    if math.isinf(value):
        advice = "leave it empty if it is undefined; of a missed target, say the diagonal of the image"
        raise UserError(f"{where}: {name} is infinite; {advice}")
    if share and 1 < value <= 100:
        raise UserError(
            f"{where}: {name} is {value:g}, which seems to be percent; shares run from 0 to 1, so divide by 100"
        )
    if not 0 <= value <= (1 if share else FARTHEST) and not math.isnan(value):
        raise UserError(
            f"{where}: {name} is {value:g}; allowed is {'0 to 1' if share else f'0 to {FARTHEST:g}'}; correct the file"
        )
    return value


@lru_cache(maxsize=1024)
def _metric(text: str) -> tuple[str, str]:
    """(score, unit) that a file's name of a metric means; the name is empty where the score is unknown here.

    >>> _metric("Hausdorff Distance 95 (mm)"), _metric("DSC"), _metric("Accuracy")
    (('hd95', 'mm'), ('dice', ''), ('', ''))
    """
    plain = _plain(text)
    known = {_plain(alias): name for name in SCORES for alias in (name, SCORES[name].title, *METRICS.get(name, ()))}
    if plain in known:
        return known[plain], ""
    unit = UNIT.search(plain)
    bare = plain[: unit.start()] if unit else plain
    name = known.get(bare, "")
    if not unit or not name or SCORES[name].unit != "distance":
        return "", ""
    return name, "mm" if unit[1] == "mm" else "px"


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())


# ---- nnU-Net ---------------------------------------------------------------------------------------------------------


def _summary(path: Path) -> list[CaseScores]:
    """The one training in nnU-Net's `summary.json`, of its second version or of its first."""
    content = read_json(path, WHAT)
    content = content if isinstance(content, dict) else {}
    results = content.get("results")
    first = results.get("all") if isinstance(results, dict) else None
    cases = content.get("metric_per_case", first)
    if not (isinstance(cases, list) and cases and all(isinstance(case, dict) for case in cases)):
        expected = "'metric_per_case' or 'results' with 'all', each a list of cases"
        raise UserError(f"{path} is no summary.json of nnU-Net: it has no {expected}; give that file, or a CSV")
    found, left_out = CaseScores(path.name, unit="mm"), set[str]()
    for number, case in enumerate(cases, start=1):
        files = [case.get(key) for key in ("prediction_file", "test", "reference_file", "reference")]
        file = next((file for file in files if isinstance(file, str) and file.strip()), None)
        if file is None:
            raise UserError(f"{path}: case {number} names no file of predictions; get the file again")
        name = case_name(PurePosixPath(file.replace("\\", "/")).name)
        if not name:
            raise UserError(f"{path}: the file of case {number}, '{file}', has no name before its suffix; correct it")
        if name in found.lines:
            raise UserError(f"{path} has the case '{name}' twice; keep one")
        metrics = found_here if isinstance(found_here := case.get("metrics"), dict) else case
        by_label = {
            str(label): facts for label, facts in metrics.items() if isinstance(facts, dict) and str(label) != "0"
        }
        if not by_label:
            raise UserError(f"{path}: case '{name}' has no scores of a class; get the file again")
        for label, facts in by_label.items():
            left_out |= _add_facts(found.line(name, label), facts, f"{path}, case '{name}', class {label}")
    found.remarks = _left_out(path.name, left_out)
    return [found]


def _add_facts(line: CaseScore, facts: Mapping[str, Any], where: str) -> set[str]:
    """Take over the scores and counts of one class; return the names of those that are unknown here."""
    unknown = set()
    for key, value in facts.items():
        name, _ = _metric(key)
        if name:
            line.values[name] = _value(value, name, where)
        elif key not in ("TP", "FP", "FN", "TN", "n_pred", "n_ref") and not key.startswith("Total "):
            unknown.add(key)
    if all(key in facts for key in ("TP", "FP", "FN")):
        line.counts = _pixels([facts["TP"], facts["FP"], facts["FN"]], where)
    elif "Total Positives Test" in facts and "Total Positives Reference" in facts:  # the first version
        predicted, true, _ = _pixels([facts["Total Positives Test"], facts["Total Positives Reference"], 0], where)
        dice = line.values.get("dice", math.nan)
        both = round(dice * (predicted + true) / 2) if not math.isnan(dice) else 0
        line.counts = both, predicted - both, true - both
    if line.counts:
        _check_counts(line, where)
    return unknown


def _pixels(values: list[Any], where: str) -> Counts:
    """Three counts. nnU-Net writes some as 12.0."""
    if not all(isinstance(v, int | float) and 0 <= v < MOST_PIXELS and v == int(v) for v in values):
        given = ", ".join(str(value)[:40] for value in values)
        raise UserError(f"{where}: the counts {given} are no numbers of pixels; get the file again")
    tp, fp, fn = map(int, values)
    return tp, fp, fn


def _check_counts(line: CaseScore, where: str) -> None:
    """Raise UserError where Dice is not what the counts give: then one of the two is of something else."""
    tp, fp, fn = line.counts or (0, 0, 0)
    dice, whole = line.values.get("dice", math.nan), 2 * tp + fp + fn
    if min(fp, fn) < 0 or (whole and abs(2 * tp / whole - dice) > 1e-3):
        raise UserError(
            f"{where}: Dice is {dice:g}, and the counts TP {tp}, FP {fp}, FN {fn} say otherwise; get it again"
        )


# ---- CSV -------------------------------------------------------------------------------------------------------------


def _table(path: Path) -> list[CaseScores]:
    """The trainings in a CSV file, by network and by seed or fold."""
    header, lines = _read_csv(path)
    columns = _columns(path, header)
    if "metric" in columns:
        wide = {}
    else:
        wide = {place: _metric(name) for place, name in enumerate(header) if place not in columns.values()}
        if not any(name for name, _ in wide.values()):
            raise UserError(
                f"{path} has no column of a metric; name them as {', '.join(SCORES)}, or give the columns metric and "
                f"value; found: {', '.join(header)}"
            )
    left_out = {header[place] for place, (name, _) in wide.items() if not name and header[place]}
    found: dict[tuple[str, str], CaseScores] = {}
    units: set[str] = set()
    for number, cells in lines:
        cell = {what: cells[place] for what, place in columns.items()}
        values = [(*wide[place], cells[place]) for place in wide if wide[place][0]]
        if not wide:
            name, unit = _metric(cell["metric"])
            left_out |= set() if name else {cell["metric"] or "without a name"}
            values = [(name, unit, cell["value"])] if name else []
        key = composed(cell.get("network", "")), cell.get("training", "")
        one = found.setdefault(key, CaseScores(path.name, *key))
        _add_cells(one, cell, values, f"{path}, line {number}")
        units |= {unit for name, unit, _ in values if SCORES[name].unit == "distance"}
    if not any(one.lines for one in found.values()):
        known = f"known are {', '.join(SCORES)}"
        raise UserError(
            f"{path} has no score that is known here, only {first_few(sorted(left_out)) or 'none'}; {known}"
        )
    if len(units - {""}) > 1:
        raise UserError(f"{path} has distances in mm and in px; give them in one unit")
    for one in found.values():
        one.unit, one.remarks = max(units, default=""), _left_out(path.name, left_out)
    return [one for one in found.values() if one.lines]


def _add_cells(
    found: CaseScores, cell: Mapping[str, str], values: Iterable[tuple[str, str, str]], where: str
) -> None:  # fmt: skip
    case = case_name(cell["case"])
    if not case or case.lower() in NO_CASES:
        what = f"the case '{case}', which seems to sum up others" if case else "no case"
        raise UserError(f"{where}: it names {what}; take the line out")
    if "network" in cell and not found.network:
        raise UserError(f"{where}: it names no network; give one in each line, or take the column out")
    if found.network == MACHINE or not found.network.isprintable():
        named = f"'{printable(found.network)}' cannot be a network's name; allowed are letters that print"
        raise UserError(f"{where}: {named}, but not '{MACHINE}'; give it another")
    for name, _, text in values:
        line = found.line(case, cell.get("label", "") or WHOLE)
        if name in line.values:
            raise UserError(f"{where}: {name} of '{case}' is there a second time; keep one")
        line.values[name] = _value(text, name, where)
    patient = cell.get("patient", "")
    if patient and found.patients.setdefault(case, patient) != patient:
        named = f"'{patient}' and '{found.patients[case]}'"
        raise UserError(f"{where}: the case '{case}' is of two patients, {named}; keep one")


def _read_csv(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, and (number, cells) of each line that is not empty; commas, semicolons, tabs or bars between cells.

    With semicolons, 0,85 is a number with a decimal comma.
    """
    try:
        text = content_of(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        advice = "give a summary.json, or a table saved as CSV in UTF-8"
        raise UserError(f"{path} is no text in UTF-8 (its byte {error.start} is not); {advice}") from None
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(",;\t|", key=first.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)  # splits at line ends alone
    read = [(rows.line_num, [cell.strip() for cell in row]) for row in rows if any(map(str.strip, row))]
    if len(read) < 2:
        raise UserError(f"{path} has {len(read)} lines; a header and a line for each case are needed")
    header = read[0][1]
    if len(header) > MOST_COLUMNS:
        raise UserError(f"{path} has {len(header)} columns, and at most {MOST_COLUMNS} are read; take the others out")
    for number, cells in read[1:]:
        if len(cells) != len(header):
            raise UserError(
                f"{path}, line {number}, has {len(cells)} cells, and the header {len(header)}; correct the line"
            )
    if separator != ",":
        read = [(number, [re.sub(r"^(-?\d+),(\d+)$", r"\1.\2", cell) for cell in cells]) for number, cells in read]
    return header, read[1:]


def _columns(path: Path, header: list[str]) -> dict[str, int]:
    """The place of each column that is known. Raises UserError where one is missing, or could be two."""
    plain = [_plain(name) for name in header]
    found = {}
    for what, names in COLUMNS.items():
        places = [plain.index(name) for name in names if name in plain]
        twice = [name for name in names if plain.count(name) > 1]
        if twice:
            raise UserError(f"{path} has two columns called {twice[0]}; keep one")
        if places:
            found[what] = places[0]
    if "case" not in found:
        known = ", ".join(COLUMNS["case"][:4])
        raise UserError(f"{path} has no column of cases; name it {known}; found: {', '.join(header)}")
    if ("metric" in found) != ("value" in found) and "metric" in found:
        raise UserError(f"{path} has a column metric and none of values; name it value; found: {', '.join(header)}")
    return found


def _left_out(source: str, names: Iterable[str]) -> tuple[str, ...]:
    shown = sorted(filter(None, names))
    known = ", ".join(SCORES)
    return (f"{source}: left out, for they are no scores known here ({known}): {first_few(shown, 6)}",) if shown else ()
