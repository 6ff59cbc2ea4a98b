"""The user's own pictures: images and masks in folders, paired by name, with or without sides of a split."""

from functools import partial
from pathlib import Path

from bench.data import Source
from bench.data.broken import PICTURES
from bench.data.files import files_in, first_few, read_text, same_bytes
from bench.data.layouts import Found
from bench.data.levels import readers
from bench.data.matching import Match, matched
from bench.data.names import folded
from bench.data.nnunet import check_channels
from bench.data.sample import SPLITS, Options, Sample
from bench.data.trees import Place, is_plain, places_in, shown
from bench.errors import UserError

LISTS = {side: f"{side}.txt" for side in SPLITS}
MANY = 2  # folders that are named in a note


def read(
    source: Source, root: Path, options: Options, classes: tuple[str, ...], problems: list[str]
) -> Found:  # fmt: skip
    """The pairs under `root`. Raises UserError for a folder that is laid out in another way."""
    notes: list[str] = []
    places = places_in(source, root, options, PICTURES, notes)
    check_channels(stem for place in places for stem in files_in(place.images, PICTURES))
    matches = matched(places, PICTURES, problems)
    notes += _unread(places)
    sides = _samples(matches, classes, options, problems, notes)
    for side in {place.side for place in places} - sides.keys():
        sides[side] = ()
    sides = by_lists(root, sides, problems, notes)
    what = "" if all(is_plain(root, place) for place in places) else f"pictures in {shown(root, places)}"
    return Found(what, sides, classes, notes=notes)


def _samples(
    matches: dict[str, list[Match]], classes: tuple[str, ...], options: Options, problems: list[str], notes: list[str]
) -> dict[str, tuple[Sample, ...]]:  # fmt: skip
    """A sample for each match that can be read; images of a side that are the same byte for byte are one group."""
    pairs = [(match.image, match.masks) for found in matches.values() for match in found]
    kept, image_reader, mask_reader = readers(pairs, classes, options, problems, notes)
    whole, sides = {image for image, _ in kept}, {}
    for side, found in matches.items():
        names = {match.image: match.name for match in found if match.image in whole}
        groups = {path: names[alike[0]] for alike in same_bytes(names) for path in alike}
        sides[side] = tuple(
            Sample(
                match.name, groups.get(match.image, match.name), partial(image_reader, match.image, match.masks),
                partial(mask_reader, match.image, match.masks), (match.image, *match.masks),
            )
            for match in found if match.image in whole
        )  # fmt: skip
    return sides


def _unread(places: list[Place]) -> list[str]:
    """Notes on files that are no pictures, folder by folder."""
    notes = []
    for folder in dict.fromkeys(path for place in places for path in (place.images, *place.masks)):
        names = (path.name for path in folder.iterdir() if path.suffix.lower() not in PICTURES and not path.is_dir())
        if others := sorted(name for name in names if not name.startswith(".")):
            notes.append(f"left out in {folder}, not images: {first_few(others)}")
    return notes if len(notes) <= MANY else [f"files that are no images are left out in {len(notes)} folders"]


def by_lists(
    root: Path, sides: dict[str, tuple[Sample, ...]], problems: list[str], notes: list[str]
) -> dict[str, tuple[Sample, ...]]:  # fmt: skip
    """The sides as the files train.txt, val.txt and test.txt in `root` name them, where they are there.

    A line is the name of an image, with or without a suffix or folders. Where there is no test.txt, as in U-Bench,
    val.txt is the test. Names without an image are a line in `problems`. Raises UserError for an unreadable list.
    """
    lists = {side: root / name for side, name in LISTS.items() if (root / name).is_file()}
    if set(sides) != {""} or "train" not in lists or len(lists) < 2:
        return sides
    known = {key: sample for sample in sides[""] for key in (folded(sample.id), folded(sample.files[0].name))}
    found, used, lost = dict[str, tuple[Sample, ...]](), set[str](), list[str]()
    for side, path in lists.items():
        lines = [line.strip() for line in read_text(path, "list").splitlines()]
        named = {line: known.get(_last(line)) for line in lines if line}
        lost += [f"'{line}' of {path.name}" for line, sample in named.items() if sample is None]
        found[side] = tuple(dict.fromkeys(sample for sample in named.values() if sample))
        used |= {sample.id for sample in found[side]}
    if lost:
        advice = "get the images again, or take the lines out"
        problems.append(f"folder: {len(lost)} names in the lists have no image: {first_few(lost)}; {advice}")
    if "test" not in lists:
        found["test"] = found.pop("val")
        notes.append("val.txt is the test set, since there is no test.txt")
    else:
        notes.append(f"split by {', '.join(path.name for path in lists.values())}")
    if spare := [sample.id for sample in sides[""] if sample.id not in used]:
        notes.append(f"{len(spare)} images that no list names are left out: {first_few(spare)}")
    if not found["train"]:
        raise UserError(f"folder: {lists['train']} names no image that is here; correct it, or remove the lists")
    return found


def _last(line: str) -> str:
    name = folded(line.replace("\\", "/").rpartition("/")[2].partition("\t")[0])
    return next((name[: -len(kind)] for kind in PICTURES if name.endswith(kind)), name)
