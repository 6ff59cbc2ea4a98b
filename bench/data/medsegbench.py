"""MedSegBench: one `.npz` file with images and labels of the official train, val and test.

Kus and Aydin, "MedSegBench: A comprehensive benchmark for medical image segmentation in diverse data modalities",
Scientific Data 11, 2024: 35 data sets in three sizes, as `kvasir_256.npz`. Labels are 0 and 1, or class numbers.
"""

import re
import zipfile
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.data import Source
from bench.data.arrays import WHAT, declared_shape, image_at, label_at, levels_in_array
from bench.data.files import files_in, first_few, reading
from bench.data.layouts import Found, refuse
from bench.data.sample import SPLITS, Options, Sample
from bench.errors import UserError

# The classes of the sets that have several, as the authors list them.
CLASSES = {
    "abdomenus": ("liver", "kidney", "pancreas", "vessels", "adrenals", "gallbladder", "bones", "spleen"),
    "bkai-igh": ("neoplastic polyps", "non-neoplastic polyps"),
    "fhpsaop": ("pubic symphysis", "fetal head"),
    "m2caiseg": (
        "grasper", "bipolar", "hook", "scissors", "clipper", "irrigator", "specimen-bag", "trocars", "clip", "liver",
        "gall-bladder", "fat", "organ", "artery", "intestine", "bile", "blood", "black",
    ),
    "monusac": ("epithelial", "lymphocyte", "macrophage", "neutrophil", "ambiguous"),
    "wbc": ("cytoplasm", "nucleus"),
}  # fmt: skip
OBJECTS = ("pandental", "dynamicnuclear")  # in which whatever is not 0 is the one class
SIZED = re.compile(r"_(128|256|512)$")  # the names of the files
KEY = re.compile(r"(train|val|test)_(images|label)(?:_(\w+))?")


class _Arrays(NamedTuple):
    images: str
    labels: str
    length: int


def read(source: Source, root: Path, options: Options, classes: tuple[str, ...], problems: list[str]) -> Found | None:
    """The file in `root`; None where there is none. `options.images` names one of several, `options.masks` labels.

    Raises UserError where several could be meant, and for a file whose arrays do not fit.
    """
    files = [path for paths in files_in(root, (".npz",)).values() for path in paths]
    held = {
        path: keys
        for path in files
        if (SIZED.search(path.stem) or (path.is_file() and zipfile.is_zipfile(path))) and (keys := _keys(path))
    }
    if not held:
        return None
    chosen = [path for path in held if options.images in (path.name, path.stem)] if options.images else list(held)
    if len(chosen) != 1:
        names = first_few([path.name for path in held], 5)
        raise UserError(f"folder: {root} holds {names}, and one of them is read; say which: --images {files[0].name}")
    path = chosen[0]
    refuse(options, f"MedSegBench's {path.name}", "foreground", "levels", "patient")
    arrays = _arrays(path, held[path], options.masks)
    name = SIZED.sub("", path.stem).lower()
    classes = classes if options.classes else CLASSES.get(name, classes)
    if fault := _fault(path, arrays, name, classes):
        problems.append(fault)
    note = "MedSegBench does not publish patients, so each image counts as a patient"
    sides = {side: _samples(path, side, arrays[side], len(classes)) for side in SPLITS if side in arrays}
    return Found(f"MedSegBench's {path.name} with its official split", sides, classes, who=note)


def _keys(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the arrays for train, val and test by key; {} for a file of another kind. No array is decoded."""
    shapes = {}
    with reading(WHAT, path), zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            key = name.removesuffix(".npy")
            if KEY.fullmatch(key):
                shapes[key] = declared_shape(archive, name, path)
    return shapes if "train_images" in shapes or any(key.startswith("train_images_") for key in shapes) else {}


def _arrays(path: Path, shapes: dict[str, tuple[int, ...]], wanted: str) -> dict[str, _Arrays]:
    """The arrays of each side. Several kinds of labels are told by an ending (`train_label_C1`), which `wanted` is."""
    parts = {match[3] or "" for key in shapes if (match := KEY.fullmatch(key)) and match[2] == "label"}
    part = wanted.removeprefix("train_label_") if wanted else ""
    if part not in parts:
        choices = " or ".join(f"--masks {one}" for one in sorted(parts - {""})) or "no --masks"
        told = f"no labels '{wanted}'" if wanted else "labels of several kinds"
        raise UserError(f"{path} holds {told}; say which: {choices}")
    found = {}
    for side in SPLITS:
        images, labels = (f"{side}_{what}" + (f"_{part}" if part else "") for what in ("images", "label"))
        images = images if images in shapes else f"{side}_images"
        if images not in shapes or labels not in shapes:
            raise UserError(f"{path} has no arrays {images} and {labels}; it holds {', '.join(shapes)}; get it again")
        if shapes[images][:3] != shapes[labels][:3] or len(shapes[images]) < 3:
            fault = f"{images} of {path} is {shapes[images]} and {labels} is {shapes[labels]}"
            raise UserError(f"{fault}; both have (images, height, width) alike, so get the file again")
        found[side] = _Arrays(images, labels, shapes[images][0])
    return found


def _samples(path: Path, side: str, arrays: _Arrays, classes: int) -> tuple[Sample, ...]:
    names = (f"{side}_{number:05d}" for number in range(arrays.length))
    return tuple(
        Sample(
            name, name, partial(image_at, path, arrays.images, at), partial(label_at, path, arrays.labels, at, classes),
            (path,),
        )
        for at, name in enumerate(names)
    )  # fmt: skip


def _fault(path: Path, arrays: dict[str, _Arrays], name: str, classes: tuple[str, ...]) -> str:
    """The fault of labels that the classes do not explain; "" where they do."""
    levels = sorted({level for side in arrays.values() for level in levels_in_array(path, side.labels)})
    if len(classes) > 1 and max(levels, default=0) > len(classes):
        return f"{path} holds the labels {first_few(list(map(str, levels)), 8)}, and {len(classes)} classes are named"
    if len(classes) == 1 and name not in OBJECTS and not set(levels) <= {0, 1} and not set(levels) <= {0, 255}:
        held = first_few(list(map(str, levels)), 8)
        advice = f"name them: --classes {','.join(f'NAME{level}' for level in levels if level)}"
        return f"{path} holds the labels {held}; a mask of one class holds 0 and 1, or 0 and 255; {advice}"
    return ""
