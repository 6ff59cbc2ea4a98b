"""Masks made elsewhere: matched by name, refused in words where something does not fit, scored as ours."""

import json
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from handmade import cost_record, dice_record
from PIL import Image
from predicting import SIZE, counted, names, predicted, refusal, save, save_nifti, scored, square, summary, truth

from bench.data import Options, open_dataset
from bench.data.prepared import prepare
from bench.errors import UserError
from bench.measure.dice import score
from bench.read.sections import outdated, sections
from bench.run.elsewhere import Conditions, Given, open_split, record_elsewhere
from bench.run.predictions import find
from bench.run.store import read_record

# ---- masks -----------------------------------------------------------------------------------------------------------


def test_a_perfect_prediction_is_perfect_and_its_record_says_where_it_is_from(tmp_path):
    outcome = scored({"nnunet": predicted(tmp_path / "preds")}, tmp_path / "out", truth(tmp_path / "truth"))
    (record,) = outcome.records
    assert (record.job.network, record.job.network_digest, record.status) == ("nnunet", "", "ok")
    assert record.notes == ("predicted elsewhere, from preds",)
    assert (record.result.source, record.result.patients, record.result.data_name) == ("preds", "named", "truth")
    assert [image.id for image in record.result.images] == names()
    assert {image.patient for image in record.result.images} == {"P30", "P31", "P32"}
    assert {(image.dice, image.own_tp, image.own_fp, image.hd95) for image in record.result.images} == {(1, 400, 0, 0)}
    read = read_record(tmp_path / "out" / f"{record.id}.json")
    assert (read.id, read.notes, len(read.result.images)) == (record.id, record.notes, 6)
    assert outcome.matched == ["nnunet, training 0: preds, a mask for each of 6 images"]


def test_counts_are_taken_on_both_grids(tmp_path):
    """A square of 20 by 20 moved by 10 of 128 columns; at half the size, 10 by 20 pixels moved by 5."""
    shape = (SIZE, 2 * SIZE)
    preds, root = predicted(tmp_path / "preds", 10, shape), truth(tmp_path / "truth", shape)
    (record,) = scored({"a": preds}, tmp_path / "out", root).records
    first = record.result.images[0]
    assert (first.own_tp, first.own_fp, first.own_fn, first.dice_own) == (200, 200, 200, 0.5)
    assert (first.tp, first.fp, first.fn, first.dice) == (100, 100, 100, 0.5)
    assert first.hd95 == 10
    kept, _ = find(record, [tmp_path / "out"])
    assert kept.masks.shape == (6, SIZE, SIZE)


class Known(torch.nn.Module):
    """A network whose output is known: the number of the image is its gray level."""

    def __init__(self, maps: list[np.ndarray]) -> None:
        super().__init__()
        self.maps, self.place = maps, 0

    def forward(self, x):
        found = torch.tensor(np.stack(self.maps[self.place : self.place + len(x)])).float()[:, None] - 0.5
        self.place += len(x)
        return found


def test_masks_are_scored_as_a_network_that_outputs_them(tmp_path):
    root, preds = truth(tmp_path / "truth"), predicted(tmp_path / "preds", 3)
    (record,) = scored({"a": preds}, tmp_path / "out", root).records
    data = open_dataset("folder", root, Options(patient=r"(P\d+)_"))
    samples = data.splits["test"]
    network = Known([square(number, shift=3) for number in range(6)])
    ours = score(network, prepare(samples, SIZE, tmp_path / "c"), torch.device("cpu"), samples, "per_image", 3.0)
    assert record.job.spec.tolerance == 3.0
    theirs = [image.model_dump() for image in record.result.images]
    assert [pytest.approx(image.model_dump(), nan_ok=True) for image in ours.images] == theirs


