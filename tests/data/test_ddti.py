"""The DDTI reader on small trees in the published layout with polygons of known area, and on the real files."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data import ddti
from bench.errors import UserError

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "DDTI"
SQUARE = ((10, 5), (19, 5), (19, 14), (10, 14))  # 10 x 10 pixels with its border
FAR_SQUARE = ((30, 20), (34, 20), (34, 24), (30, 24))  # 5 x 5
HUGE = '[{"points": [{"x": 1' + "0" * 400 + ', "y": 1}]}]'


def svg(*polygons: tuple[tuple[int, int], ...]) -> str:
    """The text of an <svg> as the release writes it, broken across lines."""
    shapes = [
        {"points": [{"x": x, "y": y} for x, y in points], "annotation": {}, "regionType": "freehand"}
        for points in polygons
    ]
    return json.dumps(shapes).replace('"y": 14}', '"y":\n            14}')


def write_case(root: Path, case: int, marks: list[tuple[int, str]]) -> Path:
    body = "\n".join(f"<mark>\n<image>{number}</image>\n<svg>{text}</svg>\n</mark>" for number, text in marks)
    path = root / f"{case}.xml"
    path.write_text(f"<case>\n<number>{case}</number>\n<age></age>\n{body}\n</case>\n")
    return path


def write_image(root: Path, case: int, number: int, ending: str = "jpg") -> Path:
    path = root / f"{case}_{number}.{ending}"
    # Every image another colour: equal bytes would make one group of the cases.
    Image.new("RGB", (40, 30), (case * 20, number * 60, 0)).save(path, format="JPEG")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Ten cases with one outlined image each."""
    for case in range(1, 11):
        write_case(tmp_path, case, [(1, svg(SQUARE))])
        write_image(tmp_path, case, 1)
    return tmp_path


def samples_of(root: Path) -> dict[str, ddti.Sample]:
    return {sample.id: sample for samples in ddti.open(root).splits.values() for sample in samples}


def test_polygons_become_a_mask_of_known_area(root: Path) -> None:
    sample = samples_of(root)["1_1"]
    mask = sample.mask()
    assert (mask.shape, mask.dtype) == ((30, 40), np.uint8)
    assert mask[5:15, 10:20].all()
    assert mask.sum() == 100
    assert sample.image().shape == (30, 40, 3)
    assert [file.name for file in sample.files] == ["1_1.jpg", "1.xml"]


def test_two_polygons_and_two_marks_of_one_image_are_joined(root: Path) -> None:
    write_case(root, 1, [(1, svg(SQUARE, FAR_SQUARE))])
    write_case(root, 2, [(1, svg(SQUARE)), (1, svg(FAR_SQUARE))])
    assert samples_of(root)["1_1"].mask().sum() == samples_of(root)["2_1"].mask().sum() == 125


def test_a_triangle_covers_half_its_square() -> None:
    mask = ddti.rasterise([((0, 0), (99, 0), (0, 99))], 100, 100)
    assert mask.sum() == 100 * 101 / 2


def test_images_without_a_polygon_are_left_out_and_counted(root: Path) -> None:
    write_case(root, 1, [(1, svg(SQUARE)), (2, "")])
    write_case(root, 2, [(1, "[]")])
    write_case(root, 3, [(1, svg(SQUARE[:2]))])  # two points enclose nothing
    write_case(root, 4, [(1, svg(SQUARE)), (2, "")])  # an empty mark whose image was never there, as in case 142
    write_image(root, 1, 2)
    assert sorted(samples_of(root)) == sorted(f"{case}_1" for case in (1, 4, 5, 6, 7, 8, 9, 10))
    assert "3 of 11 images have no outline and are left out" in ddti.open(root).note


def test_the_split_is_by_case_and_always_the_same(root: Path) -> None:
    for case in range(1, 11):
        write_case(root, case, [(1, svg(SQUARE)), (2, svg(SQUARE))])
        write_image(root, case, 2)
    data = ddti.open(root)
    assert {split: len(samples) for split, samples in data.splits.items()} == {"train": 14, "val": 2, "test": 4}
    sides = [{sample.group for sample in samples} for samples in data.splits.values()]
    assert len(set.union(*sides)) == sum(len(side) for side in sides) == 10
    assert data.digest == ddti.open(root).digest
    assert data.note.startswith("no official split: by case with seed 2015, test 20%, val 10%")


def test_cases_that_share_an_image_are_one_group(root: Path) -> None:
    write_case(root, 9, [(1, svg(SQUARE)), (2, svg(SQUARE))])
    (root / "9_2.jpg").write_bytes((root / "4_1.jpg").read_bytes())
    (root / "10_1.jpg").write_bytes((root / "9_1.jpg").read_bytes())
    samples = samples_of(root)
    assert {samples[name].group for name in ("4_1", "9_1", "9_2", "10_1")} == {"4"}
    assert samples["5_1"].group == "5"


