"""The user's own data: a folder of images and a folder of masks, paired by name, with or without splits."""

from functools import partial
from pathlib import Path

from bench.data import Source
from bench.data.files import COMMON_KINDS, first_few
from bench.data.pairs import paired_samples
from bench.data.patients import with_patients
from bench.data.sample import SHARES, SPLITS, VAL_SHARE, DataSet, Options, draw_splits, keep_apart
from bench.errors import UserError

IMAGES = ("images", "image", "imgs", "img")
MASKS = ("masks", "mask", "labels", "label", "gt", "annotations", "annotation", "groundtruth", "ground_truth")
SIDES = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
ENDINGS = ("", "_mask", "_seg", "_segmentation", "_gt", "_label", "_labels")
KINDS = (*COMMON_KINDS, ".gif", ".webp")
SEED = 1


def open(source: Source, root: Path, options: Options, problems: list[str]) -> DataSet:
    """The pairs under `root`, by the folders train, val and test where they are there, else split by a fixed seed.

    `options.classes` names the classes; one (or none) is read from what is bright, several from the values.
    `options.patient` says whose each image is; without it each is its own group. Raises UserError for a folder that is
    laid out in another way, for images without a patient, and for too few images to draw a split from.
    """
    classes = class_names(options)
    parts = {side: folder for side, names in SIDES.items() if (folder := _folder(root, names)).is_dir()}
    notes: list[str] = []
    for side in ("train", "test"):
        if parts and side not in parts:
            raise source.wrong_layout(root, f"no folder {side} beside {next(iter(parts.values())).name}")
    places = {side: (_folder(at, IMAGES), _folder(at, MASKS)) for side, at in (parts or {"": root}).items()}
    pair_up = partial(paired_samples, endings=ENDINGS, kinds=(KINDS, KINDS), classes=classes, join_copies=True)
    samples = {side: tuple(pair_up(source, root, two, problems).values()) for side, two in places.items()}
    for place in (place for two in places.values() for place in two):
        unread = (path.name for path in place.iterdir() if path.suffix.lower() not in KINDS)
        if others := sorted(name for name in unread if not name.startswith(".")):
            notes.append(f"no images, and left out, in {place}: {first_few(others)}")
    who = ["patients are not known, so each image is a group of its own"]
    if options.patient:
        samples, who = with_patients(options.patient, samples, root)
    unit = "patient" if options.patient else "image"
    if not parts:
        splits = draw_splits(samples[""], SEED)
        notes.append(f"split by {unit} with seed {SEED}, {SHARES}, equal files together")
    elif "val" in parts:
        splits = {side: samples[side] for side in SPLITS}
    else:
        splits = draw_splits(samples["train"], SEED, samples["test"])
        notes.append(f"no folder val: val is {VAL_SHARE:.0%} of train, by {unit} with seed {SEED}")
    splits = keep_apart("folder", splits, problems)
    empty = [side for side in SPLITS if not splits[side]]
    if empty and not problems and not (options.split_file and options.split_file.exists()):
        count = len({sample.group for part in splits.values() for sample in part})
        fault = f"the {count} {unit}s in {root} are too few to split"
        advice = f"add {unit}s (5 or more), or make folders train, val and test"
        raise UserError(f"folder: {fault}, for {' and '.join(empty)} would be empty; {advice}")
    note, recipe, drawn = "; ".join([*notes, *who]), f"classes {', '.join(classes)}", "val" not in parts
    return DataSet(
        "folder", classes, splits, note=note, recipe=recipe, drawn=drawn, patients=bool(options.patient),
        label=root.resolve().name,
    )  # fmt: skip


def class_names(options: Options) -> tuple[str, ...]:
    """The foreground classes that the user named, or the one that has no name. UserError for a name given twice."""
    classes = tuple(name.strip() for name in options.classes)
    if not all(classes) or len(set(classes)) < len(classes):
        given = ",".join(options.classes)
        raise UserError(f"--classes {given} has an empty name or one twice; name each class once: liver,tumor")
    return classes or ("foreground",)


def _folder(root: Path, names: tuple[str, ...]) -> Path:
    """The folder in `root` with one of the names, ignoring case; else the path with the first name.

    Raises UserError when two have.
    """
    found = sorted(path for path in root.iterdir() if path.name.lower() in names and path.is_dir())
    if len(found) > 1:
        advice = f"one folder of {', '.join(names)} is allowed, so rename or move the others"
        raise UserError(f"folder: {' and '.join(path.name for path in found)} in {root} could both be meant; {advice}")
    return found[0] if found else root / names[0]
