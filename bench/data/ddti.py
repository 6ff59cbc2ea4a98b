"""DDTI, thyroid nodules in ultrasound, original release: 389 cases, 474 images, 470 of them outlined by hand.

Pedraza et al., "An open access thyroid ultrasound image database", SIPAIM 2014 (Proc. SPIE 9287, 2015). The images are
whole screens of 560 x 360, with the scanner's margins and text, often with two panels; papers that report on "637
images" use crops of them, which are read as well, and are another data set by their digest.
"""

import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.data.images import files_in, images_in, read_rgb, same_bytes, size_of
from bench.data.layout import wrong_layout
from bench.data.pairs import alike, binary_sample, pairs_in
from bench.data.sample import DataSet, Options, Sample, Tally
from bench.data.splits import TEST_SHARE, VAL_SHARE, draw_sides
from bench.errors import UserError

if TYPE_CHECKING:
    import numpy as np

LAYOUT = """\
1.xml     one file a case: <case> ... <mark><image>1</image><svg>[{"points": [{"x": 385, "y": 182}, ...]}]</svg></mark>
1_1.jpg   the case's images, <case>_<n>.jpg, all in one folder
1_2.jpg   ...
or the crops many papers use: image/1.PNG ... and mask/1.PNG ...
"""
SEED = 2015
CROP_KINDS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")

Polygon = tuple[tuple[float, float], ...]


def open(root: Path, options: Options, problems: list[str]) -> DataSet:
    """The data set under `root`, split by case: a fifth test, a tenth val, drawn from a fixed seed, the rest train.

    Images without a polygon are left out and counted in `note`. Cases that share an image byte for byte (the release
    has a few) are one group. The case files are parsed here, the images are decoded later. Where there is no case file
    but a folder `image` and a folder `mask`, these are the crops. Raises UserError for a folder that holds neither.
    """
    if not files_in(root, (".xml",)) and (root / "image").is_dir() and (root / "mask").is_dir():
        return _crops(root, problems)
    cases, images = images_in(root, (".xml",), problems), images_in(root, (".jpg", ".jpeg"), problems)
    if not cases or not images:
        missing = "no case file <case>.xml" if not cases else "no image <case>_<n>.jpg"
        raise wrong_layout("DDTI", root, missing, LAYOUT, "[0-9]*_[0-9]*.jpg")
    outlines = _outlines(cases, problems)
    _check_pairs(root, images, outlines, problems)
    drawn = {f"{case}_{number}": shape for case, marks in outlines.items() for number, shape in marks.items()}
    groups = _groups(images)
    samples = [
        _sample(name, groups[name], path, cases[_case_of(name)], drawn[name])
        for name, path in images.items()
        if drawn.get(name)
    ]
    if not samples and not problems:
        raise UserError(f"DDTI: no image in {root} has an outline; the <svg> of all {len(cases)} case files are empty")
    bare = sum(_case_of(name) in outlines and not drawn.get(name) for name in images)
    note = (
        f"no official split: by case with seed {SEED}, test {TEST_SHARE:.0%}, val {VAL_SHARE:.0%}, "
        "cases with an image in common on one side; "
        f"{bare} of {len(images)} images have no outline and are left out"
    )
    recipe = "polygons filled with their border"
    tallies = (
        Tally("images", len(images), 474), Tally("images with polygons", len(samples), 470),
        Tally("cases", len(cases), 389),
    )  # fmt: skip
    return DataSet(
        "ddti", ("nodule",), draw_sides(samples, SEED), note=note, recipe=recipe, tallies=tallies, drawn=True
    )


def _crops(root: Path, problems: list[str]) -> DataSet:
    """The crops that papers report on as 637 images: no case is known, so each image is its own group."""
    if not files_in(root / "image", CROP_KINDS):
        raise wrong_layout("DDTI", root, "no image in the folder image", LAYOUT, "[0-9]*_[0-9]*.jpg")
    folders = root / "image", root / "mask"
    pairs = pairs_in("DDTI", *folders, problems, image_kinds=CROP_KINDS, mask_kinds=CROP_KINDS)
    groups = alike(pairs)
    samples = [binary_sample(name, groups[name], pair) for name, pair in pairs.items()]
    note = (
        f"the crops of DDTI, not its original screens; no official split: by image with seed {SEED}, "
        f"test {TEST_SHARE:.0%}, val {VAL_SHARE:.0%}; their cases are not known, so each image is its own group "
        "(equal files one group), and images of one patient may be on two sides"
    )
    tallies = (Tally("crops", len(pairs), 637),)
    return DataSet(
        "ddti", ("nodule",), draw_sides(samples, SEED), note=note, recipe="637 crops", tallies=tallies, drawn=True
    )


def _outlines(cases: dict[str, Path], problems: list[str]) -> dict[str, dict[int, tuple[Polygon, ...]]]:
    """The polygons of each case that can be read; each of the others is a line in `problems`."""
    outlines = {}
    for case, path in cases.items():
        try:
            outlines[case] = read_case(path)
        except UserError as error:
            problems.append(str(error))
    return outlines


