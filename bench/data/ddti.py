"""DDTI, thyroid nodules in ultrasound, original release: 389 cases, 474 images, 470 of them outlined by hand.

Pedraza et al., "An open access thyroid ultrasound image database", SIPAIM 2014 (Proc. SPIE 9287, 2015). The images are
whole screens of 560 x 360, with the scanner's margins and text, often with two panels; papers that report on "637
images" use crops of them, which are read as well, and are another data set by their digest.
"""

import json
from collections import defaultdict
from functools import partial
from pathlib import Path

from bench.data import Source
from bench.data.files import (
    COMMON_KINDS,
    JPEG,
    collected,
    files_in,
    joined_groups,
    no_partner,
    read_text,
    reading,
    single_files,
)
from bench.data.images import Polygon, read_outlined, read_rgb
from bench.data.pairs import paired_samples
from bench.data.sample import SHARES, DataSet, Options, Sample, Tally, draw_splits
from bench.errors import UserError, clean

SEED = 2015
OUTLINED = 470  # images of the original release
CASE = 1 << 20  # bytes of a case file; the largest of the release has 7,000
DIGITS = 9  # of the number of an image


def open(source: Source, root: Path, options: Options, problems: list[str]) -> DataSet:
    """The data set under `root`, split by case: a fifth test, a tenth val, drawn from a fixed seed, the rest train.

    Images without a polygon are left out and counted in `note`. Cases that share an image byte for byte (the release
    has a few) are one group. The case files are parsed here, the images are decoded later. Where there is no case file
    but a folder `image` and a folder `mask`, these are the crops. Raises UserError for a folder that holds neither.
    """
    all_cases, all_images = files_in(root, (".xml",)), files_in(root, JPEG)
    if not all_cases and (root / "image").is_dir() and (root / "mask").is_dir():
        return _crops(source, root, problems)
    cases, images = single_files(all_cases, problems), single_files(all_images, problems)
    if not cases or not images:
        raise source.wrong_layout(root, "no case file <case>.xml" if not cases else "no image <case>_<n>.jpg")
    outlines: dict[str, list[Polygon]] = {}
    case_of, read = {name: name.rpartition("_")[0] for name in images}, set()
    for case, path in cases.items():
        with collected(problems):
            outlines |= {f"{case}_{number}": polygons for number, polygons in read_case(path).items()}
            read.add(case)
    # Compared with all files, because broken and duplicate case files have already been reported.
    for name, case in case_of.items():
        if case not in all_cases:
            problems.append(no_partner("DDTI", "image", images[name], "case file", f"{case or '<case>'}.xml beside it"))
    for name, polygons in outlines.items():
        if polygons and name not in all_images:
            file = cases[name.rpartition("_")[0]]
            problems.append(no_partner("DDTI", "case file", file, "outlined image", f"{name}.jpg beside it"))
    groups = joined_groups((path, case_of[name]) for name, path in images.items())
    samples = []
    for name, path in images.items():
        if polygons := outlines.get(name, []):
            file = cases[case_of[name]]
            image, mask = partial(read_rgb, path), partial(read_outlined, path, file, polygons)
            samples.append(Sample(name, groups[case_of[name]], image, mask, (path, file)))
    if not samples and not problems:
        raise UserError(f"DDTI: no image in {root} has an outline; the <svg> of all {len(cases)} case files are empty")
    bare = [name for name, case in case_of.items() if case in read and not outlines.get(name)]
    note = (
        f"no official split: by case with seed {SEED}, {SHARES}, cases with an image in common on one side; "
        f"{len(bare)} of {len(images)} images have no outline and are left out"
    )
    counts = (("images", images, 474), ("images with polygons", samples, OUTLINED), ("cases", cases, 389))
    tallies = tuple(Tally(what, len(found), published) for what, found, published in counts)
    return _data_set(samples, note, "polygons filled with their border", tallies)


def _crops(source: Source, root: Path, problems: list[str]) -> DataSet:
    """The crops that papers report on as 637 images: no case is known, so each image is its own group."""
    folders, kinds = (root / "image", root / "mask"), (COMMON_KINDS, COMMON_KINDS)
    samples = list(paired_samples(source, root, folders, problems, kinds=kinds, join_copies=True).values())
    note = (
        f"the crops of DDTI, not its original screens; no official split: by image with seed {SEED}, {SHARES}; "
        "their cases are not known, so each image is its own group (equal files one group), and images of one patient "
        "may be on two sides"
    )
    return _data_set(
        samples,
        note,
        "637 crops",
        (Tally("crops", len(samples), 637),),
        instead=f"crops instead of the {OUTLINED} original images",
    )


def _data_set(samples: list[Sample], note: str, recipe: str, tallies: tuple[Tally, ...], instead: str = "") -> DataSet:
    return DataSet(
        "ddti", ("nodule",), draw_splits(samples, SEED), note=note, recipe=recipe, tallies=tallies, drawn=True,
        patients=not instead, instead=instead,
    )  # fmt: skip


def read_case(path: Path) -> dict[int, list[Polygon]]:
    """The polygons of a case file by image number, several marks of one image joined; images without one map to [].

    Points are (x, y) in pixels of the image. Marks with fewer than three points enclose nothing and are ignored.
    Raises UserError naming the file when it is not well-formed, declares a document type, or holds other things than
    these.
    """
    from xml.etree import ElementTree

    with reading("case file", path, CASE):
        text = read_text(path, "case file")
        # Entities can only be declared in a document type: without one, nothing expands and nothing outside is read.
        # The decoded text is what is parsed, so a declaration in another encoding cannot slip past.
        if "<!DOCTYPE" in text:
            raise UserError(f"{path} declares a document type (DOCTYPE), as no DDTI case file does; get the file again")
        root = ElementTree.fromstring(text)  # noqa: S314 - what makes XML dangerous needs the DOCTYPE refused above
    outlines: dict[int, list[Polygon]] = defaultdict(list)
    for mark in root.iter("mark"):
        number = (mark.findtext("image") or "").strip()
        # Digits only: the number becomes part of a file's name, and a case file must not point outside its folder.
        if not (number.isascii() and number.isdigit() and len(number) <= DIGITS):
            raise UserError(
                f"{path}: <image> of a mark is '{clean(number, 40)}', expected a number such as 1; correct the file"
            )
        # A mark for an image that was never outlined has an empty <svg>.
        svg = (mark.findtext("svg") or "").strip() or "[]"
        expected = '[{"points": [{"x": 385, "y": 182}, ...]}, ...]'
        with reading(f"<svg>, which should be {expected}, of the case file", path):
            polygons = [tuple((float(at["x"]), float(at["y"])) for at in shape["points"]) for shape in json.loads(svg)]
        outlines[int(number)] += [polygon for polygon in polygons if len(polygon) >= 3]
    return outlines