def test_all_that_does_not_fit_is_named_at_once_and_nothing_is_recorded(tmp_path):
    root, preds, other = truth(tmp_path / "truth"), predicted(tmp_path / "preds"), predicted(tmp_path / "other")
    (preds / "P30_0.png").rename(preds / "P30_O.png")
    save(preds / "P31_2_seg.png", square(2))
    save(preds / "P10_0.png", square(0))
    save(other / "P30_0.png", square(0, (32, 32)))
    save(other / "P30_1.png", square(0) * 2 + square(8))
    (other / "P31_2.png").write_bytes(b"no picture")
    told = refusal({"a": preds, "b": other}, tmp_path / "out", root)
    assert f"{preds}: 1 of 6 masks are missing: P30_0" in told
    assert "P31_2.png and P31_2_seg.png" in told
    assert "2 masks belong to no image (1 of another split" in told
    assert "P30_O.png (did you mean 'P30_0'?)" in told
    assert "P30_0.png is 32x32 and the truth of P30_0 is 64x64" in told
    assert "P30_1.png holds the values 0, 1, 2, 3; a mask of one class holds 0 and one other" in told
    assert "cannot read the image" in told
    assert "P31_2.png" in told
    assert not (tmp_path / "out").exists()


def test_names_are_forgiving_in_case_endings_accents_and_hidden_files(tmp_path):
    root = tmp_path / "truth"
    composed, apart = (unicodedata.normalize(form, "Ähre 1") for form in ("NFC", "NFD"))
    for side, name in (("train", "b"), ("val", "c"), ("test", composed), ("test", "Two")):
        save(root / side / "images" / f"{name}.png", np.full((64, 64, 3), len(name) + len(side), np.uint8))
        save(root / side / "masks" / f"{name}.png", square(1) * np.uint8(255))
    save(tmp_path / "preds" / f"{apart}_pred.TIF", square(1))
    save(tmp_path / "preds" / "two_Mask.bmp", square(1) * np.uint8(255))
    (tmp_path / "preds" / "._Two.png").write_bytes(b"")
    (tmp_path / "preds" / "plans.json").write_text("{}")
    outcome = scored({"a": tmp_path / "preds"}, tmp_path / "out", root, options=Options())
    assert [image.dice for image in outcome.records[0].result.images] == [1, 1]
    assert outcome.remarks[0].startswith(f"not read in {tmp_path / 'preds'}: plans.json")


def test_an_empty_folder_and_one_that_may_not_be_read(tmp_path):
    root = truth(tmp_path / "truth")
    (tmp_path / "empty").mkdir()
    assert "6 of 6 masks are missing" in refusal({"a": tmp_path / "empty"}, tmp_path / "out", root)
    assert "folder of masks" in refusal({"a": tmp_path / "empty"}, tmp_path / "out")
    if os.getuid():
        (tmp_path / "empty").chmod(0)
        assert "cannot list the folder" in refusal({"a": tmp_path / "empty"}, tmp_path / "out", root)
        (tmp_path / "empty").chmod(0o700)


def test_two_trainings_are_numbered_and_the_same_one_twice_is_refused(tmp_path):
    root, one, two = truth(tmp_path / "truth"), predicted(tmp_path / "one", 1), predicted(tmp_path / "two", 2)
    copy = predicted(tmp_path / "copy", 1, value=1)
    assert "two trainings of a that are the same" in refusal({"a": (one, copy)}, tmp_path / "out", root)
    outcome = scored({"a": (one, two), "b": copy}, tmp_path / "out", root)
    assert [(r.job.network, r.job.spec.training) for r in outcome.records] == [("a", 0), ("a", 1), ("b", 0)]
    assert outcome.remarks == ["a and b have the same predictions"]


def test_a_training_keeps_its_number_and_others_are_not_mistaken_for_more(tmp_path):
    root, out = truth(tmp_path / "truth"), tmp_path / "out"
    one, two, three = (predicted(tmp_path / str(n), n) for n in (1, 2, 3))
    first = scored({"a": one}, out, root).records
    again = scored({"a": (two, one)}, out, root)
    assert [record.job.spec.training for record in again.records] == [1, 0]
    assert (again.records[1].id, again.records[1].before) == (first[0].id, first[0].before)
    assert again.matched[1].endswith("it is on record already")
    assert "has other predictions of a on this data" in refusal({"a": three}, out, root)
    assert len(scored({"a": one}, out, root).records) == 1
    assert len(list(out.glob("a-dice-*.json"))) == 2


