import os
from dataclasses import replace

import numpy as np
import pytest
from handmade import dice_record

from bench.data.sealed import seal_folder
from bench.errors import UserError
from bench.run.predictions import Predictions, find, images, path_of

MASKS = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8) % 2
MADE = Predictions(("a", "b"), MASKS, {"encode1": np.zeros((2, 4, 1), np.uint8)}, "cache/x")


def test_they_come_back_as_they_were_and_are_found_beside_their_record(tmp_path):
    record = dice_record()
    MADE.save(path_of(tmp_path, record.id))
    found, folder = find(record, [tmp_path / "elsewhere", tmp_path])
    assert (found.ids, found.cache, folder) == (MADE.ids, MADE.cache, tmp_path)
    assert (found.masks == MASKS).all()
    assert found.chosen["encode1"].shape == (2, 4, 1)
    assert found.places == {"a": 0, "b": 1}
    assert find(dice_record("mdsa_unet"), [tmp_path]) is None


def scored(digest):
    """A record that says its predictions have this digest."""
    record = dice_record()
    return record.model_copy(update={"result": record.result.model_copy(update={"predictions": digest})})


def test_a_record_finds_its_own_predictions_and_no_others_of_its_job(tmp_path):
    others = replace(MADE, masks=1 - MASKS)
    record = dice_record()
    digests = [made.keep(tmp_path, record.id) for made in (MADE, others)]
    assert len({path.name for path in tmp_path.iterdir()}) == len(set(digests)) == 2
    for digest, made in zip(digests, (MADE, others), strict=True):
        found, _ = find(scored(digest), [tmp_path])
        assert (found.masks == made.masks).all()
    assert find(scored("0123456789ab"), [tmp_path]) is None
    assert find(record, [tmp_path]) is None


@pytest.mark.parametrize("change", [
    {"ids": ("a", "c")}, {"masks": 1 - MASKS}, {"chosen": {}}, {"chosen": {"encode2": MADE.chosen["encode1"]}},
])  # fmt: skip
def test_a_digest_changes_with_all_that_was_predicted(change):
    assert replace(MADE, **change).digest != MADE.digest == replace(MADE, cache="elsewhere").digest


def test_the_same_predictions_are_the_same_bytes(tmp_path):
    assert MADE.save(tmp_path / "one.npz").read_bytes() == MADE.save(tmp_path / "two.npz").read_bytes()


def test_something_else_is_named(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"no such thing")
    with pytest.raises(UserError, match=r"x\.npz: cannot be read as predictions"):
        Predictions.load(tmp_path / "x.npz")


def test_images_come_from_the_cache(tmp_path):
    (tmp_path / "cache" / "x").mkdir(parents=True)
    np.save(tmp_path / "cache" / "x" / "images.npy", np.full((2, 3, 8, 8), 7, np.uint8))
    np.save(tmp_path / "cache" / "x" / "masks.npy", MASKS)
    pixels, truths = images(MADE, MADE.ids[1:], tmp_path, "ddti")
    assert (int(pixels[0, 0, 0, 0]), truths.shape) == (7, (1, 8, 8))
    assert np.array_equal(truths[0], MASKS[1])
    assert images(MADE, MADE.ids, tmp_path / "copied", "ddti") is None


def test_drawn_images_are_drawn_anew_by_the_same_code_alone(tmp_path, monkeypatch):
    from bench.data import open_dataset

    data = open_dataset("synthetic")
    sample = data.splits["test"][3]
    made = Predictions((sample.id,), np.zeros((1, 64, 64), np.uint8), {}, f"cache/synthetic-{data.digest}/x-64")
    pixels, truths = images(made, made.ids, tmp_path, "synthetic")
    assert pixels.shape == (1, 3, 64, 64)
    assert pixels.std() > 0
    assert set(np.unique(truths)) == {0, 1}
    assert images(replace(made, cache="cache/synthetic-e6f41c35e5c5/x-64"), made.ids, tmp_path, "synthetic") is not None
    monkeypatch.setattr("bench.data.synthetic.code", lambda: "another")
    assert images(made, made.ids, tmp_path, "synthetic") is None


