"""The DDTI reader on small trees in the published layout with polygons of known area, and on the real files."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from opened import listed, samples, sound
from PIL import Image

from bench.data import DATASETS
from bench.errors import UserError

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "DDTI"
SQUARE = ((10, 5), (19, 5), (19, 14), (10, 14))  # 10 x 10 pixels with its border
FAR_SQUARE = ((30, 20), (34, 20), (34, 24), (30, 24))  # 5 x 5
HUGE = '[{"points": [{"x": 1' + "0" * 400 + ', "y": 1}]}]'


def the_problem(root: Path) -> str:
    """The one problem of the ten cases, whose third is broken."""
    data, problems = listed("ddti", root)
    assert len(problems) == 1
    assert "\n" not in problems[0]
    assert {sample.group for side in data.splits.values() for sample in side} == {
        str(n) for n in range(1, 11) if n != 3
    }
    return problems[0]


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
    # Every image another color: equal bytes would make one group of the cases.
    Image.new("RGB", (40, 30), (case * 20, number * 60, 0)).save(path, format="JPEG")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Ten cases with one outlined image each."""
    for case in range(1, 11):
        write_case(tmp_path, case, [(1, svg(SQUARE))])
        write_image(tmp_path, case, 1)
    return tmp_path


def test_polygons_become_a_mask_of_known_area(root: Path) -> None:
    sample = samples(sound("ddti", root))["1_1"]
    mask = sample.mask()
    assert (mask.shape, mask.dtype) == ((30, 40), np.uint8)
    assert mask[5:15, 10:20].all()
    assert mask.sum() == 100
    assert sample.image().shape == (30, 40, 3)
    assert [file.name for file in sample.files] == ["1_1.jpg", "1.xml"]


def test_two_polygons_and_two_marks_of_one_image_are_joined(root: Path) -> None:
    write_case(root, 1, [(1, svg(SQUARE, FAR_SQUARE))])
    write_case(root, 2, [(1, svg(SQUARE)), (1, svg(FAR_SQUARE))])
    assert samples(sound("ddti", root))["1_1"].mask().sum() == samples(sound("ddti", root))["2_1"].mask().sum() == 125


def test_images_without_a_polygon_are_left_out_and_counted(root: Path) -> None:
    write_case(root, 1, [(1, svg(SQUARE)), (2, "")])
    write_case(root, 2, [(1, "[]")])
    write_case(root, 3, [(1, svg(SQUARE[:2]))])  # two points enclose nothing
    write_case(root, 4, [(1, svg(SQUARE)), (2, "")])  # an empty mark whose image was never there, as in case 142
    write_image(root, 1, 2)
    assert sorted(samples(sound("ddti", root))) == sorted(f"{case}_1" for case in (1, 4, 5, 6, 7, 8, 9, 10))
    assert "3 of 11 images have no outline and are left out" in sound("ddti", root).note


def test_the_split_is_by_case_and_always_the_same(root: Path) -> None:
    for case in range(1, 11):
        write_case(root, case, [(1, svg(SQUARE)), (2, svg(SQUARE))])
        write_image(root, case, 2)
    data = sound("ddti", root)
    assert {split: len(samples) for split, samples in data.splits.items()} == {"train": 14, "val": 2, "test": 4}
    sides = [{sample.group for sample in samples} for samples in data.splits.values()]
    assert len(set.union(*sides)) == sum(len(side) for side in sides) == 10
    assert data.patients
    assert data.digest == sound("ddti", root).digest
    assert data.note.startswith("no official split: by case with seed 2015, test 20%, val 10%")


def test_cases_that_share_an_image_are_one_group(root: Path) -> None:
    write_case(root, 9, [(1, svg(SQUARE)), (2, svg(SQUARE))])
    (root / "9_2.jpg").write_bytes((root / "4_1.jpg").read_bytes())
    (root / "10_1.jpg").write_bytes((root / "9_1.jpg").read_bytes())
    found = samples(sound("ddti", root))
    assert {found[name].group for name in ("4_1", "9_1", "9_2", "10_1")} == {"4"}
    assert found["5_1"].group == "5"


def test_upper_case_endings_and_macos_leftovers(root: Path) -> None:
    (root / "3_1.jpg").rename(root / "3_1.JPG")
    (root / "._4.xml").write_bytes(b"\0\5\x16\7")
    (root / "._4_1.jpg").write_bytes(b"\0\5\x16\7")
    assert len(samples(sound("ddti", root))) == 10


def test_a_document_type_is_refused(root: Path) -> None:
    bomb = '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><case>&b;</case>'
    for text in (bomb.encode(), bomb.encode("utf-8-sig")):
        (root / "3.xml").write_bytes(text)
        assert "3.xml declares a document type (DOCTYPE), as no DDTI case file does" in the_problem(root)
    (root / "3.xml").write_bytes(bomb.encode("utf-16"))
    assert re.search(r"cannot read the case file .*3\.xml", the_problem(root))


@pytest.mark.parametrize("number", ["../../secret", "1/../2", "", "-1", "²"])
def test_an_image_number_is_digits_and_cannot_lead_elsewhere(root: Path, number: str) -> None:
    (root / "3.xml").write_text(f"<case><mark><image>{number}</image><svg>{svg(SQUARE)}</svg></mark></case>")
    assert f"3.xml: <image> of a mark is '{number}', expected a number such as 1" in the_problem(root)


