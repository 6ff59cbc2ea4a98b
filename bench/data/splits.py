"""Which group is on which side of a split: drawn once, written down as a file, read back, and never on two sides."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.data.layout import first_three
from bench.data.sample import SPLITS, DataSet, Sample, hold_out
from bench.errors import UserError
from bench.files import write_whole

TEST_SHARE, VAL_SHARE = 0.2, 0.1

Sides = dict[str, tuple[Sample, ...]]


def draw_sides(samples: Sequence[Sample], seed: int) -> Sides:
    """A fifth of the groups test, a tenth val, the rest train: the same ones for the same groups and seed."""
    names = {sample.group for sample in samples}
    test = hold_out(names, TEST_SHARE, seed)
    val = hold_out(names, TEST_SHARE + VAL_SHARE, seed) - test
    return by_group(samples, {"train": names - test - val, "val": val, "test": test})


def draw_val(samples: Sequence[Sample], seed: int) -> Sides:
    """A tenth of the groups val, the rest train, for data sets that say what their test is."""
    names = {sample.group for sample in samples}
    val = hold_out(names, VAL_SHARE, seed)
    return by_group(samples, {"train": names - val, "val": val})


def by_group(samples: Iterable[Sample], sides: dict[str, set[str]]) -> Sides:
    """The samples whose group each side names, in the order given."""
    ordered = tuple(samples)
    return {side: tuple(sample for sample in ordered if sample.group in groups) for side, groups in sides.items()}


def keep_apart(title: str, splits: Sides, problems: list[str]) -> Sides:
    """The splits without the groups that are on two sides; each of those is a line in `problems`."""
    sides: dict[str, dict[str, Sample]] = defaultdict(dict)
    for split, samples in splits.items():
        for sample in samples:
            sides[sample.group].setdefault(split, sample)
    shared = {group for group, found in sides.items() if len(found) > 1}
    for group in sorted(shared):
        where = " and ".join(
            f"{split} ({sample.files[0] if sample.files else sample.id})" for split, sample in sides[group].items()
        )
        problems.append(
            f"{title}: '{group}' is in {where}; a patient, case or image must stay on one side of a split, "
            "so take it out of all but one"
        )
    if not shared:
        return splits
    return {split: tuple(s for s in samples if s.group not in shared) for split, samples in splits.items()}


def write_splits(data: DataSet, path: Path) -> None:
    """Write down which group of `data` is on which side, for `apply_splits`. The file appears whole or not at all."""
    groups = {split: sorted({sample.group for sample in samples}) for split, samples in data.splits.items()}
    content = {"dataset": data.name, "note": data.note, "splits": groups}
    try:
        write_whole(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise UserError(
            f"cannot write the split file {path}: {error}; give a path in a folder you may write"
        ) from error


def apply_splits(data: DataSet, path: Path) -> DataSet:
    """`data` with all its samples regrouped as the file says, its `note` telling so.

    Raises UserError naming the file and the groups when it is damaged, of another data set, or when a group of `data`
    is not in there exactly once, or one of the file's is not in `data`.
    """
    name, groups = read_split_file(path)
    if name != data.name:
        raise UserError(
            f"split file {path} is of data set '{name}', and '{data.name}' was opened; "
            "give the split file of this data set, or another name for a new one"
        )
    samples = [sample for split in data.splits.values() for sample in split]
    _check_same_groups(path, {sample.group for sample in samples}, {name for side in groups.values() for name in side})
    splits = by_group(samples, {side: set(names) for side, names in groups.items()})
    as_drawn = all({s.group for s in data.splits.get(side, ())} == set(names) for side, names in groups.items())
    note = f"split by {path.name}{', which is' if as_drawn else ' instead of'}: {data.note or 'the official splits'}"
    return replace(data, splits=splits, note=note)


def read_split_file(path: Path) -> tuple[str, dict[str, tuple[str, ...]]]:
    """(data set, groups by side) of a split file.

    The plain form {"train": [...], "val": [...], "test": [...]} that papers publish names no data set: "". Raises
    UserError when it is damaged, or a group is in there twice.
    """
    content = read_json(path, "split file")
    sides = content.get("splits", content) if isinstance(content, dict) else None
    if not (isinstance(sides, dict) and all(_is_names(sides.get(split)) for split in SPLITS)):
        raise UserError(
            f'split file {path} does not hold {{"splits": {{"train": [...], "val": [...], "test": [...]}}}} '
            "with names of groups in the lists; mend it, or remove it to have it written anew"
        )
    extra = sorted(set(sides) - set(SPLITS))
    if extra:
        raise UserError(f"split file {path} has a side '{extra[0]}'; allowed are {', '.join(SPLITS)}; mend it")
    times = Counter(name for split in SPLITS for name in sides[split])
    twice = sorted(name for name, count in times.items() if count > 1)
    if twice:
        raise UserError(
            f"split file {path} names {_count(twice)} more than once: {first_three(twice)}; "
            "a group stays on one side, so keep each name once"
        )
    return str(content.get("dataset", "")), {split: tuple(sides[split]) for split in SPLITS}


def read_json(path: Path, what: str) -> Any:
    """The content of a JSON file. Raises UserError naming it when it is missing or damaged."""
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"cannot read the {what} {path}: {error}; mend it, or get it again") from error


def _check_same_groups(path: Path, here: set[str], there: set[str]) -> None:
    unknown, missing = sorted(there - here), sorted(here - there)
    if unknown:
        raise UserError(
            f"split file {path} names {_count(unknown)} that the data set does not have: {first_three(unknown)}; "
            "it belongs to other files, so get those, or take the names out"
        )
    if missing:
        raise UserError(
            f"split file {path} leaves out {_count(missing)} of the data set: {first_three(missing)}; "
            "each group needs a side, so add the names, or remove the file to have it written anew"
        )


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _count(names: list[str]) -> str:
    return f"{len(names)} group{'s' if len(names) > 1 else ''}"