def test_pictures_in_nifti_have_the_axes_of_a_picture(tmp_path):
    root, right, wrong, deep = truth(tmp_path / "truth"), *(tmp_path / name for name in ("right", "wrong", "deep"))
    for number, name in enumerate(names()):
        save_nifti(right / f"{name}.nii.gz", square(number)[None])
        save_nifti(wrong / f"{name}.nii.gz", square(number), np.eye(4))
        save_nifti(deep / f"{name}.nii", np.stack([square(number)] * 2))
    (record,) = scored({"a": right}, tmp_path / "out", root).records
    assert {image.dice for image in record.result.images} == {1}
    assert "has the axes R, A, and those of a picture are L, P" in refusal({"a": wrong}, tmp_path / "x", root)
    assert "is 2x64x64 and so no picture" in refusal({"a": deep}, tmp_path / "x", root)


def test_pseudonyms_hide_every_name(tmp_path):
    root, out = truth(tmp_path / "secret"), tmp_path / "out"
    (record,) = scored({"a": predicted(tmp_path / "hidden")}, out, root, pseudonyms=True).records
    text = "".join(path.read_text() for path in out.glob("a-dice*") if path.suffix in (".json", ".csv"))
    assert not any(name in text for name in ("P30", "secret", "hidden", str(tmp_path)))
    assert len({image.patient for image in record.result.images}) == 3


def test_several_classes_are_numbers_as_in_the_truth(tmp_path):
    root, preds = truth(tmp_path / "truth", value=1), tmp_path / "preds"
    for split, count in (("train", 4), ("val", 2), ("test", 6)):
        for number in range(count):
            (path,) = (root / split / "masks").glob(f"P*_{number}.png")
            save(path, square(number) + 2 * square(number, shift=25))
    for number, name in enumerate(names()):
        save(preds / f"{name}.png", square(number) + 2 * square(number, shift=27))
    options = Options(classes=("liver", "tumor"), patient=r"(P\d+)_")
    (record,) = scored({"a": preds}, tmp_path / "out", root, options=options).records
    assert (record.job.spec.classes, record.job.spec.labels) == (3, ("liver", "tumor"))
    assert [(i.label, i.dice) for i in record.result.images[:2]] == [(1, 1.0), (2, 0.9)]
    save(preds / "P30_0.png", square(0) * 3)
    assert "holds the label 3; allowed are 0 (background), 1 (liver)" in refusal(
        {"a": preds}, tmp_path / "x", root, options=options
    )


# ---- volumes ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def acdc(tmp_path: Path) -> Path:
    """Ten patients of two frames of three slices; the labels lie in one corner, so that a flip is another mask."""
    affine = np.diag([1.5, 1.5, 10, 1])
    for patient in range(1, 11):
        folder = tmp_path / "acdc" / "training" / f"patient{patient:03d}"
        for frame in (1, 12):
            stem = f"{folder.name}_frame{frame:02d}"
            save_nifti(folder / f"{stem}.nii.gz", np.arange(3 * 8 * 6).reshape(3, 8, 6).astype(np.int16), affine)
            save_nifti(folder / f"{stem}_gt.nii.gz", labels(), affine)
    return tmp_path / "acdc"


def labels() -> np.ndarray:
    """Classes 1 to 3 in a volume of three slices, 8 rows and 6 columns."""
    found = np.zeros((3, 8, 6), np.uint8)
    found[:, 0, :3] = (1, 2, 3)
    return found


def volumes(folder: Path, root: Path, values: np.ndarray, affine: np.ndarray) -> Path:
    for name in {sample.volume for sample in open_dataset("acdc", root).splits["test"]}:
        save_nifti(folder / f"{name}.nii.gz", values, affine)
    return folder


def test_volumes_are_scored_whole_in_millimeters(tmp_path, acdc):
    moved = np.roll(labels(), 1, axis=1)
    preds = volumes(tmp_path / "preds", acdc, moved, np.diag([1.5, 1.5, 10, 1]))
    (record,) = scored({"nnunet": preds}, tmp_path / "out", acdc, "acdc").records
    assert (record.job.spec.protocol, record.result.distance_unit) == ("per_volume", "mm")
    assert len(record.result.volumes) == 4 * 3
    assert {volume.hd95 for volume in record.result.volumes} == {1.5}
    assert {(image.tp, image.own_fp) for image in record.result.images} == {(0, 1)}