@pytest.mark.parametrize("text", ["[{", '{"points": 1}', '[{"points": [{"x": 1}]}]', "[1]", "7", "[" * 100_000, HUGE])
def test_a_broken_outline_names_its_case_file(root: Path, text: str) -> None:
    write_case(root, 3, [(1, text)])
    assert re.search(r"cannot read the <svg>, which should be \[\{\"points\".* case file .*3\.xml ", the_problem(root))


def test_a_case_file_cut_short_is_named(root: Path) -> None:
    path = root / "3.xml"
    path.write_text(path.read_text()[:60])
    assert re.search(
        r"cannot read the case file .*3\.xml \(60 bytes\): .*; the file is broken or cut off", the_problem(root)
    )


@pytest.mark.parametrize("point", ["400", "-3", "NaN", "Infinity"])
def test_an_outline_outside_its_image_is_told(root: Path, point: str) -> None:
    write_case(root, 3, [(1, svg(SQUARE).replace('"x": 19', f'"x": {point}', 1))])
    with pytest.raises(UserError, match=r"3\.xml outlines a point \(x .*, y 5\) outside .*3_1\.jpg, which is 30x40"):
        samples(sound("ddti", root))["3_1"].mask()


def test_each_image_without_a_case_file_is_a_line(root: Path) -> None:
    for case in (2, 4):
        (root / f"{case}.xml").unlink()
    data, problems = listed("ddti", root)
    assert len(problems) == 2
    assert re.fullmatch(r"DDTI: image .*2_1\.jpg has no case file; expected 2\.xml beside it; get .*", problems[0])
    assert sum(len(side) for side in data.splits.values()) == 8
    assert "0 of 10 images have no outline" in data.note


def test_an_outlined_image_that_is_missing_is_a_line(root: Path) -> None:
    (root / "3_1.jpg").unlink()
    assert "3.xml has no outlined image; expected 3_1.jpg beside it" in the_problem(root)


def test_two_files_with_one_id_are_a_line(root: Path) -> None:
    write_image(root, 3, 1, "jpeg")
    assert "two files with the id '3_1' in " in the_problem(root)
    (root / "3_1.jpeg").unlink()
    (root / "3.XML").write_bytes((root / "3.xml").read_bytes())
    assert "two files with the id '3' in " in the_problem(root)


class TestCrops:
    """The form of 637 images and masks in two folders."""

    @pytest.fixture
    def crops(self, tmp_path: Path) -> Path:
        for number in range(1, 11):
            mask = np.zeros((6, 8), np.uint8)
            mask[0, :number] = 255
            for name, values in (("image", np.full((6, 8), number * 20, np.uint8)), ("mask", mask)):
                (tmp_path / name).mkdir(exist_ok=True)
                Image.fromarray(values).save(tmp_path / name / f"{number}.PNG")
        return tmp_path

    def test_they_are_another_data_set_by_recipe_and_note(self, crops: Path) -> None:
        data = sound("ddti", crops)
        assert (data.name, data.recipe) == ("ddti", "637 crops")
        assert {side: len(samples) for side, samples in data.splits.items()} == {"train": 7, "val": 1, "test": 2}
        assert "each image is its own group" in data.note
        assert not data.patients
        assert data.differs == "crops instead of the 470 original images, 10 crops instead of 637"
        assert (data.tallies[0].found, data.tallies[0].published) == (10, 637)
        sample = samples(data)["4"]
        assert sample.image().shape == (6, 8, 3)
        assert sample.mask().sum() == 4

    def test_equal_images_are_one_group(self, crops: Path) -> None:
        (crops / "image" / "7.PNG").write_bytes((crops / "image" / "2.PNG").read_bytes())
        found = samples(sound("ddti", crops))
        assert [found[name].group for name in "127"] == ["1", "2", "2"]

    def test_missing_masks_are_lines(self, crops: Path) -> None:
        (crops / "mask" / "5.PNG").unlink()
        assert [text.partition(";")[0].rpartition("/")[2] for text in listed("ddti", crops)[1]] == ["5.PNG has no mask"]


def test_a_folder_without_case_files_shows_the_layout(tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "1.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"DDTI: no case file <case>\.xml in .*; found there: image\n") as caught:
        sound("ddti", tmp_path)
    assert "this looks like a plain folder of images and masks" in str(caught.value)
    assert DATASETS["ddti"].layout in str(caught.value)


def test_a_release_without_any_outline_is_told(root: Path) -> None:
    for case in range(1, 11):
        write_case(root, case, [(1, "")])
    with pytest.raises(UserError, match=r"DDTI: no image in .* has an outline"):
        sound("ddti", root)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the real images are not at {REAL}")
def test_the_real_files() -> None:
    data = sound("ddti", REAL)
    assert data.digest == "1eedf9ab6366", "stored records name this digest"
    assert [(tally.what, tally.found) for tally in data.tallies if tally.found == tally.published] == [
        ("images", 474), ("images with polygons", 470), ("cases", 389)
    ]  # fmt: skip
    found = samples(data)
    assert len(found) == 470
    assert len(list(REAL.glob("*.xml"))) == 389
    assert "4 of 474 images have no outline" in data.note
    # Five cases of the release hold one and the same screen.
    assert {found[name].group for name in ("150_1", "233_2", "323_1", "326_1", "349_1")} == {"150"}
    for sample in list(found.values())[::50]:
        assert sample.image().shape == (360, 560, 3)
        assert 0 < sample.mask().mean() < 0.5
