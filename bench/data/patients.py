"""Whose each image of the user's own folder is: by a pattern that is searched in its name, or by a CSV file."""

import csv
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench.data.files import first_few, joined_groups, read_text, reading
from bench.data.sample import Sample, Splits
from bench.errors import UserError

IMAGE_COLUMNS, PATIENT_COLUMN = ("image", "case", "id", "file"), "patient"
EXAMPLE = r"--patient '(P\d+)_' where images are called P12_3.png"
TABLE = "--patient FILE.csv with the columns image and patient"


def with_patients(given: str, splits: Splits, root: Path) -> tuple[Splits, list[str]]:
    """The samples with their patients as groups, and notes that say where the patients come from.

    `given` is a regular expression with one group, searched in the names of the images, or the path of a CSV file.
    Patients who have an image file in common, byte for byte, become one group. Raises UserError where an image has no
    patient or two, and for a pattern or a file that cannot be read.
    """
    samples = [sample for part in splits.values() for sample in part]
    patient_of, notes = patients_by_file(given, samples, root)
    groups = joined_groups((sample.files[0], patient_of[sample.files[0]]) for sample in samples)
    notes[0] = f"{len(set(patient_of.values()))} {notes[0]}"
    if joined := {patient for patient in patient_of.values() if groups[patient] != patient}:
        shared = sorted(joined | {groups[patient] for patient in joined})
        notes.append(
            f"{len(shared)} patients have image files in common and count as one with them: {first_few(shared)}"
        )
    return {
        split: tuple(replace(sample, group=groups[patient_of[sample.files[0]]]) for sample in part)
        for split, part in splits.items()
    }, notes


def patients_by_file(given: str, samples: Sequence[Sample], root: Path) -> tuple[dict[Path, str], list[str]]:
    """The patient by image file, as `given` tells, and notes on where they come from. No file is opened."""
    if given.lower().endswith(".csv") or os.path.isfile(given):  # noqa: PTH113 - a pattern may be no possible path
        return _by_table(Path(given), samples, root)
    return _by_pattern(given, samples), [f"patients by the pattern '{given}'"]


def _by_pattern(given: str, samples: Iterable[Sample]) -> dict[Path, str]:
    """The patient by image file."""
    try:
        pattern = re.compile(given)
    except re.error as error:
        raise UserError(
            f"--patient '{given}' is no regular expression ({error}) and no file; give {EXAMPLE}, or {TABLE}"
        ) from None
    if pattern.groups != 1:
        found = f"has {pattern.groups or 'no'} groups in parentheses"
        raise UserError(
            f"--patient '{given}' {found}; exactly one is needed, the patient's: {EXAMPLE}; or give {TABLE}"
        )
    matches = [(sample, pattern.search(sample.id)) for sample in samples]
    if without := [sample.id for sample, match in matches if not (match and match[1])]:
        raise _without_patient(f"--patient '{given}' finds no patient in the names of", without, "correct the pattern")
    return {sample.files[0]: match[1] for sample, match in matches if match}


def _by_table(path: Path, samples: Iterable[Sample], root: Path) -> tuple[dict[Path, str], list[str]]:
    """The patient by image file, and notes. An image is named by its id, its file or its path below `root`."""
    table, found, used = _read_table(path), {}, set()
    without = []
    for sample in samples:
        file = sample.files[0]
        names = [name for name in (sample.id, file.name, file.relative_to(root).as_posix()) if name in table]
        patients = sorted({table[name] for name in names})
        used.update(names)
        if len(patients) > 1:
            raise _two_patients(path, sample.id, patients)
        if patients:
            found[file] = patients[0]
        else:
            without.append(sample.id)
    if without:
        raise _without_patient(f"{path} names no patient of", without, "add them to the file")
    notes, unused = [f"patients from {path.name}"], [name for name in table if name not in used]
    if unused:
        notes.append(f"{path.name} names {len(unused)} images that are not here: {first_few(unused)}")
    return found, notes


def _read_table(path: Path) -> dict[str, str]:
    """The patient by name of an image, from a CSV file with commas, semicolons or tabs."""
    if not path.is_file():
        raise UserError(f"--patient {path} is no file; give the path of a CSV file, or a pattern: {EXAMPLE}")
    text = read_text(path, "list of patients")
    header = text.partition("\n")[0]
    rows = csv.reader(text.splitlines(), delimiter=max(",;\t", key=header.count))
    with reading("list of patients", path):
        lines = [(rows.line_num, [cell.strip() for cell in row]) for row in rows if any(map(str.strip, row))]
    columns = [name.lower() for name in lines[0][1]] if lines else []
    image = next((columns.index(name) for name in IMAGE_COLUMNS if name in columns), None)
    if image is None or PATIENT_COLUMN not in columns:
        found = f"found: {', '.join(columns) or 'nothing'}"
        needed = f"one of {', '.join(IMAGE_COLUMNS)}, and {PATIENT_COLUMN}"
        raise UserError(f"{path} needs two columns, named in its first line: {needed}; {found}; correct the file")
    patients: Mapping[str, set[str]] = defaultdict(set)
    for number, cells in lines[1:]:
        named = dict(zip(columns, cells, strict=False))
        name, patient = named.get(columns[image], ""), named.get(PATIENT_COLUMN, "")
        if not (name and patient):
            lacks = "image" if not name else "patient"
            raise UserError(f"{path}, line {number}, names no {lacks}; give both in each line, or take the line out")
        patients[name].add(patient)
        if len(patients[name]) > 1:
            raise _two_patients(path, name, sorted(patients[name]))
    return {name: next(iter(found)) for name, found in patients.items()}


def _without_patient(what: str, names: list[str], advice: str) -> UserError:
    images = f"{len(names)} image{'s' if len(names) > 1 else ''}"
    return UserError(f"{what} {images}: {first_few(names)}; every image needs its patient, so {advice}")


def _two_patients(path: Path, name: str, patients: list[str]) -> UserError:
    return UserError(f"{path} gives the image '{name}' two patients, {' and '.join(patients)}; keep the right one")
