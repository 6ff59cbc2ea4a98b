"""`bench data` and the options about data, as a user types them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commanding import bench
from PIL import Image

from bench.cli.asked import RunOptions
from bench.cli.options import DataOptions
from bench.run.plan import plan


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    """Ten crops of DDTI, which are not its original images."""
    for kind in ("image", "mask"):
        (tmp_path / "crops" / kind).mkdir(parents=True)
        for n in range(10):
            noise = np.random.default_rng([n, kind == "mask"]).integers(0, 256, (40, 40), np.uint8)
            Image.fromarray(noise).save(tmp_path / "crops" / kind / f"{n}.png")
    return tmp_path / "crops"


def test_images_that_are_not_the_published_ones_are_told_wherever_data_is_shown(crops, tmp_path):
    root = ["ddti", "--data-root", str(crops)]
    told = "differs from the published data set: crops instead of the 470 original images"
    assert told in bench("data", "check", *root).stdout
    shown = bench("data", "show", *root, "--count", "2", cwd=tmp_path)
    assert (shown.stdout, told in shown.stderr) == ("reports/data-ddti.png\n", True)
    asked = ["--dataset", *root, "--measure", "dice", "--budget", "smoke", "--device", "cpu", "--show-plan"]
    planned = bench("run", "unet", *asked, cwd=tmp_path, COLUMNS="200")
    assert "from the published data set: crops instead of the 470 original images" in planned.stderr


def test_test_images_that_another_data_set_trains_on_are_faults(tmp_path):
    def put(root: str, part: str, number: int) -> None:
        for kind in ("images", "masks"):
            (tmp_path / root / part / kind).mkdir(parents=True)
        noise = np.random.default_rng(number).integers(0, 256, (40, 40), np.uint8)
        Image.fromarray(noise).save(tmp_path / root / part / "images" / f"{root}{part}.png")
        Image.fromarray(np.eye(40, dtype=bool)).save(tmp_path / root / part / "masks" / f"{root}{part}.png")

    for number, (root, part) in enumerate((root, part) for root in ("a", "b") for part in ("train", "val", "test")):
        put(root, part, 0 if (root, part) == ("b", "test") else number)
    asked = ["data", "check", "folder", "--data-root", str(tmp_path / "b")]
    assert bench(*asked).returncode == 0
    done = bench(*asked, "--trained-on", f"folder={tmp_path / 'a'}")
    assert done.returncode == 1
    told = "fault: 1 of 1 test images of folder are copies of images of folder that are trained on: btest"
    assert told in done.stdout
    wrong = bench(*asked, "--trained-on", "fodler=x")
    assert (wrong.returncode, "unknown data set 'fodler'; did you mean 'folder'" in wrong.stderr) == (2, True)


def test_near_copies_are_remarks_and_no_fault(tmp_path):
    for number, part in enumerate(("train", "val", "test")):
        for kind in ("images", "masks"):
            (tmp_path / part / kind).mkdir(parents=True)
        coarse = np.random.default_rng(number // 2).integers(0, 256, (8, 8), np.uint8)  # train and val show the same
        picture = Image.fromarray(coarse).resize((64, 64)).convert("RGB")
        picture.save(tmp_path / part / "images" / f"{part}.jpg", quality=90 - 10 * number)
        Image.fromarray(np.eye(64, dtype=bool)).save(tmp_path / part / "masks" / f"{part}.png")
    done = bench("data", "check", "folder", "--data-root", str(tmp_path))
    assert done.returncode == 0
    assert "remark: near copies: train (train) and val (val): " in done.stdout
    assert "folder: no fault" in done.stdout


def test_pseudonyms_are_a_condition_of_scoring():
    asked = RunOptions(networks=["unet"], device="cpu", measure="dice", budget="smoke", pseudonyms=True)
    study = asked.study(DataOptions()).study()
    plain, hidden = plan(replace(study, pseudonyms=False)).jobs[0], plan(study).jobs[0]
    assert (plain.spec.pseudonyms, hidden.spec.pseudonyms) == (False, True)
    assert plain.key != hidden.key
    assert plain.training_key == hidden.training_key


def test_levels_are_asked_for_and_given_on_the_command_line(tmp_path):
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    for number in range(10):
        mask = np.zeros((16, 16), np.uint8)
        mask[2:8, 2:8], mask[4:6, 4:6] = 1, 1 + number % 2
        noise = np.random.default_rng(number).integers(0, 256, (16, 16), np.uint8)
        Image.fromarray(noise).save(tmp_path / "images" / f"a_{number} & 50% #1.png")
        Image.fromarray(mask).save(tmp_path / "masks" / f"a_{number} & 50% #1.png")
    root = ("folder", "--data-root", str(tmp_path))
    refused = bench("data", "check", *root)
    assert refused.returncode == 1
    assert "--classes NAME1,NAME2 if each is a class, or --foreground 1,2 if all of them are the one" in refused.stdout
    for given in (("--classes", "a,b"), ("--foreground", "1-2"), ("--classes", "b,a", "--levels", "0,2,1")):
        assert bench("data", "check", *root, *given).returncode == 0, given
    shown = bench("data", "show", *root, "--classes", "a,b", "--all-classes", "--to", str(tmp_path / "all.png"))
    assert (shown.returncode, shown.stdout) == (0, f"{tmp_path / 'all.png'}\n")