def read_case(path: Path) -> dict[int, tuple[Polygon, ...]]:
    """The polygons of a case file by image number, several marks of one image joined; images without one map to ().

    Points are (x, y) in pixels of the image. What has fewer than three points encloses nothing and is not a polygon.
    Raises UserError naming the file when it is not well-formed, declares a document type, or holds other things than
    these.
    """
    outlines: dict[int, tuple[Polygon, ...]] = {}
    for number, svg in _marks(path):
        # A mark for an image that was never outlined has an empty <svg>.
        polygons = tuple(_polygons(svg, path)) if svg else ()
        outlines[number] = outlines.get(number, ()) + polygons
    return outlines


def rasterise(polygons: Iterable[Polygon], height: int, width: int) -> "np.ndarray":
    """uint8 (height, width): 1 inside the polygons and on their border, 0 elsewhere. Points are (x, y) in pixels."""
    import numpy as np
    from PIL import Image, ImageDraw

    canvas = Image.new("L", (width, height))
    draw = ImageDraw.Draw(canvas)
    for polygon in polygons:
        draw.polygon(polygon, fill=1, outline=1)
    return np.array(canvas)


def _marks(path: Path) -> Iterable[tuple[int, str]]:
    """(image number, text of <svg>) of each mark in a case file."""
    from xml.etree import ElementTree

    try:
        text = path.read_bytes().decode("utf-8-sig")
        # Entities can only be declared in a document type: without one, nothing expands and nothing outside is read.
        # The decoded text is what is parsed, so a declaration in another encoding cannot slip past.
        if "<!DOCTYPE" in text:
            raise UserError(
                f"{path} declares a document type (DOCTYPE), which no DDTI case file does; get the file again"
            )
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the case file {path}: {error}; the file is broken, so get it again") from error
    for mark in root.iter("mark"):
        number = (mark.findtext("image") or "").strip()
        # Digits only: the number becomes part of a file's name, and a case file must not point outside its folder.
        if not (number.isascii() and number.isdigit()):
            raise UserError(f"{path}: <image> of a mark is '{number}', expected a number such as 1; mend the case file")
        yield int(number), (mark.findtext("svg") or "").strip()


def _polygons(svg: str, path: Path) -> Iterable[Polygon]:
    """The polygons in the JSON text of one <svg>: [{"points": [{"x": 1, "y": 2}, ...], ...}, ...]."""
    try:
        shapes = json.loads(svg)
        for shape in shapes:
            polygon = tuple((float(point["x"]), float(point["y"])) for point in shape["points"])
            if len(polygon) >= 3:
                yield polygon
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise UserError(
            f"{path}: an <svg> is not a list of point lists ({type(error).__name__}: {error}); "
            'expected [{"points": [{"x": 385, "y": 182}, ...]}, ...]; get the case file again'
        ) from error


def _check_pairs(
    root: Path, images: dict[str, Path], outlines: dict[str, dict[int, tuple[Polygon, ...]]], problems: list[str]
) -> None:
    # By the files that lie there: a case file that is broken, or there twice, has its own line and no second one here.
    cases = files_in(root, (".xml",))
    for name, path in images.items():
        if _case_of(name) not in cases:
            problems.append(
                f"DDTI: image {path} has no case file; expected {_case_of(name) or '<case>'}.xml beside it; "
                "get the case file, or take the image out"
            )
    pictures = files_in(root, (".jpg", ".jpeg"))
    for case, marks in outlines.items():
        lost = [number for number, polygons in marks.items() if polygons and f"{case}_{number}" not in pictures]
        problems.extend(
            f"DDTI: the outlined image {case}_{number}.jpg is missing in {root}, beside {case}.xml; get the image again"
            for number in lost
        )


def _case_of(name: str) -> str:
    return name.rpartition("_")[0]


def _groups(images: dict[str, Path]) -> dict[str, str]:
    """The group of each image: its case, or the first of the cases that hold one and the same image file."""
    head = {_case_of(name): _case_of(name) for name in images}
    for copies in same_bytes(images.values()):
        joined = {head[_case_of(path.stem)] for path in copies}
        first = min(joined, key=lambda case: (len(case), case))
        head = {case: first if group in joined else group for case, group in head.items()}
    return {name: head[_case_of(name)] for name in images}


def _sample(name: str, group: str, image: Path, case: Path, polygons: tuple[Polygon, ...]) -> Sample:
    return Sample(name, group, partial(read_rgb, image), partial(_mask, image, case, polygons), (image, case))


def _mask(image: Path, case: Path, polygons: tuple[Polygon, ...]) -> "np.ndarray":
    """The mask of one image. Raises UserError when a point lies outside it: then the image was cropped or resized."""
    height, width = size_of(image)
    for x, y in (point for polygon in polygons for point in polygon):
        # Written so that a NaN, which JSON readers let through, is refused as well.
        if not (0 <= x <= width and 0 <= y <= height):
            raise UserError(
                f"{case} outlines a point (x {x:g}, y {y:g}) outside {image}, "
                f"which is {height}x{width} (height x width); outlines are in pixels of the published images, "
                "so use those as they are, neither cropped nor resized"
            )
    return rasterise(polygons, height, width)
