"""The smallest study that has everything: a stranger's network of one convolution, and a folder of small images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

NETWORK = '''"""One convolution."""

from torch import nn


class Mine(nn.Module):
    def __init__(self, channels=3, classes=1):
        super().__init__()
        self.layer = nn.Conv2d(channels, classes, 3, padding=1)

    def forward(self, x):
        return self.layer(x)
'''
CLAIMS = """[small]
says = "it is small"
source = "the drill"
network = "mine.py:Mine"
metric = "parameters"
relation = "at_most"
value = 1000
"""
SIDE, PATIENTS = 32, 12
VOLATILE = {"train_images_per_s", "loaded"}  # of a result: what two runs of one job may differ in


@dataclass(frozen=True)
class Study:
    """The name of a study and the arguments of `bench run`, in a folder that `make` filled."""

    name: str
    measures: str
    arguments: Sequence[str] = ()

    @property
    def command(self) -> tuple[str, ...]:
        return (
            "run", "mine.py:Mine", "--dataset", "folder", "--data-root", "data", "--budget", "smoke", "--size",
            str(SIDE), "--device", "cpu", "--threads", "1", "--measure", self.measures, *self.arguments,
        )  # fmt: skip


STUDIES = {study.name: study for study in (Study("trains", "cost,dice"), Study("counts", "cost"))}


def make(folder: Path, network: str = "mine.py", data: str = "data", prefix: str = "p") -> None:
    """Fill a folder with the network, the claims and the images."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / network).write_text(NETWORK)
    (folder / "claims.toml").write_text(CLAIMS)
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    for kind in ("images", "masks"):
        (folder / data / kind).mkdir(parents=True)
    for number in range(PATIENTS):
        row, column = generator.integers(8, SIDE - 8, 2)
        mask = ((y - row) ** 2 + (x - column) ** 2 < 36).astype(np.uint8) * 255
        image = generator.integers(0, 60, (SIDE, SIDE, 3)).astype(np.uint8) + mask[..., None] // 2
        Image.fromarray(image).save(folder / data / "images" / f"{prefix}{number:02}.png")
        Image.fromarray(mask).save(folder / data / "masks" / f"{prefix}{number:02}.png")


def facts_of(record: dict[str, Any]) -> Any:
    """What a record says of its job that must be the same in every run: all figures but times."""
    result = record.get("result") or {}
    kept = {name: value for name, value in result.items() if name not in VOLATILE}
    return {"job": record["job"], "status": record["status"], "result": kept}