def test_volumes_that_are_flipped_turned_or_missing_are_named(tmp_path, acdc):
    flipped = volumes(tmp_path / "flipped", acdc, labels()[:, :, ::-1], np.diag([-1.5, 1.5, 10, 1]))
    told = refusal({"a": flipped}, tmp_path / "out", acdc, "acdc")
    assert "its axes run along L, A, S, and those of" in told
    assert "along R, A, S" in told
    turned = volumes(tmp_path / "turned", acdc, labels().swapaxes(1, 2), np.diag([1.5, 1.5, 10, 1]))
    assert "is 3x6x8 and the truth of" in refusal({"a": turned}, tmp_path / "out", acdc, "acdc")
    one = sorted(turned.iterdir())[0]
    one.unlink()
    assert f"1 of 4 masks are missing: {one.name.removesuffix('.nii.gz')}" in refusal(
        {"a": turned}, tmp_path / "out", acdc, "acdc"
    )


def test_a_picture_of_each_slice_does_too(tmp_path, acdc):
    samples = open_dataset("acdc", acdc).splits["test"]
    for sample in samples:
        save(tmp_path / "preds" / f"{sample.id}.png", sample.mask())
    (record,) = scored({"a": tmp_path / "preds"}, tmp_path / "out", acdc, "acdc").records
    assert {volume.hd95 for volume in record.result.volumes} == {0}
    (tmp_path / "preds" / f"{samples[4].id}.png").unlink()
    told = refusal({"a": tmp_path / "preds"}, tmp_path / "x", acdc, "acdc")
    assert f"1 of 6 masks are missing: {samples[4].id}" in told  # one of 3 slices, and 3 whole volumes


def test_a_summary_of_volumes_gives_their_dice(tmp_path, acdc):
    found = sorted({sample.volume for sample in open_dataset("acdc", acdc).splits["test"]})
    cases = {name: {"1": counted(8, 1, 1), "2": counted(6, 2, 2), "3": counted(0, 0, 0)} for name in found}
    (record,) = scored({"nnunet": summary(tmp_path / "summary.json", cases)}, tmp_path / "out", acdc, "acdc").records
    (section,) = sections([record])
    assert section.rows[0].dice_by_class[:2] == pytest.approx((16 / 18, 12 / 16))
    first = record.result.images[0]
    assert (first.id, first.volume, first.tp, first.own_tp, first.patient) == (found[0], found[0], 8, 8, found[0][:10])


# ---- true masks alone ------------------------------------------------------------------------------------------------


def test_a_folder_of_true_masks_is_enough(tmp_path):
    """Equal masks do not make two patients one: many are empty."""
    for number, name in enumerate(names()):
        save(tmp_path / "truth" / f"{name}_gt.png", square(number % 2) * np.uint8(255))
    options = Options(patient=r"(P\d+)_")
    data, aside = open_split("folder", tmp_path / "truth", options, "test", tmp_path / "splits")
    assert (data.label, data.protocol, data.maps, aside) == ("truth", "per_image", 1, ())
    assert [(sample.id, sample.group) for sample in data.splits["test"][:2]] == [("P30_0", "P30"), ("P30_1", "P30")]
    preds = predicted(tmp_path / "preds")
    asked = Conditions(data, options, SIZE)
    (record,) = record_elsewhere([Given("a", (preds,))], asked, tmp_path / "out", print).records
    assert [image.dice for image in record.result.images[:3]] == [1, 1, 0.9]


def test_true_volumes_alone_are_scored_whole(tmp_path):
    affine = np.diag([2.0, 2, 3, 1])
    for name in ("case_1", "case_2"):
        save_nifti(tmp_path / "labelsTs" / f"{name}.nii.gz", labels(), affine)
        save_nifti(tmp_path / "preds" / f"{name}.nii.gz", np.roll(labels(), 1, axis=1), affine)
    options = Options(classes=("a", "b", "c"))
    data, _ = open_split("folder", tmp_path / "labelsTs", options, "test", tmp_path / "splits")
    asked = Conditions(data, options, SIZE)
    (record,) = record_elsewhere([Given("a", (tmp_path / "preds",))], asked, tmp_path / "out", print).records
    assert (record.job.spec.protocol, record.result.distance_unit) == ("per_volume", "mm")
    assert [(v.volume, v.label, v.hd95) for v in record.result.volumes[:2]] == [("case_1", 1, 2.0), ("case_1", 2, 2.0)]
    save(tmp_path / "labelsTs" / "x.png", square(1))
    with pytest.raises(UserError, match="give one kind"):
        open_split("folder", tmp_path / "labelsTs", options, "test", tmp_path / "splits")


