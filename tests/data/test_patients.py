"""The patients of the user's own folder: by a pattern or a CSV file, never guessed."""

from pathlib import Path

import numpy as np
import pytest
from commanding import bench
from opened import listed, samples, sizes, sound
from PIL import Image

from bench.data import DataSet, Options, open_dataset, patients
from bench.errors import UserError

PATTERN = r"^(P\d+)_"


def add(place: Path, names: list[str]) -> Path:
    """Images of noise, all different, with masks."""
    for kind in ("images", "masks"):
        (place / kind).mkdir(parents=True)
    for name in names:
        noise = np.random.default_rng(list(f"{place.name}{name}".encode())).integers(0, 256, (4, 6, 3), np.uint8)
        Image.fromarray(noise).save(place / "images" / f"{name}.png")
        Image.fromarray(noise[..., 0] > 127).save(place / "masks" / f"{name}.png")
    return place


def copy(source: Path, to: Path) -> None:
    to.write_bytes(source.read_bytes())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Ten patients with three images each."""
    return add(tmp_path / "mine", [f"P{patient}_{n}" for patient in range(10) for n in range(3)])


def table(path: Path, lines: list[str], encoding: str = "utf-8") -> str:
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return str(path)


def rows(root: Path, sign: str = ",", ending: str = "") -> list[str]:
    names = sorted(path.stem for path in (root / "images").iterdir())
    return [f"{name}{ending}{sign}{name.partition('_')[0]}" for name in names]


def groups(data: DataSet) -> dict[str, str]:
    return {name: sample.group for name, sample in samples(data).items()}


def test_without_it_each_image_is_its_own(root: Path) -> None:
    data = sound("folder", root)
    assert not data.patients
    assert all(name == group for name, group in groups(data).items())


def test_a_pattern_names_patients_and_the_split_is_by_patient(root: Path) -> None:
    data = sound("folder", root, patient=PATTERN)
    assert data.patients
    assert groups(data) == {name: name[:2] for name in groups(data)}
    assert sizes(data) == [21, 3, 6]
    assert data.note == (
        "split by patient with seed 1, test 20%, val 10%, identical files on one side; 10 patients by the pattern "
        rf"'{PATTERN}'"
    )
    assert data.digest != sound("folder", root).digest


@pytest.mark.parametrize(
    ("header", "sign", "ending", "encoding"),
    [
        ("image,patient", ",", "", "utf-8"), ("Patient;CASE", ";", ".png", "utf-8-sig"),
        ("remark\tid\tpatient", "\t", "", "utf-8"), ("file,patient", ",", ".png", "utf-8"),
    ],
)  # fmt: skip
def test_a_csv_names_the_same(root: Path, header: str, sign: str, ending: str, encoding: str) -> None:
    lines = rows(root, sign, ending)
    if header.startswith("Patient"):
        lines = [";".join(reversed(line.split(";"))) for line in lines]
    if header.startswith("remark"):
        lines = [f"seen{sign}{line}" for line in lines]
    path = table(root / "who.csv", [header, *lines, ""], encoding)
    data = sound("folder", root, patient=path)
    assert groups(data) == groups(sound("folder", root, patient=PATTERN))
    assert data.note.endswith("; 10 patients from who.csv")


def test_a_csv_may_name_images_by_their_path_and_name_others(root: Path) -> None:
    lines = [f"images/{line}" for line in rows(root, ending=".png")]
    path = table(root / "who.csv", ["image,patient", *lines, *(f"X{n},P1" for n in range(5))])
    data = sound("folder", root, patient=path)
    assert groups(data)["P3_1"] == "P3"
    assert data.note.endswith("; who.csv names 5 images that are not here: X0, X1, X2 and 2 more")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (r"^(Q\d+)_", r"finds no patient in the names of 30 images: P0_0, P0_1, P0_2 and 27 more; every image needs"),
        (r"^(P[1-9])_", "finds no patient in the names of 3 images: P0_0, P0_1, P0_2; "),
        (r"P\d+", "has no groups in parentheses; exactly one is needed"),
        (r"(P)(\d+)", "has 2 groups in parentheses; exactly one is needed"),
        ("(P", "is no regular expression (missing ), unterminated subpattern at position 0) and no file; give"),
        ("lost.csv", "--patient lost.csv is no file; give the path of a CSV file, or a pattern: --patient"),
    ],
)
def test_a_pattern_that_does_not_do(root: Path, given: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        open_dataset("folder", root, Options(patient=given))
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], "needs two columns, named in its first line: one of image, case, id, file, and patient; found: nothing"),
        (["picture,patient", "a,b"], "and patient; found: picture, patient; correct the file"),
        (["image,who", "a,b"], "and patient; found: image, who; correct the file"),
        (["image,patient", "P0_0,P0"], "who.csv names no patient of 29 images: P0_1, P0_2, P1_0 and 26 more; every"),
        (["image,patient", "P0_0,P0", "P0_0,P1"], "gives the image 'P0_0' two patients, P0 and P1; keep the right one"),
        (["image,patient", "P0_0,P0", "P0_0.png,P1"], "gives the image 'P0_0' two patients, P0 and P1"),
        (["image,patient", "P0_0,"], "line 2, names no patient; give both in each line"),
        (["image,patient", "", ",P0"], "line 3, names no image; give both in each line"),
    ],
)
def test_a_csv_that_does_not_do(root: Path, lines: list[str], told: str) -> None:
    with pytest.raises(UserError) as caught:
        open_dataset("folder", root, Options(patient=table(root / "who.csv", lines)))
    assert told in str(caught.value)


def test_a_csv_that_is_no_text(root: Path) -> None:
    (root / "who.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(UserError, match=r"cannot read the list of patients .*who\.csv \(4 bytes\)"):
        open_dataset("folder", root, Options(patient=str(root / "who.csv")))


def test_patients_who_share_an_image_file_are_one(root: Path) -> None:
    copy(root / "images" / "P2_0.png", root / "images" / "P7_1.png")
    data = sound("folder", root, patient=PATTERN)
    assert {group for name, group in groups(data).items() if name[:2] in ("P2", "P7")} == {"P2"}
    assert data.note.endswith("; 2 patients have image files in common and count as one with them: P2, P7")


def test_patients_who_share_an_image_file_across_the_users_own_split_are_named(tmp_path: Path) -> None:
    for part, names in {"train": ["P1_0", "P2_0"], "val": ["P3_0"], "test": ["P4_0", "P5_0"]}.items():
        add(tmp_path / part, names)
    copy(tmp_path / "train" / "images" / "P2_0.png", tmp_path / "test" / "images" / "P4_0.png")
    problems = listed("folder", tmp_path, patient=PATTERN)[1]
    assert [problem.partition("; ")[0] for problem in problems] == [
        f"folder: 'P2' is in train ({tmp_path}/train/images/P2_0.png) and test ({tmp_path}/test/images/P4_0.png)"
    ]


def test_a_patient_on_two_sides_of_the_users_own_split_is_named(tmp_path: Path) -> None:
    for part, names in {"train": ["P1_0", "P2_0"], "val": ["P3_0"], "test": ["P2_1", "P4_0"]}.items():
        add(tmp_path / part, names)
    problems = listed("folder", tmp_path, patient=PATTERN)[1]
    assert len(problems) == 1
    assert problems[0].startswith(f"folder: 'P2' is in train ({tmp_path}/train/images/P2_0.png) and test (")
    with pytest.raises(UserError) as caught:
        open_dataset("folder", tmp_path, Options(patient=PATTERN))
    assert str(caught.value).endswith(f"bench data check folder --data-root {tmp_path} --patient '{PATTERN}'")


def test_val_is_drawn_by_patient_where_only_test_is_given(tmp_path: Path) -> None:
    add(tmp_path / "train", [f"P{patient}_{n}" for patient in range(10) for n in range(2)])
    add(tmp_path / "test", ["Q1_0"])
    data = sound("folder", tmp_path, patient=r"^([PQ]\d+)_")
    assert sizes(data) == [18, 2, 1]
    assert "val is 10% of train, by patient with seed 1" in data.note


def test_too_few_patients_to_split(tmp_path: Path) -> None:
    add(tmp_path, [f"P{patient}_{n}" for patient in range(3) for n in range(9)])
    with pytest.raises(UserError, match=r"3 patients in .* are too few to split: val would be empty; add pat"):
        sound("folder", tmp_path, patient=PATTERN)


def test_on_the_command_line(root: Path) -> None:
    done = bench("data", "check", "folder", "--data-root", str(root), "--patient", PATTERN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 patients by the pattern" in done.stdout
    refused = bench("data", "check", "folder", "--data-root", str(root), "--patient", r"(\d)x")
    assert (refused.returncode, refused.stderr.partition(" finds")[0]) == (2, r"bench: --patient '(\d)x'")
    other = bench("data", "check", "synthetic", "--patient", PATTERN)
    assert "--patient is for folder; synthetic takes none, so leave it out" in other.stderr


def test_a_csv_of_many_lines_or_columns_is_read_row_by_row(root: Path) -> None:
    path = root / "who.csv"
    table(path, ["image,patient", *rows(root), *(f"X{n}," for n in range(2)), *("," for _ in range(9))])
    with pytest.raises(UserError, match=r"who.csv, line 32, names no patient"):
        open_dataset("folder", root, Options(patient=str(path)))
    for wide in ("," * (1 << 20), '"\n",' * (1 << 18)):
        table(path, ["image,patient", *rows(root), wide])
        with pytest.raises(UserError, match=r"who.csv .*a row has over 1048576 letters"):
            open_dataset("folder", root, Options(patient=str(path)))
    table(path, ["image,patient", *rows(root), "\n" * patients.LINES])
    with pytest.raises(UserError, match=r"who.csv .*it has 5000032 lines, and at most 5000000 are read"):
        open_dataset("folder", root, Options(patient=str(path)))
    table(path, ["image,patient,patient", *(f"{row},P0" for row in rows(root))])
    with pytest.raises(UserError, match=r"who.csv has several columns called patient; rename all but"):
        open_dataset("folder", root, Options(patient=str(path)))


def test_a_pattern_that_python_cannot_take_is_one_line(root: Path) -> None:
    with pytest.raises(UserError, match=r"is no regular expression .* and no file") as caught:
        open_dataset("folder", root, Options(patient="(" * 5000 + ")" * 5000))
    assert "\n" not in str(caught.value)


def test_a_pattern_that_searches_for_ever_is_one_line(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(patients, "PATTERN_S", 0.3)
    root = add(tmp_path, [f"{'a' * 60}{number}" for number in range(4)])
    with pytest.raises(UserError, match=r"searched for 0\.3 s without an end.*give a simpler one"):
        open_dataset("folder", root, Options(patient="((?:a+)+)b"))
