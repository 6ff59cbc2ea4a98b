"""The recipes of docs/data.md, on tiny trees in the form in which the data sets are published."""

import re
from pathlib import Path

import numpy as np
import pytest
from opened import samples, sizes, sound
from PIL import Image
from trees import mask, pairs, picture

from bench.errors import UserError

DOCS = Path(__file__).parents[2] / "docs" / "data.md"


def recipe(title: str) -> list[str]:
    """The Python blocks of a recipe."""
    text = DOCS.read_text(encoding="utf-8").split(f"**{title}", 1)[1].split("\n**", 1)[0]
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def drive(root: Path, side: str, names: list[str], manual: bool) -> None:
    for number, name in enumerate(names):
        picture(root / side / "images" / f"{name}_{side}.tif", number)
        mask(root / side / "mask" / f"{name}_{side}_mask.gif", 24)
        if manual:
            mask(root / side / "1st_manual" / f"{name}_manual1.gif", number + 1)


@pytest.mark.parametrize(("manual", "expected"), [(False, [4, 1, 1]), (True, [5, 1, 2])])
def test_drive(tmp_path: Path, manual: bool, expected: list[int]) -> None:
    drive(tmp_path, "training", ["21", "22", "23", "24", "25", "26"], manual=True)
    drive(tmp_path, "test", ["01", "02"], manual)
    with pytest.raises(UserError, match=r"1st_manual and mask in .* could both be meant"):
        sound("folder", tmp_path)
    data = sound("folder", tmp_path, masks="1st_manual")
    assert sizes(data) == expected
    assert samples(data)["23_training"].mask().sum() == 3


def test_kvasir(tmp_path: Path) -> None:
    names = [f"cju{number}" for number in range(10)]
    for number, name in enumerate(names):
        picture(tmp_path / "images" / f"{name}.jpg", number)
        values = np.zeros((32, 32), np.uint8)
        values[:8, : 8 * (1 + number % 3)] = 255
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(values).save(tmp_path / "masks" / f"{name}.jpg", quality=95)
        Image.new("RGB", (32, 32), (20 * number, 90, 200)).save(tmp_path / "images" / f"{name}.jpg")
    (tmp_path / "kavsir_bboxes.json").write_text("{}")
    assert sizes(sound("folder", tmp_path)) == [7, 1, 2]
    (tmp_path / "train.txt").write_text("\n".join(names[:8]))
    (tmp_path / "val.txt").write_text("\n".join(names[8:]))
    data = sound("folder", tmp_path)
    assert [one.id for one in data.splits["test"]] == names[8:]
    assert samples(data)["cju4"].mask().sum() == 8 * 16


def test_busi(tmp_path: Path) -> None:
    for kind in ("benign", "malignant", "normal"):
        names = [f"{kind} ({number})" for number in range(1, 5)]
        place = f"{tmp_path}/Dataset_BUSI_with_GT/{kind}"
        pairs(f"{place}/{{}}.png", f"{place}/{{}}_mask.png", names)
        for name in names if kind == "normal" else []:
            mask(Path(f"{place}/{name}_mask.png"), 0)
    mask(tmp_path / "Dataset_BUSI_with_GT" / "benign" / "benign (2)_mask_1.png", 5, at=3)
    for root in (tmp_path, tmp_path / "Dataset_BUSI_with_GT"):
        data = sound("folder", root)
        assert sum(sizes(data)) == 12
        assert samples(data)["benign (2)"].mask().sum() == 2 + 5
        assert samples(data)["normal (2)"].mask().sum() == 0


def test_jsrt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("All247images").mkdir()
    for number in range(5):
        raw = np.full((2048, 2048), 4095, ">u2")
        raw[:, : 100 * (number + 1)] = 0
        raw.tofile(f"All247images/JPCLN{number:03d}.IMG")
        for at, organ in enumerate(("left lung", "right lung", "heart")):
            values = np.zeros((1024, 1024), np.uint8)
            values[at, : number + 1] = 255
            Path("JSRT/masks", organ).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(f"JSRT/masks/{organ}/JPCLN{number:03d}.gif")
    exec(recipe("JSRT")[0], {})
    data = sound("folder", Path("JSRT"), masks="left lung,right lung")
    one = samples(data)["JPCLN002"]
    assert one.mask().sum() == 6
    assert one.image()[0, [0, 149, 150], 0].tolist() == [255, 255, 0]
    assert samples(sound("folder", Path("JSRT"), masks="heart"))["JPCLN002"].mask().sum() == 3


def test_isbi_2012(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0)
    pages = [Image.fromarray(noise.integers(0, 255, (16, 16), np.uint8)) for _ in range(6)]
    labels = []
    for number in range(6):
        values = np.full((16, 16), 255, np.uint8)
        values[0, : number + 1] = 0
        labels.append(Image.fromarray(values))
    for name, found in (("train-volume.tif", pages), ("train-labels.tif", labels)):
        found[0].save(name, save_all=True, append_images=found[1:])
    exec(recipe("ISBI 2012")[0], {})
    data = sound("folder", Path("EM"))
    assert sum(sizes(data)) == 6
    assert samples(data)["03"].mask().sum() == 256 - 4
    assert (samples(data)["03"].image()[..., 0] == np.asarray(pages[3])).all()


def test_every_layout_of_the_table_is_shown_with_all_that_a_row_says() -> None:
    table = DOCS.read_text(encoding="utf-8").split("| Layout |")[1].split("\n\n")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    assert len(rows) >= 12
    assert all(line.count(" | ") == 4 for line in rows)
