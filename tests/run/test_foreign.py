"""Test images that another data set trains on: told before a run, and counted in the record."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from orders import ignored, tiny
from PIL import Image
from rich.console import Console

from bench.cli.display import announce
from bench.data import DataAt, Options
from bench.quantities import QUANTITIES
from bench.quantities.asked import AskedData
from bench.quantities.budget import find_budget
from bench.run.dice import dice
from bench.run.foreign import seen_before
from bench.run.job import Job
from bench.run.plan import plan
from bench.run.study import Study
from bench.run.worker import Order, Work


def put(root, side, numbers):
    """Images with structure and a target, of which the same number gives the same file."""
    for kind in ("images", "masks"):
        (root / side / kind).mkdir(parents=True, exist_ok=True)
    for number in numbers:
        coarse = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(coarse).resize((48, 48)).save(root / side / "images" / f"p{number}_{side}.png")
        mask = Image.new("L", (48, 48))
        mask.paste(255, (5, 5, 30, 25))
        mask.save(root / side / "masks" / f"p{number}_{side}.png")


@pytest.fixture
def study(tmp_path):
    """Train on one folder and test on another; one of its three test images is in train there, one in val."""
    for side, ours, theirs in (("train", range(8), (20, 21)), ("val", (8, 9), (22,)), ("test", (10, 11), (3, 8, 23))):
        put(tmp_path / "ours", side, ours)
        put(tmp_path / "theirs", side, theirs)
    one, other = (DataAt("folder", tmp_path / name, Options(patient=r"p(\d+)_")) for name in ("ours", "theirs"))
    return Study((tiny(tmp_path),), ("dice",), find_budget("smoke"), (one,), "cpu", (other,), size=32)


def test_a_plan_tells_what_would_be_scored_that_was_trained_on(study):
    (told,) = seen_before(plan(study))
    assert told.startswith("2 of 3 test images of folder are copies of images of folder that are trained on: p3_test (")
    assert seen_before(plan(replace(study, test_on=()))) == []


def test_the_announcement_of_a_run_has_it(study, tmp_path):
    told = []
    for one in (study, replace(study, test_on=())):
        console = Console(file=io.StringIO(), width=1000)
        announce(console, plan(one), tmp_path)
        told.append("seen before  2 of 3 test images of folder are copies" in console.file.getvalue())
    assert told == [True, False]


def test_weights_of_a_fold_are_those_of_the_training_at_home_wherever_they_are_tested(study):
    data = AskedData("tn3k", "a" * 12, 1, ("nodule",), "per_image", {"train": 5, "val": 2, "test": 3}, fold=3)
    asked = replace(study.asked(None), data=data, tests=(replace(data, name="ddti", digest="b" * 12, fold=None),))
    home, there = QUANTITIES["dice"].jobs(asked)
    assert (there.trained_on, there.trained_fold, there.fold) == ("tn3k", 3, None)
    assert there.at_home == home
    keys = {Job(network="unet", network_digest="d", spec=spec).training_key for spec in (home, there)}
    assert len(keys) == 1
    assert [QUANTITIES["dice"].repeat(spec)[0] for spec in (home, there)] == [
        "tn3k fold 3", "ddti, trained on tn3k fold 3",
    ]  # fmt: skip


@pytest.mark.parametrize("pseudonyms", [False, True])
def test_a_record_counts_the_copies_among_the_images_that_were_used(study, pseudonyms, tmp_path):
    planned = plan(replace(study, pseudonyms=pseudonyms))
    threads = torch.get_num_threads()
    found, where = {}, {"out": tmp_path, "device": "cpu", "threads": 1}
    for job in planned.jobs:
        asked = Order(job=job, data=planned.data_of(job), home=planned.home_of(job), **where)
        found[job.spec.trained_on] = dice(Work(asked, ignored))
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)
    assert (found[""].copies, found[""].near_copies) == (0, 0)
    assert (found["folder"].copies, found["folder"].near_copies) == (2, 0)
    assert len(found["folder"].images) == 3
