"""Whose each image of the user's own folder is: by a pattern that is searched in its name, or by a CSV file."""

import csv
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from io import BytesIO, TextIOWrapper
from pathlib import Path

from bench.data.files import first_few, joined_groups, read_text, reading
from bench.data.limits import at_most
from bench.data.sample import Sample, Splits
from bench.errors import SHORT, UserError, clean

IMAGE_COLUMNS, PATIENT_COLUMN = ("image", "case", "id", "file"), "patient"
EXAMPLE = r"--patient '(P\d+)_' where images are called P12_3.png"
TABLE = "--patient FILE.csv with the columns image and patient"
WHAT = "list of patients"
PATTERN_S = 20.0  # for the names of all images; a million take a second
ROW = 1 << 20  # letters of a row, which take 60 times as much where each is a cell
LINES = 5_000_000
SHOWN = 20  # columns that are named


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
    except (re.error, RecursionError, OverflowError) as error:
        told = f"is no regular expression ({error}) and no file"
        raise UserError(f"--patient '{clean(given, SHORT)}' {told}; give {EXAMPLE}, or {TABLE}") from None
    if pattern.groups != 1:
        found = f"has {pattern.groups or 'no'} groups in parentheses"
        raise UserError(
            f"--patient '{given}' {found}; exactly one is needed, the patient's: {EXAMPLE}; or give {TABLE}"
        )
    try:
        with at_most(PATTERN_S):
            matches = [(sample, pattern.search(sample.id)) for sample in samples]
    except TimeoutError:
        told = f"was searched for {PATTERN_S:g} s without an end, as repeats inside repeats are, such as (a+)+"
        raise UserError(
            f"--patient '{clean(given, SHORT)}' {told}; give a simpler one: {EXAMPLE}; or {TABLE}"
        ) from None
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
    patients: dict[str, str] = {}
    with reading(WHAT, path):
        rows = _rows(read_text(path, WHAT))
        columns = _columns(path, next(rows, (0, []))[1])
        for number, row in rows:
            name, patient = (row[at].strip() if at < len(row) else "" for at in columns)
            if not (name and patient):
                lacks = "image" if not name else "patient"
                raise UserError(
                    f"{path}, line {number}, names no {lacks}; give both in each line, or take the line out"
                )
            if (known := patients.setdefault(name, patient)) != patient:
                raise _two_patients(path, name, sorted((known, patient)))
    return patients


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """The number of its line and the cells of each row that has any, one after the other: a table may be long.

    Raises ValueError for very many lines, and for a row of very many letters.
    """
    if (count := max(text.count("\n"), text.count("\r"))) > LINES:
        raise ValueError(f"it has {count} lines, and at most {LINES} are read")
    taken = 0

    def lines() -> Iterator[str]:
        nonlocal taken
        for line in TextIOWrapper(BytesIO(text.encode()), "utf-8", newline=""):
            taken += len(line)
            if taken > ROW:
                raise ValueError(f"a row has over {ROW} letters, so it is no table of patients")
            yield line

    rows = csv.reader(lines(), delimiter=max(",;\t", key=text.partition("\n")[0].count))
    for row in rows:
        taken = 0
        if any(map(str.strip, row)):
            yield rows.line_num, row


def _columns(path: Path, header: Sequence[str]) -> tuple[int, int]:
    """The columns of images and of patients. Raises UserError where one is missing, or there twice."""
    columns = [name.strip().lower() for name in header]
    image = next((name for name in IMAGE_COLUMNS if name in columns), None)
    if image is None or PATIENT_COLUMN not in columns:
        found = f"found: {first_few(columns, SHOWN) or 'nothing'}"
        needed = f"one of {', '.join(IMAGE_COLUMNS)}, and {PATIENT_COLUMN}"
        raise UserError(f"{path} needs two columns, named in its first line: {needed}; {found}; correct the file")
    if twice := [name for name in (image, PATIENT_COLUMN) if columns.count(name) > 1]:
        raise UserError(f"{path} has several columns called {twice[0]}; rename all but the right one")
    return columns.index(image), columns.index(PATIENT_COLUMN)


def _without_patient(what: str, names: list[str], advice: str) -> UserError:
    images = f"{len(names)} image{'s' if len(names) > 1 else ''}"
    return UserError(f"{what} {images}: {first_few(names)}; every image needs its patient, so {advice}")


def _two_patients(path: Path, name: str, patients: list[str]) -> UserError:
    return UserError(f"{path} gives the image '{name}' two patients, {' and '.join(patients)}; keep the right one")