def test_predictions_that_were_damaged_or_swapped_are_named(tmp_path):
    digest = MADE.keep(tmp_path, dice_record().id)
    path = path_of(tmp_path, dice_record().id, digest)
    content = path.read_bytes()
    replace(MADE, masks=1 - MASKS).save(path)
    with pytest.raises(UserError, match=r"predictions\.npz: these are not the predictions of its record"):
        find(scored(digest), [tmp_path])
    for at in range(0, len(content), 5):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        told = f"{path}: in one line"
        try:
            found, _ = find(scored(digest), [tmp_path])
        except UserError as error:
            told = str(error)
        else:
            assert found.digest == digest
        assert str(path) in told
        assert "\n" not in told


@pytest.mark.parametrize("cache", ["../outside", "/etc", "cache/../../outside"])
def test_no_image_is_taken_from_outside_of_the_cache(tmp_path, cache):
    folder = tmp_path / "results"
    for place in (tmp_path / "outside", folder / "cache" / "x"):
        place.mkdir(parents=True)
        np.save(place / "images.npy", np.zeros((2, 3, 8, 8), np.uint8))
        np.save(place / "masks.npy", np.zeros((2, 8, 8), np.uint8))
    assert images(MADE, ["b"], folder, "isic2017") is not None
    assert images(replace(MADE, cache=cache), ["b"], folder, "isic2017") is None


def test_images_of_a_damaged_cache_are_not_drawn(tmp_path):
    place = tmp_path / "cache" / "x"
    place.mkdir(parents=True)
    for name in ("images", "masks"):
        np.save(place / f"{name}.npy", np.zeros((2, 3, 8, 8), np.uint8))
    seal_folder(place, "x")
    assert images(MADE, ["b"], tmp_path, "isic2017") is not None
    (place / "masks.npy").write_bytes((place / "masks.npy").read_bytes()[:-1] + b"\1")
    assert images(MADE, ["b"], tmp_path, "isic2017") is None
    (place / "digest").unlink()
    (place / "images.npy").write_bytes(b"")
    assert images(MADE, ["b"], tmp_path, "isic2017") is None


@pytest.mark.parametrize("cache", ["cache/a\0b", "cache/" + 300 * "y"])
def test_a_cache_that_no_disk_can_have_is_none(tmp_path, cache):
    assert images(replace(MADE, cache=cache), ["b"], tmp_path, "isic2017") is None


def test_nothing_waits_for_a_pipe_or_reads_what_does_not_end(tmp_path):
    path = path_of(tmp_path, dice_record().id, MADE.digest)
    os.mkfifo(path)
    with pytest.raises(UserError, match="is a pipe"):
        find(scored(MADE.digest), [tmp_path])
    place = tmp_path / "cache" / "x"
    place.mkdir(parents=True)
    np.save(place / "images.npy", np.zeros((2, 3, 8, 8), np.uint8))
    os.mkfifo(place / "masks.npy")
    assert images(MADE, ["b"], tmp_path, "isic2017") is None
    (place / "masks.npy").unlink()
    np.save(place / "masks.npy", np.zeros((2, 8, 8), np.uint8))
    seal_folder(place, "x")
    assert images(MADE, ["b"], tmp_path, "isic2017") is not None
    for name in ("digest", "masks.npy"):
        size = (place / name).stat().st_size
        os.truncate(place / name, 1 << 40)
        assert images(MADE, ["b"], tmp_path, "isic2017") is None
        os.truncate(place / name, size)


def test_predictions_that_declare_far_too_much_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.run.predictions.LARGEST", 1000)
    path = replace(MADE, masks=np.zeros((2, 32, 32), np.uint8)).save(tmp_path / "a.npz")
    with pytest.raises(UserError, match="and at most 1000 bytes are read"):
        Predictions.load(path)
