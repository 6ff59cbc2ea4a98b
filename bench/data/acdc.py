"""ACDC, cardiac MRI in short axis: 100 training and 50 testing patients, two annotated frames each, three structures.

Bernard et al., "Deep learning techniques for automatic MRI cardiac multi-structures segmentation and diagnosis: is the
problem solved?", IEEE TMI 37, 2018. Papers mostly split the 100 training patients 70/10/20. One sample is one slice,
stretched to 0..255 by its whole volume; scores are per volume.
"""

from pathlib import Path

from bench.data import acdc_nifti, acdc_slices
from bench.data.acdc_nifti import CLASSES
from bench.data.layout import first_three, stay_inside, wrong_layout
from bench.data.sample import DataSet, Options, Sample, Tally
from bench.data.splits import (
    TEST_SHARE,
    VAL_SHARE,
    Sides,
    by_group,
    draw_sides,
    draw_val,
    keep_apart,
    read_split_file,
)  # fmt: skip
from bench.errors import UserError

LAYOUT = """\
training/patient001/patient001_frame01.nii.gz ...     and patient001_frame01_gt.nii.gz beside each
testing/patient101/...                                (may be missing)
split.json                                            {"train": ["patient003", ...], "val": [...], "test": [...]},
                                                      (may be missing)
or as slices: data/patient001_frame01_slice_1.h5 ..., data/patient001_frame01.h5 ... (keys image and label),
train_slices.list, val.list and test.list with one of these names a line
"""
SEED = 2018
SPLIT = "split.json"
PATIENTS = {"train": 70, "val": 10, "test": 20}
TRAIN_SLICES = 1312  # of the 70 patients that the usual split trains on


def open(root: Path, options: Options, problems: list[str]) -> DataSet:
    """The data set under `root`, from its NIfTI volumes or from the slice files made of them.

    The split is that of `split.json` or of the lists; else the official testing folder with a seeded tenth of training
    to validate on; else seeded, 70/10/20 by patient; `note` says which. Only headers are read here. Raises UserError
    for a folder that holds neither form, and for a damaged or unsafe split or list file.
    """
    if (root / "training").is_dir():
        splits, notes, tallies = _from_volumes(root, problems)
        recipe = "NIfTI slices, min-max per volume"
    elif (root / "data").is_dir():
        splits, notes, tallies = _from_slices(root, problems)
        recipe = "h5 slices, min-max per volume"
    else:
        raise _wrong(root, "no folder training, nor a folder data")
    splits = keep_apart("ACDC", splits, problems)
    note = "; ".join(notes)
    return DataSet(
        "acdc", CLASSES, splits, protocol="per_volume", note=note, recipe=recipe, tallies=tallies,
        drawn=f"seed {SEED}" in note,
    )  # fmt: skip


def _from_volumes(root: Path, problems: list[str]) -> tuple[Sides, list[str], tuple[Tally, ...]]:
    folders = {part: acdc_nifti.patients_in(root / part) for part in ("training", "testing")}
    if not folders["training"]:
        raise _wrong(root, "no folder patientNNN in the folder training")
    notes = []
    if folders["testing"] and not acdc_nifti.any_label(folders["testing"]):
        notes.append(f"testing holds no labels: its {len(folders['testing'])} patients are left out")
        folders["testing"] = {}
    parts = {part: acdc_nifti.slices_of(patients, problems) for part, patients in folders.items()}
    samples = (*parts["training"], *parts["testing"])
    known = {**folders["training"], **folders["testing"]}
    if folders["testing"] and not (root / SPLIT).exists():
        splits = {**draw_val(parts["training"], SEED), "test": parts["testing"]}
        notes.append(f"test is the official testing set, val {VAL_SHARE:.0%} of training, by patient with seed {SEED}")
        tallies = [Tally("patients in testing", len(folders["testing"]), 50)]
    else:
        splits, told, tallies = _split(root, samples, set(known), problems)
        notes.append(told)
    return splits, notes, (Tally("patients in training", len(folders["training"]), 100), *tallies)


def _from_slices(root: Path, problems: list[str]) -> tuple[Sides, list[str], tuple[Tally, ...]]:
    found = acdc_slices.find(root, problems)
    if not found.names:
        raise _wrong(root, "no patientNNN_frameNN_slice_N.h5 in the folder data")
    absent = [name for name in acdc_slices.LISTS.values() if not (root / name).is_file()]
    if not absent:
        splits, told = acdc_slices.by_lists(found, problems)
        return splits, [told], _usual(splits)
    if len(absent) < len(acdc_slices.LISTS):
        raise _wrong(root, f"no file {absent[0]}")
    patients = {name.partition("_")[0] for name in found.names}
    splits, told, tallies = _split(root, acdc_slices.everything(found, problems), patients, problems)
    return splits, [told], tuple(tallies)


def _split(
    root: Path, samples: tuple[Sample, ...], patients: set[str], problems: list[str]
) -> tuple[Sides, str, list[Tally]]:
    """The samples on the sides that `split.json` says, or drawn ones; and what was done. `patients` are all there."""
    path = root / SPLIT
    if not path.exists():
        told = f"no split.json: by patient with seed {SEED}, test {TEST_SHARE:.0%}, val {VAL_SHARE:.0%}"
        return draw_sides(samples, SEED), told, []
    _, sides = read_split_file(path)
    named = [name for names in sides.values() for name in names]
    for name in named:
        stay_inside(name, root / "training" / name, root, path)
    lost = sorted(set(named) - patients)
    problems.extend(f"ACDC: {path} names {name}, which is not in {root}; get that patient again" for name in lost)
    told = f"patients on the sides of {SPLIT}"
    spare = sorted(patients - set(named))
    if spare:
        told += f"; {len(spare)} patients that it does not name are left out: {first_three(spare)}"
    splits = by_group(samples, {side: set(names) for side, names in sides.items()})
    return splits, told, list(_usual(splits))


def _usual(splits: Sides) -> tuple[Tally, ...]:
    """Counts to hold against the split of the 100 patients that papers share."""
    groups = {side: {sample.group for sample in samples} for side, samples in splits.items()}
    patients = (Tally(f"patients in {side}", len(groups[side]), count) for side, count in PATIENTS.items())
    return *patients, Tally("slices in train", len(splits["train"]), TRAIN_SLICES)


def _wrong(root: Path, missing: str) -> UserError:
    return wrong_layout("ACDC", root, missing, LAYOUT, "training/patient*")
