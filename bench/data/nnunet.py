"""The raw folders of nnU-Net: which classes `dataset.json` names, and whether an image is one file."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.data.files import first_few, read_json
from bench.data.sample import Options
from bench.errors import UserError, clean

FILE = "dataset.json"
CHANNEL = re.compile(r"_(\d{4})$")  # after the name of a case: the number of a channel


def is_raw(root: Path) -> bool:
    """Whether a folder is one of nnU-Net's raw data sets."""
    return (root / FILE).is_file() and (root / "imagesTr").is_dir()


def classes_of(root: Path, options: Options) -> tuple[str, ...]:
    """The classes that `dataset.json` names, in the order of their labels; () where the user says what labels mean.

    Raises UserError where the labels are regions, have gaps, or are partly to be ignored.
    """
    if options.classes or options.foreground or options.levels or not is_raw(root):
        return ()
    path = root / FILE
    content = read_json(path, "description of the data set")
    labels = content.get("labels") if isinstance(content, dict) else None
    named = _by_number(labels) if isinstance(labels, dict) else {}
    if sorted(named) != list(range(len(named))) or len(named) < 2 or "ignore" in named.values():
        allowed = '{"background": 0, "liver": 1, "tumor": 2}, numbered without gaps'
        advice = "regions and labels to ignore are not read; give --classes, or the levels with --foreground"
        raise UserError(f"{path} has the labels {clean(str(labels))}; expected labels such as {allowed}; {advice}")
    return tuple(named[number] for number in range(1, len(named)))


def _by_number(labels: dict[str, Any]) -> dict[int, str]:
    """The names by number: nnU-Net 2 has names with numbers, nnU-Net 1 numbers with names.

    {} for anything else, and where a number is there twice.
    """
    pairs = [(key, name) if key.isdecimal() else (name, key) for key, name in labels.items()]
    if not all(re.fullmatch("[0-9]{1,9}", str(number)) for number, _ in pairs):
        return {}
    named = {int(number): str(name) for number, name in pairs}
    return named if len(named) == len(pairs) else {}


def check_channels(images: Iterable[str]) -> None:
    """Raise UserError where images have several channels, each a file of its own: names of images, without suffixes."""
    channels: dict[str, list[str]] = {}
    for name in images:
        if match := CHANNEL.search(name):
            channels.setdefault(name[: match.start()], []).append(match[1])
    several = {name: found for name, found in channels.items() if "0000" in found and len(found) > 1}
    if several:
        name, found = next(iter(several.items()))
        files = first_few([f"{name}_{channel}" for channel in sorted(found)], 4)
        fault = f"folder: {len(several)} images have several channels, each a file of its own, such as {files}"
        raise UserError(f"{fault}; one channel is read, so put the files of that channel into a folder of their own")


def case_of(name: str) -> str:
    """The name of a case by that of the file of its first channel.

    >>> case_of("liver_007_0000"), case_of("liver_007")
    ('liver_007', 'liver_007')
    """
    return name.removesuffix("_0000")