# ---- beside networks trained here ------------------------------------------------------------------------------------


def test_predictions_stand_beside_a_network_trained_here_and_do_not_outdate_it(tmp_path):
    """Of the same name, too: two rows, each beside the network's cost."""
    root = truth(tmp_path / "truth")
    (theirs,) = scored({"unet": predicted(tmp_path / "preds", 2)}, tmp_path / "out", root).records
    ours = dice_record("unet")
    spec = theirs.job.spec.model_copy(update={"predicted": "", "train": ours.job.spec.train})
    ours = ours.model_copy(update={"job": ours.job.model_copy(update={"spec": spec}), "result": theirs.result})
    cost = cost_record("unet")
    cost = cost.model_copy(
        update={"job": cost.job.model_copy(update={"spec": cost.job.spec.model_copy(update={"size": SIZE})})}
    )
    for order in ([ours, theirs, cost], [theirs, cost, ours]):
        assert outdated(order) == []
        (section,) = sections(order)
        assert [row.network for row in section.rows] == ["unet", "unet"]
        assert all(row.cost for row in section.rows)
        assert sorted(len(row.trainings) for row in section.rows) == [1, 1]


def test_the_images_themselves_are_kept_for_figures(tmp_path):
    (record,) = scored({"a": predicted(tmp_path / "preds", 2)}, tmp_path / "out", truth(tmp_path / "truth")).records
    kept, folder = find(record, [tmp_path / "out"])
    truths = np.load(folder / kept.cache / "masks.npy")
    assert (truths[0] == np.asarray(Image.fromarray(square(0)).resize((SIZE, SIZE), 0))).all()
    assert (kept.masks[0] == square(0, shift=2)).all()


def test_masks_of_another_split_are_called_so_and_no_other_name_is_suggested(tmp_path, acdc):
    every = [sample for part in open_dataset("acdc", acdc).splits.values() for sample in part]
    for sample in every:
        save(tmp_path / "preds" / f"{sample.id}.png", sample.mask())
    aside = len(every) - len(open_dataset("acdc", acdc).splits["test"])
    told = refusal({"a": tmp_path / "preds"}, tmp_path / "out", acdc, "acdc")
    assert f"{aside} masks belong to no image ({aside} of another split; --split test, val or all" in told
    assert "did you mean" not in told


def test_damaged_images_truths_and_predictions_are_all_named_and_nothing_is_recorded(tmp_path):
    root, preds = truth(tmp_path / "truth"), predicted(tmp_path / "preds")
    for name in ("P30_0.png", "P31_2.png"):
        (preds / name).write_bytes((preds / name).read_bytes()[:60])
    (preds / "P32_5.png").unlink()
    told = refusal({"a": preds}, tmp_path / "out", root)
    assert "P32_5" in told
    assert "P30_0.png" in told
    assert "P31_2.png" in told
    images = root / "test" / "images"
    for name in ("P30_1.png", "P31_3.png"):
        content = bytearray((images / name).read_bytes())
        content[content.index(b"IDAT") + 12] ^= 255
        (images / name).write_bytes(content)
    told = refusal({"a": predicted(tmp_path / "whole")}, tmp_path / "out", root)
    assert "P30_1.png" in told
    assert "P31_3.png" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("split", ["test", "val", "all"])
def test_the_side_that_is_scored_alone_may_not_be_empty(tmp_path, split):
    root, path = truth(tmp_path / "truth"), tmp_path / "split.json"
    data = open_dataset("folder", root)
    groups = [sample.group for part in data.splits.values() for sample in part]
    for full in ("train", "val", "test"):
        path.write_text(json.dumps({side: groups if side == full else [] for side in ("train", "val", "test")}))
        options = Options(split_file=path)
        if split in ("all", full):
            scored, _ = open_split("folder", root, options, split, tmp_path)
            assert len(scored.splits["test"]) == len(groups)
        else:
            with pytest.raises(UserError, match=rf"no image on the side {split} \(train \d+, val \d+, test \d+\)"):
                open_split("folder", root, options, split, tmp_path)
        with pytest.raises(UserError, match=r"leaves no image on the side \w+ and \w+ \(train "):
            open_dataset("folder", root, options)
