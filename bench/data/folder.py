"""The user's own data: images and masks in any common layout, with or without splits."""

from pathlib import Path

from bench.data import Source, medsegbench, nnunet, pictures, scans, synapse
from bench.data.files import counted
from bench.data.layouts import Found
from bench.data.patients import with_patients
from bench.data.sample import LEAST, SHARES, SPLITS, VAL_SHARE, DataSet, Options, Splits, draw_splits, keep_apart
from bench.errors import UserError

SEED = 1
MOST = 255  # classes: their numbers are stored in bytes
# Tried in turn: each returns None where the folder is laid out in another way. Pictures are what is left.
LAYOUTS = (medsegbench.read, synapse.read, scans.read)


def open(source: Source, root: Path, options: Options, problems: list[str]) -> DataSet:
    """The samples under `root`, by the sides of the split that the layout tells, else split by a fixed seed.

    `options.classes` names the classes; one (or none) is read from what is bright, several from the values.
    `options.patient` says whose each image is; without it each is its own group, or each volume. `note` says what the
    folder was taken for. Raises UserError for a folder that is laid out in another way, for images without a patient,
    and for too few images to draw a split from.
    """
    found = _found(source, root, options, problems)
    if options.patient:
        found.sides, who = with_patients(options.patient, found.sides, root)
        found.unit, found.who, found.patients = "patient", "; ".join(who), True
    splits, how = _split(found)
    splits = keep_apart("folder", splits, problems)
    empty = [side for side in SPLITS if not splits[side]]
    if empty and not problems and not options.split_file:
        raise _too_few(root, found, empty)
    notes = [*how, found.who, *([f"read as {found.what}"] if found.what else []), *found.notes]
    return DataSet(
        "folder", found.classes, splits, found.protocol, "; ".join(notes), f"classes {', '.join(found.classes)}",
        drawn=bool(how), patients=found.patients, label=root.resolve().name,
    )  # fmt: skip


def _found(source: Source, root: Path, options: Options, problems: list[str]) -> Found:
    """What the first layout reads that recognises the folder."""
    classes = nnunet.classes_of(root, options) or class_names(options)
    if len(classes) > MOST:
        advice = "unite some of them, or read fewer with --classes and --levels"
        raise UserError(f"folder: {len(classes)} classes are named, and at most {MOST} are read; {advice}")
    for read in LAYOUTS:
        if found := read(source, root, options, classes, problems):
            return found
    return pictures.read(source, root, options, classes, problems)


def _split(found: Found) -> tuple[Splits, list[str]]:
    """The splits, and how those were drawn that the layout does not tell."""
    sides, by = found.sides, f"by {found.unit} with seed {SEED}"
    if "train" not in sides:
        return draw_splits(sides[""], SEED), [f"split {by}, {SHARES}, identical files on one side"]
    if "test" not in sides:
        share = f"test and val are drawn from train {by}, {SHARES}"
        return draw_splits((*sides["train"], *sides.get("val", ())), SEED), [share]
    if "val" not in sides:
        how = [f"no folder val: val is {VAL_SHARE:.0%} of train, {by}"]
        return draw_splits(sides["train"], SEED, sides["test"]), how
    return {side: sides[side] for side in SPLITS}, []


def _too_few(root: Path, found: Found, empty: list[str]) -> UserError:
    """The error for samples that are too few to draw a split of."""
    part = next((side for side in ("", "train") if side in found.sides), "")
    count = len({sample.group for sample in found.sides[part]})
    where = f"{part} of {root}" if part else str(root)
    are, sides = "is" if count == 1 else "are", " and ".join(empty)
    fault = f"{counted(count, found.unit)} in {where} {are} too few to split: {sides} would be empty"
    advice = f"add {found.unit}s ({LEAST} or more are needed), or make folders train, val and test"
    return UserError(f"folder: {fault}; {advice}")


def class_names(options: Options) -> tuple[str, ...]:
    """The foreground classes that the user named, or the one that has no name. UserError for a name given twice."""
    classes = tuple(name.strip() for name in options.classes)
    if not all(classes) or len(set(classes)) < len(classes):
        given = ",".join(options.classes)
        raise UserError(f"--classes {given} has an empty name or one twice; name each class once: liver,tumor")
    return classes or ("foreground",)
