"""Anybody's volumes: pairs of NIfTI files, nnU-Net's raw folders; what they are read as, and what is refused."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from opened import listed, samples, sizes, sound
from trees import mask, pairs, picture

from bench.data import DataSet
from bench.data.predicted import find_masks
from bench.errors import UserError

SHAPE = (6, 5, 3)  # x, y, z: three slices of five rows and six columns
SPACING = (0.5, 0.75, 2.0)


def volume(path: Path, values: np.ndarray, spacing: tuple[float, ...] = SPACING) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(values, np.diag([*spacing, 1]))
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def scans(images: str, labels: str, names: list[str], greatest: int = 1) -> None:
    """Volumes of noise; of the labels of the n-th the first n+1 voxels of the second slice are foreground."""
    for number, name in enumerate(names):
        values = np.random.default_rng(number).integers(0, 900, SHAPE).astype(np.int16)
        volume(Path(images.format(name)), values)
        truth = np.zeros(SHAPE, np.uint8)
        truth[: number + 1, 0, 1] = greatest
        volume(Path(labels.format(name)), truth)


CASES = [f"case_{number}" for number in range(5)]


def groups(data: DataSet) -> list[int]:
    return [len({one.group for one in data.splits[side]}) for side in ("train", "val", "test")]


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("images/{}.nii.gz", "labels/{}.nii.gz"), ("imagesTr/{}_0000.nii.gz", "labelsTr/{}.nii.gz"),
        ("{}/image.nii.gz", "{}/label.nii.gz"), ("all/{}.nii", "all/{}_seg.nii.gz"),
    ],
)  # fmt: skip
def test_volumes_are_cut_into_slices_and_scored_whole(tmp_path: Path, images: str, labels: str) -> None:
    scans(f"{tmp_path}/{images}", f"{tmp_path}/{labels}", CASES)
    data = sound("folder", tmp_path)
    assert (data.protocol, data.patients, data.classes) == ("per_volume", True, ("foreground",))
    assert groups(data) == [3, 1, 1]
    assert sizes(data) == [9, 3, 3]
    one = samples(data)["case_3_slice_002"]
    assert (one.group, one.volume, one.spacing) == ("case_3", "case_3", (2.0, 0.75, 0.5))
    assert one.image().shape == (5, 6, 3)
    assert one.mask()[0].tolist() == [1, 1, 1, 1, 0, 0]
    assert samples(data)["case_3_slice_001"].mask().sum() == 0
    assert "each volume counts as a patient; read as 5 volumes in NIfTI files" in data.note


def test_what_labels_mean_is_judged_over_all_volumes(tmp_path: Path) -> None:
    scans(f"{tmp_path}/images/{{}}.nii.gz", f"{tmp_path}/labels/{{}}.nii.gz", CASES, greatest=2)
    _, problems = listed("folder", tmp_path)
    assert len(problems) == 1
    assert "the masks hold the levels 0 (" in problems[0]
    assert "2 (15 in 5)" in problems[0]
    two = sound("folder", tmp_path, classes=("liver", "tumor"))
    assert samples(two)["case_0_slice_002"].mask().max() == 2
    one = sound("folder", tmp_path, foreground=("1-2",))
    assert samples(one)["case_0_slice_002"].mask().max() == 1


def test_labels_in_another_orientation_lie_over_their_image(tmp_path: Path) -> None:
    scans(f"{tmp_path}/images/{{}}.nii.gz", f"{tmp_path}/labels/{{}}.nii.gz", CASES)
    truth = samples(sound("folder", tmp_path))["case_2_slice_002"].mask()
    path = tmp_path / "labels" / "case_2.nii.gz"
    stored = nibabel.load(path)
    nibabel.save(stored.as_reoriented(np.array([[2, 1], [0, -1], [1, 1]])), path)
    assert nibabel.load(path).shape != SHAPE
    found = samples(sound("folder", tmp_path))
    assert (found["case_2_slice_002"].mask() == truth).all()
    # Predictions are written as their image, and read so.
    labels = np.zeros(SHAPE, np.uint8)
    labels[:3, 0, 1] = 1
    volume(tmp_path / "predicted" / "case_2.nii.gz", labels)
    own = [one for one in found.values() if one.volume == "case_2"]
    problems: list[str] = []
    predicted = find_masks(tmp_path / "predicted", own, ("foreground",), problems)
    assert problems == []
    assert (predicted.read(own[1]) == truth).all()


def test_labels_that_lie_elsewhere_are_refused_in_words(tmp_path: Path) -> None:
    scans(f"{tmp_path}/images/{{}}.nii.gz", f"{tmp_path}/labels/{{}}.nii.gz", CASES)
    moved = np.diag([*SPACING, 1])
    moved[0, 3] = 4
    path = tmp_path / "labels" / "case_2.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros(SHAPE, np.uint8), moved), path)
    data, problems = listed("folder", tmp_path)
    assert len(problems) == 1
    assert f"the voxels of the labels in {path} lie up to 4 mm from those of " in problems[0]
    assert "write the labels with the header of their image" in problems[0]
    assert "case_2" not in {one.volume for one in samples(data).values()}


def test_labels_that_a_tool_left_almost_whole_are_taken(tmp_path: Path) -> None:
    scans(f"{tmp_path}/images/{{}}.nii.gz", f"{tmp_path}/labels/{{}}.nii.gz", CASES)
    for name, factor in (("case_1", 1 - 1e-7), ("case_2", 1.0009)):
        truth = np.zeros(SHAPE, np.float32)
        truth[0, 0, 1] = factor
        volume(tmp_path / "labels" / f"{name}.nii.gz", truth)
    found = samples(sound("folder", tmp_path))
    assert found["case_1_slice_002"].mask().sum() == found["case_2_slice_002"].mask().sum() == 1
    volume(tmp_path / "labels" / "case_2.nii.gz", truth * 0.5)
    assert len(listed("folder", tmp_path)[1]) == 1


def test_one_frame_is_a_volume_and_several_are_refused(tmp_path: Path) -> None:
    scans(f"{tmp_path}/images/{{}}.nii.gz", f"{tmp_path}/labels/{{}}.nii.gz", CASES)
    before = samples(sound("folder", tmp_path))["case_1_slice_002"].image()
    path = tmp_path / "images" / "case_1.nii.gz"
    values = np.asarray(nibabel.load(path).dataobj)
    volume(path, values[..., None])
    assert (samples(sound("folder", tmp_path))["case_1_slice_002"].image() == before).all()
    volume(path, np.stack([values, values], axis=3))
    assert listed("folder", tmp_path)[1] == [
        f"{path} has 2 frames or channels, and one volume is read; write the one that is labeled to a file of its own"
    ]


def test_an_image_with_values_that_are_no_numbers_is_named(tmp_path: Path) -> None:
    scans(f"{tmp_path}/images/{{}}.nii.gz", f"{tmp_path}/labels/{{}}.nii.gz", CASES)
    values = np.ones(SHAPE, np.float32)
    values[0, 0, 0] = np.nan
    volume(tmp_path / "images" / "case_1.nii.gz", values)
    with pytest.raises(UserError, match=r"case_1\.nii\.gz holds values that are not finite numbers"):
        samples(sound("folder", tmp_path))["case_1_slice_001"].image()


def test_big_endian_files_are_the_same(tmp_path: Path) -> None:
    scans(f"{tmp_path}/images/{{}}.nii.gz", f"{tmp_path}/labels/{{}}.nii.gz", CASES)
    before = sound("folder", tmp_path).digest
    for path in tmp_path.glob("*/*.nii.gz"):
        stored = nibabel.load(path)
        header = nibabel.Nifti1Header(endianness=">")
        header.set_xyzt_units("mm")
        values = np.asarray(stored.dataobj)
        nibabel.save(nibabel.Nifti1Image(values.astype(values.dtype.newbyteorder(">")), stored.affine, header), path)
    assert sound("folder", tmp_path).digest == before


def test_a_spacing_that_nobody_set_is_not_known_and_a_real_millimeter_is(tmp_path: Path) -> None:
    scans(f"{tmp_path}/images/{{}}.nii.gz", f"{tmp_path}/labels/{{}}.nii.gz", CASES)
    for name in CASES:
        for kind in ("images", "labels"):
            path = tmp_path / kind / f"{name}.nii.gz"
            volume(path, np.asarray(nibabel.load(path).dataobj), (1, 1, 1))
    assert samples(sound("folder", tmp_path))["case_1_slice_001"].spacing == (1, 1, 1)
    path = tmp_path / "images" / "case_1.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.asarray(nibabel.load(path).dataobj), np.eye(4)), path)
    data = sound("folder", tmp_path)
    assert samples(data)["case_1_slice_001"].spacing == ()
    assert "no spacing is known of 1 volume, so distances are in pixels: case_1" in data.note


def raw(root: Path, labels: object) -> None:
    scans(f"{root}/imagesTr/{{}}_0000.nii.gz", f"{root}/labelsTr/{{}}.nii.gz", CASES, greatest=2)
    (root / "dataset.json").write_text(json.dumps({"labels": labels, "file_ending": ".nii.gz"}))


@pytest.mark.parametrize(
    "labels", [{"background": 0, "liver": 1, "tumor": 2}, {"0": "background", "1": "liver", "2": "tumor"}]
)
def test_nnunet_names_the_classes(tmp_path: Path, labels: object) -> None:
    raw(tmp_path, labels)
    data = sound("folder", tmp_path)
    assert data.classes == ("liver", "tumor")
    assert samples(data)["case_1_slice_002"].mask().max() == 2
    assert sound("folder", tmp_path, classes=("a", "b")).classes == ("a", "b")


@pytest.mark.parametrize(
    "labels", [{"background": 0, "whole": [1, 2], "core": 2}, {"background": 0, "a": 1, "ignore": 2}, 7]
)
def test_nnunet_labels_that_are_regions_are_refused(tmp_path: Path, labels: object) -> None:
    raw(tmp_path, labels)
    with pytest.raises(UserError, match=r"dataset\.json has the labels .*; regions and labels to ignore are not read"):
        sound("folder", tmp_path)
    assert sound("folder", tmp_path, foreground=("2",)).maps == 1


def test_nnunet_channels_and_tests_without_labels(tmp_path: Path) -> None:
    raw(tmp_path, {"background": 0, "liver": 1, "tumor": 2})
    volume(tmp_path / "imagesTs" / "x_0000.nii.gz", np.zeros(SHAPE, np.int16))
    data = sound("folder", tmp_path)
    assert groups(data) == [3, 1, 1]
    assert "imagesTs has no labels here and is left out" in data.note
    for name in CASES:
        volume(tmp_path / "imagesTr" / f"{name}_0001.nii.gz", np.zeros(SHAPE, np.int16))
    with pytest.raises(UserError, match="5 images have several channels, each a file of its own, such as case_0_0000"):
        sound("folder", tmp_path)


def test_nnunet_of_pictures(tmp_path: Path) -> None:
    pairs(f"{tmp_path}/imagesTr/{{}}_0000.png", f"{tmp_path}/labelsTr/{{}}.png", CASES)
    for name in CASES:
        mask(tmp_path / "labelsTr" / f"{name}.png", 3, level=2)
    pairs(f"{tmp_path}/imagesTs/{{}}_0000.png", f"{tmp_path}/labelsTs/{{}}.png", ["x"])
    mask(tmp_path / "labelsTs" / "x.png", 3, level=1)
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "a": 1, "b": 2}}))
    data = sound("folder", tmp_path)
    assert (data.classes, sizes(data)) == (("a", "b"), [4, 1, 1])
    assert samples(data)["x_0000"].mask().max() == 1


def test_volumes_of_another_kind_are_told(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.mha").write_bytes(b"")
    with pytest.raises(UserError, match=r"holds 1 files of \.mha, .*; volumes are read only from NIfTI .*, so convert"):
        sound("folder", tmp_path)


def test_pictures_beside_volumes_do_not_hide_them(tmp_path: Path) -> None:
    scans(f"{tmp_path}/images/{{}}.nii.gz", f"{tmp_path}/labels/{{}}.nii.gz", CASES)
    picture(tmp_path / "preview.png")
    assert sizes(sound("folder", tmp_path)) == [9, 3, 3]
