"""Pairs the files of a folder of images with those of a folder of masks, and names every file that has no partner."""

from collections import defaultdict
from collections.abc import Container, Iterable
from functools import partial
from pathlib import Path

from bench.data.images import files_in, read_mask_for, read_rgb, same_bytes, two_files
from bench.data.sample import Sample

Pair = tuple[Path, Path]


def pairs_in(
    title: str,
    images: Path,
    masks: Path,
    problems: list[str],
    *,
    endings: tuple[str, ...] = ("",),
    image_kinds: Iterable[str] = (".jpg", ".jpeg"),
    mask_kinds: Iterable[str] = (".jpg", ".jpeg"),
) -> dict[str, Pair]:
    """(image, mask) by id, in the order of the ids.

    The mask of image `a` is called `a` and one of `endings` ("_segmentation"), tried in turn. An image without a mask,
    a mask without an image and two files with one id are left out, each a line in `problems`.
    """
    pictures = files_in(images, image_kinds)
    owned = _owned(title, files_in(masks, mask_kinds), images, pictures, endings, problems)
    pairs: dict[str, Pair] = {}
    for name, files in pictures.items():
        found = owned[name]
        if len(files) > 1 or len(found) > 1:
            problems.append(two_files(name, files if len(files) > 1 else found))
        elif found:
            pairs[name] = (files[0], found[0])
        else:
            problems.append(
                f"{title}: image {files[0]} has no mask; expected {name}{endings[0]}{next(iter(mask_kinds))} in "
                f"{masks}; get the mask again, or take the image out"
            )
    return pairs


def _owned(
    title: str,
    masks: dict[str, list[Path]],
    images: Path,
    pictures: Container[str],
    endings: tuple[str, ...],
    problems: list[str],
) -> dict[str, list[Path]]:
    """The masks by the id of their image."""
    owned: dict[str, list[Path]] = defaultdict(list)
    for stem, files in masks.items():
        owner = _owner(stem, pictures, endings)
        if owner:
            owned[owner] += files
        else:
            problems.extend(
                f"{title}: mask {file} has no image; expected one in {images} with the mask's name"
                f"{f' without {endings[0]}' if endings[0] else ''}; get the image again, or take the mask out"
                for file in files
            )
    return owned


def binary_sample(name: str, group: str, pair: Pair) -> Sample:
    """A sample whose mask is 1 where the mask file is bright."""
    return Sample(name, group, partial(read_rgb, pair[0]), partial(read_mask_for, *pair), pair)


def alike(pairs: dict[str, Pair]) -> dict[str, str]:
    """The group of each id where no patient is known: itself, or the first id whose image is the same byte for byte."""
    name_of = {image: name for name, (image, _) in pairs.items()}
    groups = {name: name for name in pairs}
    for copies in same_bytes(name_of):
        groups.update({name_of[path]: name_of[copies[0]] for path in copies})
    return groups


def _owner(stem: str, pictures: Container[str], endings: tuple[str, ...]) -> str:
    """The id of the image that the mask called `stem` is of; "" for none."""
    for ending in endings:
        if stem.lower().endswith(ending):
            name = stem[: len(stem) - len(ending)]
            if name in pictures:
                return name
    return ""
