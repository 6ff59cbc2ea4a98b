"""Predictions made elsewhere are scored from Python: from folders and files as the command does, and from arrays."""

import numpy as np
import pytest
import torch
from predicting import counted, names, predicted, summary, truth

import bench

SIDE = 40


def squares(*tops: int, value: int = 1) -> dict[str, np.ndarray]:
    """A mask for each of some images: a square of 20 pixels a side, so far from the top."""
    masks = {}
    for number, top in enumerate(tops):
        mask = np.zeros((SIDE, SIDE), np.int64)
        mask[top : top + 20, 10:30] = value
        masks[f"case{number}"] = mask
    return masks


def test_folders_and_files_as_the_command_takes_them(tmp_path):
    truth(tmp_path / "truth")
    predicted(tmp_path / "predsA", 1)
    predicted(tmp_path / "predsB", 2)
    summary(tmp_path / "summary.json", {name: {"1": counted(350, 50, 50)} for name in names()})
    found = bench.score(
        {"mine": [tmp_path / "predsA", str(tmp_path / "predsB")], "nnunet": tmp_path / "summary.json"}, size=64,
        data_root=tmp_path / "truth", patient=r"(P\d+)_", out=tmp_path / "out", quiet=True,
    )  # fmt: skip
    assert [(one.job.network, one.job.spec.training) for one in found] == [("mine", 0), ("mine", 1), ("nnunet", 0)]
    rows = found.frame().set_index("network")
    assert rows.dice.to_dict() == pytest.approx({"mine": 0.925, "nnunet": 0.875})
    assert "mine, training 1: predsB, a mask for each of 6 images" in str(found)
    images = found.frame("image")
    assert set(images[images.network == "mine"].seed) == {0, 1}
    assert bench.records(tmp_path / "out").network.tolist() == ["mine", "nnunet"]


def test_a_table_that_names_its_networks(tmp_path):
    lines = [f"{team},c{case},{0.5 + case / 40}" for team in ("A", "B") for case in range(12)]
    (tmp_path / "teams.csv").write_text("\n".join(["team,case,dice", *lines]))
    found = bench.score(tmp_path / "teams.csv", out=tmp_path / "out", quiet=True)
    assert found.frame().dice.tolist() == pytest.approx([0.6375] * 2)
    assert "A and B have the same predictions" in found.says


def test_masks_in_arrays_with_true_ones_in_arrays(tmp_path):
    true = squares(10, 10, 10)
    mine = {name: torch.tensor(mask, dtype=torch.bool)[None] for name, mask in squares(10, 15, 20).items()}
    given = {"mine": mine, "theirs": [squares(10, 10, 10), squares(15, 15, 15, value=255)]}
    found = bench.score(given, truth=true, size=SIDE, out=tmp_path / "out", quiet=True)
    images = found.frame("image").set_index("network")
    assert images.loc["mine"].sort_values("image").dice.tolist() == pytest.approx([1, 0.75, 0.5])
    assert found.frame().set_index("network").dice.theirs == pytest.approx((1 + 0.75) / 2)


def test_masks_of_several_classes_are_of_the_classes_that_are_named(tmp_path):
    true = {name: mask + np.roll(2 * mask, 20, axis=0) for name, mask in squares(0, 0).items()}
    found = bench.score({"mine": true}, truth=true, classes=["a", "b"], size=SIDE, out=tmp_path / "out", quiet=True)
    images = found.frame("image")
    assert set(images.class_name) == {"a", "b"}
    assert set(images.dice) == {1.0}


def test_masks_in_arrays_on_a_data_set_in_files(tmp_path):
    truth(tmp_path / "truth")
    from PIL import Image

    masks = {path.stem: np.asarray(Image.open(path)) > 0 for path in (tmp_path / "truth/test/masks").iterdir()}
    found = bench.score({"mine": masks}, data_root=tmp_path / "truth", size=64, out=tmp_path / "out", quiet=True)
    assert found.frame().dice.tolist() == [1.0]


WRONG = {
    "probabilities": (np.full((4, 4), 0.5), r"has the shape \(4, 4\) and the type float64; a mask is"),
    "a stack": (np.zeros((2, 4, 4), int), r"has the shape \(2, 4, 4\)"),
    "below zero": (np.full((4, 4), -1), "class numbers from 0 to 255"),
    "several classes": (np.arange(16).reshape(4, 4), r"has 15 classes; name them in order: classes="),
    "nothing": (np.zeros((0, 0), int), r"has the shape \(0, 0\)"),
}


@pytest.mark.parametrize(("mask", "told"), WRONG.values(), ids=WRONG)
def test_what_is_no_mask_is_told(tmp_path, mask, told):
    with pytest.raises(bench.UserError, match=told):
        bench.score({"mine": {"case0": mask}}, truth=squares(10), out=tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()


def test_images_that_do_not_match_are_told(tmp_path):
    with pytest.raises(bench.UserError, match="\npredictions/mine/0/arrays: 1 of 2 masks are missing: case1"):
        bench.score({"mine": squares(10)}, truth=squares(10, 10), out=tmp_path / "out", quiet=True)
    with pytest.raises(bench.UserError, match="'a/b' cannot be an image's name"):
        bench.score({"mine": {"a/b": squares(10)["case0"]}}, truth=squares(10), out=tmp_path / "out", quiet=True)
