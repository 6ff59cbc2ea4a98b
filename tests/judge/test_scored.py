import pytest
from claiming import claim, trained

from bench.judge.evidence import Undecided
from bench.judge.scored import scored

DICE = {"metric": "dice", "dataset": "synthetic", "relation": "at_least"}


def longer(record):
    """The same of twice the steps."""
    spec = record.job.spec
    spec = spec.model_copy(update={"train": spec.train.model_copy(update={"steps": 160})})
    return record.model_copy(update={"job": record.job.model_copy(update={"spec": spec})})


def test_the_mean_over_images_with_its_interval():
    found = scored(claim(**DICE, value=0.5), [trained("mdsa_unet", (0.5, 0.7, 0.9))])
    assert found.value == pytest.approx(0.7)
    assert found.low < 0.7 < found.high
    assert found.n == 3


def test_a_lead_is_paired_by_image():
    found = scored(
        claim(**DICE, against="unet"), [trained("mdsa_unet", (0.6, 0.8, 0.95)), trained("unet", (0.5, 0.7, 0.85))]
    )
    assert (found.value, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))


def test_two_that_were_not_trained_alike_are_not_compared():
    records = [trained("mdsa_unet", (0.6,)), longer(trained("unet", (0.5,)))]
    with pytest.raises(Undecided, match="no record of mdsa_unet and unet trained alike on synthetic"):
        scored(claim(**DICE, against="unet"), records)


def test_the_longest_training_counts_and_a_short_one_is_not_what_was_claimed():
    records = [trained("mdsa_unet", (0.5,)), longer(trained("mdsa_unet", (0.9,)))]
    assert scored(claim(**DICE, value=0.5, images_seen=640), records).value == pytest.approx(0.9)
    with pytest.raises(Undecided, match=r"trained on 640 images .*, the claim is of 641 or more") as undecided:
        scored(claim(**DICE, value=0.5, images_seen=641), records)
    assert undecided.value.todo.startswith("bench run mdsa_unet --dataset synthetic")


def test_seeds_are_put_together_and_protocols_heard():
    records = [trained("mdsa_unet", (0.5, 0.7)), trained("mdsa_unet", (0.7, 0.9), seed=1)]
    assert scored(claim(**DICE, value=0.5), records).value == pytest.approx(0.7)
    with pytest.raises(Undecided, match="has no hd95 by the protocol pooled"):
        scored(claim(metric="hd95", dataset="synthetic", protocol="pooled", value=3.0), records)


def test_no_image_in_common():
    one, other = trained("mdsa_unet", (0.6,)), trained("unet", (0.5,))
    images = tuple(image.model_copy(update={"id": "another"}) for image in other.result.images)
    with pytest.raises(Undecided, match="scored on no image in common"):
        scored(
            claim(**DICE, against="unet"),
            [one, other.model_copy(update={"result": other.result.model_copy(update={"images": images})})],
        )
