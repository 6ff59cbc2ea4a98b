"""Which group is on which side of a split: drawn once, written to a file, read back, and never on two sides."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from bench.data.files import first_three, is_list_of, read_json
from bench.data.sample import SPLITS, DataSet, Sample, Splits, groups_on_two_sides
from bench.errors import UserError
from bench.files import write_whole

TEST_SHARE, VAL_SHARE = 0.2, 0.1
SHARES = f"test {TEST_SHARE:.0%}, val {VAL_SHARE:.0%}"


def hold_out(groups: Iterable[str], share: float, seed: int) -> set[str]:
    """Draw a share of the groups, the same ones for the same groups and seed on every machine."""
    ordered = sorted(set(groups), key=lambda group: hashlib.sha256(f"{seed}:{group}".encode()).digest())
    return set(ordered[: round(share * len(ordered))])


def draw_splits(samples: Sequence[Sample], seed: int, test_share: float = TEST_SHARE) -> Splits:
    """A share of the groups test, a tenth val, the rest train: the same ones for the same groups and seed.

    A data set that says itself what its test is draws with a `test_share` of 0, and puts its own in.
    """
    names = {sample.group for sample in samples}
    test = hold_out(names, test_share, seed)
    val = hold_out(names, test_share + VAL_SHARE, seed) - test
    return by_group(samples, {"train": names - test - val, "val": val, "test": test})


def by_group(samples: Sequence[Sample], sides: dict[str, set[str]]) -> Splits:
    """The samples whose group each side names, in the order given."""
    return {side: tuple(sample for sample in samples if sample.group in groups) for side, groups in sides.items()}


def keep_apart(title: str, splits: Splits, problems: list[str]) -> Splits:
    """The splits without the groups that are on two sides; each of those is a line in `problems`."""
    shared = groups_on_two_sides(splits)
    for group, sides in shared.items():
        where = (f"{split} ({sample.files[0] if sample.files else sample.id})" for split, sample in sides.items())
        problems.append(
            f"{title}: '{group}' is in {' and '.join(where)}; a patient, case or image must stay on one side of "
            "a split, so take it out of all but one"
        )
    return {split: tuple(s for s in samples if s.group not in shared) for split, samples in splits.items()}


def write_splits(data: DataSet, path: Path) -> None:
    """Write down which group of `data` is on which side, for `apply_splits`. The file appears whole or not at all."""
    groups = {split: sorted({sample.group for sample in samples}) for split, samples in data.splits.items()}
    content = {"dataset": data.name, "note": data.note, "splits": groups}
    try:
        write_whole(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise UserError(f"cannot write the split file {path}: {error}; give a path in a writable folder") from error


def apply_splits(data: DataSet, path: Path) -> DataSet:
    """`data` with all its samples regrouped as the file says, its `note` telling so.

    Raises UserError naming the file and the groups when it is damaged, of another data set, or when a group of `data`
    is not in there exactly once, or one of the file's is not in `data`.
    """
    name, sides = read_split_file(path)
    if name != data.name:
        advice = "give the split file of this data set, or another name for a new one"
        raise UserError(f"split file {path} is of data set '{name}', and '{data.name}' was opened; {advice}")
    samples = [sample for split in data.splits.values() for sample in split]
    here, there = {sample.group for sample in samples}, set().union(*sides.values())
    if there - here:
        raise _bad_groups(path, "names {} that the data set does not have", there - here, "take the names out")
    if here - there:
        raise _bad_groups(path, "leaves out {} of the data set", here - there, "add the names")
    as_drawn = all({s.group for s in data.splits.get(side, ())} == groups for side, groups in sides.items())
    note = f"split by {path.name}{', which is' if as_drawn else ' instead of'}: {data.note or 'the official splits'}"
    return replace(data, splits=by_group(samples, sides), note=note)


def read_split_file(path: Path) -> tuple[str, dict[str, set[str]]]:
    """(data set, groups by side) of a split file.

    The plain form {"train": [...], "val": [...], "test": [...]} that papers publish names no data set: "". Raises
    UserError when it is damaged, or a group is in there twice.
    """
    content = read_json(path, "split file")
    sides = content.get("splits", content) if isinstance(content, dict) else None
    if not (isinstance(sides, dict) and all(is_list_of(str, sides.get(split)) for split in SPLITS)):
        raise UserError(
            f'split file {path} does not hold {{"splits": {{"train": [...], "val": [...], "test": [...]}}}} '
            "with names of groups in the lists; correct it, or remove it to have it written anew"
        )
    extra = sorted(set(sides) - set(SPLITS))
    if extra:
        raise UserError(f"split file {path} has a side '{extra[0]}'; allowed are {', '.join(SPLITS)}; correct it")
    times = Counter(name for split in SPLITS for name in sides[split])
    twice = {name for name, count in times.items() if count > 1}
    if twice:
        raise _bad_groups(path, "names {} more than once", twice, "keep each name once")
    return str(content.get("dataset", "")), {split: set(sides[split]) for split in SPLITS}


def _bad_groups(path: Path, what: str, groups: set[str], advice: str) -> UserError:
    count = f"{len(groups)} group{'s' if len(groups) > 1 else ''}"
    return UserError(
        f"split file {path} {what.format(count)}: {first_three(sorted(groups))}; "
        f"each group is on one side, so {advice}, or remove the file to have it written anew"
    )
