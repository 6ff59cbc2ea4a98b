"""Image and mask files paired by name as samples. Unpaired files are reported by name."""

import re
from collections import defaultdict
from functools import partial
from pathlib import Path

from bench.data import Source
from bench.data.files import ANY, JPEG, files_in, no_partner, same_bytes, two_files
from bench.data.images import read_mask_for, read_rgb
from bench.data.sample import Sample

Pair = tuple[Path, Path]  # an image and its mask
Names = tuple[str, ...]
Kinds = tuple[Names, Names]  # the suffixes of files that are images, and of those that are masks


def paired_samples(
    source: Source, root: Path, folders: Pair, problems: list[str], prefix: str = "", *,
    endings: Names = ("",), kinds: Kinds = (JPEG, JPEG), classes: Names = ("foreground",), join_copies: bool = False,
) -> dict[str, Sample]:  # fmt: skip
    """A sample for each pair of an image and a mask, by the name of the image; `folders` of the two are below `root`.

    No patient is known: each image is its own group, or with `join_copies` that of the first one with the same bytes.
    `prefix` goes before ids and groups. One class is what is bright in the mask; the values of a mask tell several
    apart. Raises UserError for a missing folder and for one without images; see `pairs_in` for the rest.
    """
    for folder in folders:
        if not folder.is_dir():
            raise source.wrong_layout(root, f"no folder {folder.relative_to(root)}")
    if not files_in(folders[0], kinds[0]):
        raise source.wrong_layout(root, f"no image ({', '.join(kinds[0])}) in {folders[0].relative_to(root)}")
    pairs = pairs_in(source.short, folders, problems, endings, kinds)
    name_of = {image: name for name, (image, _) in pairs.items()}
    copies = same_bytes(name_of) if join_copies else []
    groups = {name_of[path]: name_of[alike[0]] for alike in copies for path in alike}
    samples = {}
    for name, pair in pairs.items():
        image, mask = partial(read_rgb, pair[0]), partial(read_mask_for, *pair, classes)
        samples[name] = Sample(prefix + name, prefix + groups.get(name, name), image, mask, pair)
    return samples


def pairs_in(
    title: str, folders: Pair, problems: list[str], endings: Names, kinds: Kinds,
    ids: tuple[re.Pattern[str], re.Pattern[str]] = (ANY, ANY),
) -> dict[str, Pair]:  # fmt: skip
    """(image, mask) by id, in the order of the ids; `ids` are the patterns that the two have to match.

    The mask of image `a` is called `a` and one of `endings` ("_segmentation"), tried in turn. An image without a mask,
    a mask without an image and two files with one id are left out, each a line in `problems`.
    """
    images, masks = map(files_in, folders, kinds, ids)
    owned: dict[str, list[Path]] = defaultdict(list)
    for stem, files in masks.items():
        names = (stem[: len(stem) - len(ending)] for ending in endings if stem.lower().endswith(ending))
        owner = next((name for name in names if name in images), None)
        if owner is not None:
            owned[owner] += files
        else:
            expected = f"one in {folders[0]} with the mask's name" + (f" without {endings[0]}" if endings[0] else "")
            problems += [no_partner(title, "mask", file, "image", expected) for file in files]
    pairs: dict[str, Pair] = {}
    for name, files in images.items():
        if len(files) > 1 or len(owned[name]) > 1:
            problems.append(two_files(name, files if len(files) > 1 else owned[name]))
        elif not owned[name]:
            expected = f"{name}{endings[0]}{kinds[1][0]} in {folders[1]}"
            problems.append(no_partner(title, "image", files[0], "mask", expected))
        else:
            pairs[name] = (files[0], owned[name][0])
    return pairs