def test_upper_case_endings_and_macos_leftovers(root: Path) -> None:
    (root / "3_1.jpg").rename(root / "3_1.JPG")
    (root / "._4.xml").write_bytes(b"\0\5\x16\7")
    (root / "._4_1.jpg").write_bytes(b"\0\5\x16\7")
    assert len(samples_of(root)) == 10


def test_a_document_type_is_refused(root: Path) -> None:
    bomb = '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><case>&b;</case>'
    for text in (bomb.encode(), bomb.encode("utf-8-sig")):
        (root / "3.xml").write_bytes(text)
        with pytest.raises(
            UserError, match=r"3\.xml declares a document type \(DOCTYPE\), which no DDTI case file does"
        ):
            ddti.open(root)
    (root / "3.xml").write_bytes(bomb.encode("utf-16"))
    with pytest.raises(UserError, match=r"cannot read the case file .*3\.xml"):
        ddti.open(root)


@pytest.mark.parametrize("number", ["../../secret", "1/../2", "", "-1", "²"])
def test_an_image_number_is_digits_and_cannot_lead_elsewhere(root: Path, number: str) -> None:
    (root / "3.xml").write_text(f"<case><mark><image>{number}</image><svg>{svg(SQUARE)}</svg></mark></case>")
    with pytest.raises(UserError, match=rf"3\.xml: <image> of a mark is '{number}', expected a number such as 1"):
        ddti.open(root)


@pytest.mark.parametrize("text", ["[{", '{"points": 1}', '[{"points": [{"x": 1}]}]', "[1]", "7", "[" * 100_000, HUGE])
def test_a_broken_outline_names_its_case_file(root: Path, text: str) -> None:
    write_case(root, 3, [(1, text)])
    with pytest.raises(UserError, match=r"3\.xml: an <svg> is not a list of point lists \(.*expected \[\{\"points\""):
        ddti.open(root)


def test_a_case_file_cut_short_is_named(root: Path) -> None:
    path = root / "3.xml"
    path.write_text(path.read_text()[:60])
    with pytest.raises(UserError, match=r"cannot read the case file .*3\.xml: .*; the file is broken, so get it again"):
        ddti.open(root)


@pytest.mark.parametrize("point", ["400", "-3", "NaN", "Infinity"])
def test_an_outline_outside_its_image_is_told(root: Path, point: str) -> None:
    write_case(root, 3, [(1, svg(SQUARE).replace('"x": 19', f'"x": {point}', 1))])
    with pytest.raises(UserError, match=r"3\.xml outlines a point \(x .*, y 5\) outside .*3_1\.jpg, which is 30x40"):
        samples_of(root)["3_1"].mask()


def test_images_without_a_case_file_are_counted_and_named(root: Path) -> None:
    for case in (2, 3, 4, 5):
        (root / f"{case}.xml").unlink()
    with pytest.raises(
        UserError, match=r"DDTI: 4 of 10 images in .* have no case file: 2_1, 3_1, 4_1 and 1 more; expected 2\.xml"
    ):
        ddti.open(root)


def test_outlined_images_that_are_missing_are_named(root: Path) -> None:
    (root / "7_1.jpg").unlink()
    with pytest.raises(
        UserError, match=r"DDTI: 1 outlined images are missing in .*: 7_1; expected 7_1\.jpg beside 7\.xml"
    ):
        ddti.open(root)


def test_a_folder_without_case_files_shows_the_layout(tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "1.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"DDTI: no case file <case>\.xml in .*; found there: image\n") as caught:
        ddti.open(tmp_path)
    assert "this looks like a plain folder of images and masks" in str(caught.value)
    assert ddti.LAYOUT.rstrip() in str(caught.value)


def test_a_release_without_any_outline_is_told(root: Path) -> None:
    for case in range(1, 11):
        write_case(root, case, [(1, "")])
    with pytest.raises(UserError, match=r"DDTI: no image in .* has an outline"):
        ddti.open(root)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the real images are not at {REAL}")
def test_the_real_files() -> None:
    data = ddti.open(REAL)
    samples = [sample for split in data.splits.values() for sample in split]
    assert len(samples) == 470
    assert len(list(REAL.glob("*.xml"))) == 389
    assert "4 of 474 images have no outline" in data.note
    # Five cases of the release hold one and the same screen.
    assert {sample.group for sample in samples if sample.id in ("150_1", "233_2", "323_1", "326_1", "349_1")} == {"150"}
    for sample in samples[::50]:
        assert sample.image().shape == (360, 560, 3)
        assert 0 < sample.mask().mean() < 0.5
