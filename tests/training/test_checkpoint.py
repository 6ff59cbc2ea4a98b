"""A complete checkpoint: what its summary says, what does not load and why, what is added after scoring."""

import math

import pytest
from toys import SPEC, job, same, small, trained

from bench.errors import UserError
from bench.machine import this_machine
from bench.quantities import ImageScore, Scores
from bench.training.checkpoint import complete, load, mean_dice

KEY = job().training_key


def scores(*counts: tuple[str, int, int, int, int], volume: str = "") -> Scores:
    """Of images by (id, label, tp, fp, fn)."""
    images = tuple(
        ImageScore(id=i, label=label, tp=tp, fp=fp, fn=fn, dice=math.nan, iou=math.nan, volume=volume)
        for i, label, tp, fp, fn in counts
    )
    return Scores(loaded=False, best_step=1, curve=(), train_images_per_s=None, images=images)


def test_what_is_kept_loads_into_the_same_network_and_says_what_it_is(tmp_path):
    network, summary = trained(tmp_path)
    fresh = small()
    assert load(fresh, tmp_path, KEY, SPEC) == summary
    assert same(network, fresh)
    made = job()
    assert (summary.key, summary.network, summary.network_digest) == (KEY, "small", made.network_digest)
    assert (summary.dataset, summary.data, summary.size, summary.channels, summary.classes) == (
        "discs",
        "2" * 12,
        32,
        3,
        1,
    )
    assert (summary.spec, summary.commit) == (made.spec.train, this_machine().commit)
    assert summary.test_dice is None


def test_what_a_training_that_was_killed_at_its_very_end_left_is_removed(tmp_path):
    trained(tmp_path)
    for name in ("best.ckpt", "last.ckpt"):
        (tmp_path / name).write_bytes(b"of an earlier step")
    assert load(small(), tmp_path, KEY, SPEC)
    assert not [*tmp_path.glob("*.ckpt")]


def test_what_was_scored_is_added_to_the_summary(tmp_path):
    _, summary = trained(tmp_path)
    complete(tmp_path, scores(("a", 1, 1, 1, 1), ("b", 1, 1, 0, 0)), "per_image")
    assert load(small(), tmp_path, KEY, SPEC) == summary.model_copy(update={"test_dice": 0.75})


def test_the_mean_dice_is_over_classes_of_the_images_with_a_target():
    found = scores(("a", 1, 1, 1, 1), ("b", 1, 0, 0, 0), ("a", 2, 1, 0, 0), ("b", 2, 0, 1, 0))
    assert mean_dice(found, "per_image") == pytest.approx((0.5 + 1) / 2)
    assert mean_dice(scores(("a", 1, 0, 0, 0)), "per_image") is None
    assert mean_dice(scores(("a", 1, 1, 0, 0), ("b", 1, 0, 1, 1), volume="v"), "per_volume") == pytest.approx(0.5)


def test_there_is_nothing_to_load_before_a_training_is_complete(tmp_path):
    assert load(small(), tmp_path / "none", KEY, SPEC) is None


def test_a_checkpoint_of_another_shape_or_job_or_cut_off_is_refused_in_words(tmp_path):
    trained(tmp_path)
    with pytest.raises(UserError, match=r"layers.0.weight is \(4, 3, 3, 3\), the network's is \(5, 3, 3, 3\)"):
        load(small(width=5), tmp_path, KEY, SPEC)
    with pytest.raises(UserError, match=r"a checkpoint for small-.*, not for other"):
        load(small(), tmp_path, "other", SPEC)
    with pytest.raises(UserError, match=r"a checkpoint of another training, .*delete .* to train anew"):
        load(small(), tmp_path, KEY, SPEC.model_copy(update={"learning_rate": 0.7}))
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:50])
    with pytest.raises(UserError, match=r"weights\.safetensors.*delete .* to train anew"):
        load(small(), tmp_path, KEY, SPEC)
    (tmp_path / "card.json").write_text("{}")
    with pytest.raises(UserError, match=r"no checkpoint that this version reads .*delete .* to train anew"):
        load(small(), tmp_path, KEY, SPEC)
