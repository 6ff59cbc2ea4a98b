"""Where the images and the masks lie below a user's folder, by the names of its folders."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bench.data import Source
from bench.data.broken import has_pages, opened
from bench.data.files import files_in, first_few, is_folder
from bench.data.names import IMAGES, MASKS, Role, folded, role_of, split_by_name
from bench.data.sample import SPLITS, Options
from bench.errors import UserError

DEPTH = 4  # of folders below the root
TR = re.compile("Tr$")
MASK_HINT = re.compile("mask|label|seg|annot|truth|gt|manual|lesion")
STACKS = (".tif", ".tiff")
OUTLINES = (".json", ".xml", ".roi", ".geojson")
PACKED = (".gz", ".zip", ".tar", ".rar", ".7z")
MANY = 2  # folders of images that are named in the note


@dataclass(frozen=True)
class Place:
    """A folder of images and the folders of their masks, of one side of the split ("" where none is told).

    `masks` is empty where both lie in one folder. `rest` is what else the names of the folders say: a class, a patient.
    """

    side: str
    images: Path
    masks: tuple[Path, ...]
    rest: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Folder:
    path: Path
    role: Role
    count: int


def places_in(source: Source, root: Path, options: Options, kinds: Sequence[str], notes: list[str]) -> list[Place]:
    """Where images and masks of the `kinds` (suffixes) lie. Nothing is guessed: what could be meant twice is refused.

    `options.images` and `options.masks` name folders, where the names alone do not tell. Notes say which folders are
    left out. Raises UserError where no image or no mask is found, and where several folders could be meant.
    """
    folders = list(_folders(root, tuple(kinds)))
    given = {"images": _names(options.images), "masks": _names(options.masks)}
    if given["images"] == given["masks"] and given["images"]:  # one folder holds both
        given = {"both": given["images"]}
    for what, names in given.items():
        folders = _as_given(root, folders, what, names)
    by_side: dict[str, list[_Folder]] = defaultdict(list)
    for folder in folders:
        by_side[folder.role.side].append(folder)
    places, lacking = [], dict[str, str]()
    for side in sorted(by_side, key=("", *SPLITS).index):
        found = _of_side(root, side, by_side[side], given)
        if not found and not given.get("masks"):
            found = _in_one_folder(side, by_side[side], kinds)
        if not found:
            lacking[side] = _lack(root, by_side[side], side)
        places += found
    if not places and "both" in given:
        raise _no_pairs(options.images)
    if not places:
        told = next(iter(lacking.values()), f"no folder {IMAGES[0]}")
        raise source.wrong_layout(root, told, _could_be(root, folders) or _unread(root, kinds))
    places = _one_split(source, root, places, by_side, notes)
    used = {path for place in places for path in (place.images, *place.masks)}
    mixed = {place.images for place in places if not place.masks}
    notes += _unused(root, folders, used, mixed)
    return places


def _folders(root: Path, kinds: tuple[str, ...]) -> Iterator[_Folder]:
    """The folders at and below `root` that hold files of the kinds, or whose name says that they should."""

    def walk(at: Path, parts: tuple[str, ...]) -> Iterator[_Folder]:
        with os.scandir(at) as entries:
            found = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda e: e.name)
        count = sum(entry.name.lower().endswith(kinds) and not is_folder(entry) for entry in found)
        role = role_of(parts)
        if count or role.what or role.side:
            yield _Folder(at, role, count)
        for entry in found:
            if len(parts) < DEPTH and is_folder(entry):
                yield from walk(at / entry.name, (*parts, entry.name))

    return walk(root, ())


def _names(given: str) -> list[tuple[str, ...]]:
    return [tuple(folded(part) for part in Path(name.strip()).parts) for name in given.split(",") if name.strip()]


def _as_given(root: Path, folders: list[_Folder], what: str, names: list[tuple[str, ...]]) -> list[_Folder]:
    """The folders, those that the user named as `what` they were named, and no other one as that.

    What is "both" lies in one folder: then only those that were named are left.
    """
    if not names:
        return folders
    changed, seen = [], set()
    for folder in folders:
        parts = folder.path.relative_to(root).parts
        name = next((one for one in names if tuple(map(folded, parts))[-len(one) :] == one), None)
        if name is not None:  # the root itself is ()
            seen.add(name)
            rest = role_of(parts[: len(parts) - len(name)]).rest
            changed.append(replace(folder, role=Role("" if what == "both" else what, folder.role.side, rest)))
        elif what != "both":
            taken = folder.role.what in (what, f"perhaps {what}")
            changed.append(replace(folder, role=replace(folder.role, what="")) if taken else folder)
    if missing := ["/".join(name) for name in names if name not in seen]:
        there = first_few([str(folder.path.relative_to(root)) for folder in folders if folder.count], 8)
        option = "images" if what == "both" else what
        raise UserError(f"--{option} {missing[0]} is no folder of such files in {root}; there are {there or 'none'}")
    return changed


def _of_side(root: Path, side: str, folders: list[_Folder], given: dict[str, list[tuple[str, ...]]]) -> list[Place]:
    """The folders of images of one side, each with its folders of masks. Raises UserError where it is not clear."""
    images, masks = (_with_files([one for one in folders if one.role.what == what]) for what in ("images", "masks"))
    images = images or _with_files([one for one in folders if one.role.what == "perhaps images"])
    if not images or not masks or not any(one.count for one in images):
        return []
    places = []
    rests = {one.role.rest for one in images}
    for rest in sorted(rests):
        own = [one for one in images if one.role.rest == rest]
        if len(own) > 1:
            raise _both(root, own, "images")
        fitting = [one for one in masks if one.role.rest == rest] or (masks if len(rests) == 1 else [])
        if len(fitting) > 1 and not given.get("masks"):
            raise _both(root, fitting, "masks")
        if fitting:
            places.append(Place(side, own[0].path, tuple(one.path for one in fitting), rest))
    return places


def _no_pairs(name: str) -> UserError:
    advice = "give two folders, or call each mask as its image with an ending: a.png and a_mask.png"
    return UserError(f"--images and --masks both name '{name}', and no file in it is called as a mask; {advice}")


def _with_files(folders: list[_Folder]) -> list[_Folder]:
    """Those with files, or all where none has one."""
    return [one for one in folders if one.count] or folders


def _both(root: Path, folders: list[_Folder], what: str) -> UserError:
    names = [str(one.path.relative_to(root)) for one in folders]
    place = folders[0].path.parent if len({one.path.parent for one in folders}) == 1 else root
    shown = [path.name for path in (one.path for one in folders)] if place != root else names
    unique = len({one.path.name for one in folders}) == len(folders)
    choice = folders[0].path.name if unique else names[0]
    advice = f"one folder of {what} is read, so say which: --{what} '{choice}'"
    several = "; several by commas are united" if what == "masks" else ""
    return UserError(f"folder: {' and '.join(shown)} in {place} could both be meant; {advice}{several}")


def _in_one_folder(side: str, folders: list[_Folder], kinds: Sequence[str]) -> list[Place]:
    """Folders in which images lie beside their masks."""
    roots = [one for one in folders if one.count and one.role.what != "masks"]
    return [Place(side, one.path, (), one.role.rest) for one in roots if is_mixed(one.path, kinds)]


def is_mixed(folder: Path, kinds: Sequence[str]) -> bool:
    """Whether masks lie beside the images they are called after: at least a third of the files are such masks."""
    stems = list(files_in(folder, tuple(kinds)))
    found = split_by_name(stems)[1]
    return bool(found) and 3 * len(found) >= len(stems)


def _lack(root: Path, folders: list[_Folder], side: str) -> str:
    """What is missing for one side, in words; "" where nothing hints at that side."""
    images = [one for one in folders if one.role.what in ("images", "perhaps images")]
    masks = [one for one in folders if one.role.what == "masks"]
    place = "" if not side else f" of {side}"
    if images and not any(one.count for one in images):
        return f"no image in {images[0].path.relative_to(root)}"
    if images and masks:
        return f"no folder {MASKS[0]}{place} that goes with {images[0].path.relative_to(root)}"
    return f"no folder {MASKS[0]}{place}" if images else f"no folder {IMAGES[0]}{place}"


def _could_be(root: Path, folders: list[_Folder]) -> str:
    """A line on folders that could be meant where none is called as one of images, or of masks."""
    images = [one for one in folders if one.role.what in ("images", "perhaps images") and one.count]
    masks = [one for one in folders if one.role.what == "masks" and one.count]
    others = [one for one in folders if one.count and one.role.what == ""]
    if not images and not masks:
        return _two_alike(root, others)
    if images and masks:
        return ""
    what, here = ("masks", images) if images else ("images", masks)
    alike = [one.path.relative_to(root).as_posix() for one in others if one.count == here[0].count]
    told = f"{first_few(alike)} holds as many files as {here[0].path.name}" if alike else ""
    return f"{told}; if these are the {what}, give --{what} '{alike[0]}'" if told else ""


def _two_alike(root: Path, folders: list[_Folder]) -> str:
    """A line on two folders of as many files, which may be images and their masks."""
    named = [(one.path.relative_to(root).as_posix(), one) for one in folders if one.path != root]
    for at, (name, one) in enumerate(named):
        alike = [other for other, another in named[at + 1 :] if another.count == one.count]
        if alike:
            pair = sorted((name, alike[0]), key=lambda each: bool(MASK_HINT.search(each.lower())))
            give = f"--images '{pair[0]}' --masks '{pair[1]}'"
            return f"{name} and {alike[0]} hold {one.count} files each; if these are images and masks, give {give}"
    return ""


def _unread(root: Path, kinds: Sequence[str]) -> str:
    """A line on what lies in `root` that has to be converted first; empty where nothing is known of it."""
    stacks = [path for paths in files_in(root, STACKS).values() for path in paths] if set(STACKS) <= set(kinds) else []
    for path in stacks[:3]:
        with suppress(UserError), opened(path) as picture:
            if has_pages(picture):
                advice = "write each page as a file, images and masks alike; docs/data.md shows how for ISBI"
                return f"{path.name} has several pages, and one image is one page; {advice}"
    outlines = [
        path.relative_to(root).as_posix() for path in sorted(root.rglob("*")) if path.suffix.lower() in OUTLINES
    ]
    if outlines:
        advice = "outlines are not read, so draw them as masks: one picture for each image"
        return f"{first_few(outlines)}: {advice}"
    packed = [path.relative_to(root).as_posix() for path in sorted(root.rglob("*")) if path.suffix.lower() in PACKED]
    return f"{first_few(packed)}: unpack these files first" if packed else ""


def _one_split(
    source: Source, root: Path, places: list[Place], by_side: dict[str, list[_Folder]], notes: list[str]
) -> list[Place]:  # fmt: skip
    """The places of the sides train, val and test, or those without a side; raises UserError where both are there."""
    sides = {place.side for place in places}
    if sides == {"train"} and all(TR.search(str(place.images)) for place in places):  # nnU-Net's, with or without Ts
        notes += ["imagesTs has no labels here and is left out"] * any(one.count for one in by_side.get("test", ()))
        return [replace(place, side="") for place in places]
    if sides == {""}:
        for side in set(by_side) - {""}:
            notes += [f"folders of {side} without masks or images are left out"] * any(o.count for o in by_side[side])
        return places
    if "" in sides:
        plain = next(place for place in places if not place.side)
        other = next(place for place in places if place.side)
        both = f"{_below(root, plain)} and {_below(root, other)}"
        raise UserError(f"folder: {both} in {root} could both be meant; give the folder of one of them")
    for side in ("train", "test"):
        if side not in sides and not by_side.get(side):
            here = places[0].images.relative_to(root).parts[0]
            lacks = f"no folder {side} beside {here}"
            advice = f"if val is what you test on, call it {side}: then a tenth of train is drawn as val"
            raise source.wrong_layout(root, lacks, advice if side == "test" and "val" in sides else "")
    if "train" not in sides:
        raise source.wrong_layout(root, _lack(root, by_side["train"], "train"))
    for side in ("val", "test"):
        if side in sides or side not in by_side:
            continue
        if not any(one.count for one in by_side[side]):
            where = by_side[side][0].path.relative_to(root)
            advice = f"put the images of {side} there, or remove its folders to have {side} drawn"
            raise UserError(f"folder: {where} in {root} holds no image, so {side} would be empty; {advice}")
        notes.append(f"{side} has no masks here and is left out")
    return places


def _below(root: Path, place: Place) -> str:
    return place.images.relative_to(root).as_posix()


def _unused(root: Path, folders: Iterable[_Folder], used: set[Path], mixed: set[Path]) -> list[str]:
    """The note on folders that hold as many files as one that is read, or half of one with images beside masks."""
    counts = {one.count for one in folders if one.path in used} | {
        one.count // 2 for one in folders if one.path in mixed
    }
    spare = [one for one in folders if one.path not in used and one.count and one.count in counts]
    names = [f"{one.path.relative_to(root).as_posix()} ({one.count} files)" for one in spare]
    return [f"folders not read, though they hold as many files: {first_few(names)}"] if names else []


def is_plain(root: Path, place: Place) -> bool:
    """Whether images and masks lie in folders of the usual names, in `root` or in the folder of a side: as expected."""
    name, above = place.images.name.lower(), place.images.parent
    usual = name in IMAGES and [path.name.lower() in MASKS and path.parent == above for path in place.masks] == [True]
    return usual and (above == root or (above.parent == root and place.side != ""))


def shown(root: Path, places: list[Place]) -> str:
    """The folders that are read, in words."""
    told = []
    for place in places:
        images = place.images.relative_to(root).as_posix() if place.images != root else root.resolve().name
        masks = [path.relative_to(root).as_posix() for path in place.masks]
        told.append(f"{images} with {' and '.join(masks)}" if masks else f"{images} with the masks beside them")
    return first_few(told, MANY)
