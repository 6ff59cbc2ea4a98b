"""Anybody's own data: a folder of images and one of masks, paired by their names, split or not."""

from functools import partial
from pathlib import Path

from bench.data.images import files_in, read_rgb
from bench.data.labels import read_labels_for
from bench.data.layout import first_three, wrong_layout
from bench.data.pairs import Pair, alike, binary_sample, pairs_in
from bench.data.sample import DataSet, Options, Sample
from bench.data.splits import TEST_SHARE, VAL_SHARE, Sides, draw_sides, draw_val, keep_apart
from bench.errors import UserError

LAYOUT = """\
images/a.png ...           also called image, imgs, img
masks/a.png ...            also called mask, labels, label, gt, annotations; a_mask.png, a_seg.png ... pair too
or already split:          train/images/ train/masks/   val/images/ val/masks/   test/images/ test/masks/
one class is what is bright; with --classes liver,tumour the masks hold 0 (background), 1 (liver), 2 (tumour)
"""
IMAGE_NAMES = ("images", "image", "imgs", "img")
MASK_NAMES = ("masks", "mask", "labels", "label", "gt", "annotations", "annotation", "groundtruth", "ground_truth")
SIDES = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
ENDINGS = ("", "_mask", "_seg", "_segmentation", "_gt", "_label", "_labels")
KINDS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".webp")
SEED = 1


def open(root: Path, options: Options, problems: list[str]) -> DataSet:
    """The pairs under `root`, by the folders train, val and test where they are there, else split by a fixed seed.

    `options.classes` names the classes; one (or none) is read from what is bright, several from the values. No patient
    is known, so each image is its own group; a split file may say otherwise. Raises UserError for a folder that is laid
    out in another way, and for too few images to draw a split from.
    """
    classes = _classes(options.classes)
    parts = {side: folder for side, names in SIDES.items() if (folder := _folder(root, names))}
    notes: list[str] = []
    if parts:
        for side in ("train", "test"):
            if side not in parts:
                raise _wrong(root, f"no folder {side} beside {next(iter(parts.values())).name}")
        splits = {side: _samples(root, folder, classes, problems, notes) for side, folder in parts.items()}
        if "val" not in splits:
            splits = {**draw_val(splits["train"], SEED), "test": splits["test"]}
            notes.append(f"no folder val: val is {VAL_SHARE:.0%} of train, by image with seed {SEED}")
    else:
        splits = draw_sides(_samples(root, root, classes, problems, notes), SEED)
        notes.append(
            f"split by image with seed {SEED}, test {TEST_SHARE:.0%}, val {VAL_SHARE:.0%}, equal files together"
        )
    splits = keep_apart("folder", {side: splits[side] for side in SIDES}, problems)
    if not problems and not (options.split_file and options.split_file.exists()):
        _check_sides(root, splits)
    notes.append("patients are not known, so each image stands alone")
    recipe = f"classes {', '.join(classes)}"
    drawn = not parts or "val" not in parts
    return DataSet("folder", classes, splits, note="; ".join(notes), recipe=recipe, drawn=drawn)


def _classes(given: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in given)
    if not all(names) or len(set(names)) < len(names):
        raise UserError(
            f"--classes {','.join(given)} has an empty name or one twice; name each class once: liver,tumour"
        )
    return names or ("foreground",)


def _samples(
    root: Path, folder: Path, classes: tuple[str, ...], problems: list[str], notes: list[str]
) -> tuple[Sample, ...]:
    """The pairs of one pair of folders; files of a kind that is not read are named in `notes`."""
    images, masks = _folder(folder, IMAGE_NAMES), _folder(folder, MASK_NAMES)
    if not images or not masks:
        raise _wrong(
            root, f"no folder {'masks' if images else 'images'}" + (f" in {folder.name}" if folder != root else "")
        )
    if not files_in(images, KINDS):
        raise _wrong(root, f"no image ({', '.join(KINDS)}) in {images.name}")
    for place in (images, masks):
        others = [path.name for path in sorted(place.iterdir()) if _is_other(path)]
        if others:
            notes.append(f"no images, and left out, in {place}: {first_three(others)}")
    pairs = pairs_in("folder", images, masks, problems, endings=ENDINGS, image_kinds=KINDS, mask_kinds=KINDS)
    groups = alike(pairs)
    return tuple(_sample(name, groups[name], pair, classes) for name, pair in pairs.items())


def _sample(name: str, group: str, pair: Pair, classes: tuple[str, ...]) -> Sample:
    if len(classes) == 1:
        return binary_sample(name, group, pair)
    return Sample(name, group, partial(read_rgb, pair[0]), partial(read_labels_for, *pair, classes), pair)


def _folder(root: Path, names: tuple[str, ...]) -> Path | None:
    """The folder in `root` that has one of the names, in any case. Raises UserError when two have."""
    found = sorted(path for path in root.iterdir() if path.name.lower() in names and path.is_dir())
    if len(found) > 1:
        raise UserError(
            f"folder: {' and '.join(path.name for path in found)} in {root} could both be meant; "
            f"one folder of {', '.join(names)} is allowed, so rename or move the others"
        )
    return found[0] if found else None


def _is_other(path: Path) -> bool:
    return not path.name.startswith(".") and path.suffix.lower() not in KINDS


def _check_sides(root: Path, splits: Sides) -> None:
    empty = [side for side, samples in splits.items() if not samples]
    if empty:
        count = sum(len(samples) for samples in splits.values())
        raise UserError(
            f"folder: the {count} images in {root} are too few to split, for {' and '.join(empty)} would be empty; "
            "5 or more are allowed, or put them into folders train, val and test"
        )


def _wrong(root: Path, missing: str) -> UserError:
    return wrong_layout("folder", root, missing, LAYOUT, "[iI]mages")
