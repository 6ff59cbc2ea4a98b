"""`bench data` and the options about data, as a user types them."""

from pathlib import Path

import numpy as np
import pytest
from commanding import bench
from PIL import Image


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
