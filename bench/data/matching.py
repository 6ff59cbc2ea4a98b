"""The files of images and of their masks in a user's folders, matched by name."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.data.files import composed, files_in, no_partner, two_files
from bench.data.names import ENDINGS, folded, is_bare, pair, split_by_name, what_would_match
from bench.data.trees import Place

FEW = 3  # faults of one kind that are told one by one


@dataclass(frozen=True)
class Match:
    """An image and the files of its masks, under a name of its own."""

    name: str
    image: Path
    masks: tuple[Path, ...]


@dataclass
class _Tally:
    """What was found in all places, for the faults are told of the whole data set."""

    total: int = 0
    images: list[tuple[Path, Place]] = field(default_factory=list)  # without a mask
    masks: list[tuple[Path, Place]] = field(default_factory=list)  # without an image
    unclear: dict[str, list[Path]] = field(default_factory=dict)
    people: dict[str, list[Path]] = field(default_factory=dict)
    same: list[Path] = field(default_factory=list)  # that are their own masks


def matched(places: Sequence[Place], kinds: Sequence[str], problems: list[str]) -> dict[str, list[Match]]:
    """The matches by side of the split. What does not match is in `problems`: where it is the rule, in one line.

    `kinds` are the suffixes of the files.
    """
    tally = _Tally()
    found = [(place, match) for place in places for match in _of_place(place, tuple(kinds), problems, tally)]
    problems += _faults(tally, kinds)
    named: dict[str, list[Match]] = defaultdict(list)
    # The same name in two folders of one side is told apart by the folders, which alone say whose an image.png is.
    times = Counter((place.side, match.name) for place, match in found)
    for place, match in found:
        own = () if is_bare(match.name) and place.rest else (match.name,)
        name = "/".join((*place.rest, *own)) if times[place.side, match.name] > 1 else match.name
        named[place.side].append(Match(name, match.image, match.masks))
    return dict(named)


def _of_place(place: Place, kinds: tuple[str, ...], problems: list[str], tally: _Tally) -> list[Match]:
    files = files_in(place.images, kinds)
    if place.masks:
        images, folders = list(files), [files_in(folder, kinds) for folder in place.masks]
    else:
        images, masks = split_by_name(list(files))
        folders = [{stem: files[stem] for stem in masks}]
    by_key: dict[str, list[Path]] = defaultdict(list)
    for stem in images:
        by_key[folded(stem)] += files[stem]
    own = {paths[0].name[: len(_stem(paths[0], kinds))]: paths for paths in by_key.values()}
    tally.total += len(own)
    problems += [two_files(name, paths) for name, paths in own.items() if len(paths) > 1]
    masks_of: dict[str, list[Path]] = defaultdict(list)
    complete: Counter[str] = Counter()
    spoiled = {name for name, paths in own.items() if len(paths) > 1}
    for folder in folders:
        parts = pair(own, [(stem, path) for stem, paths in folder.items() for path in paths])
        if len(own) == 1 and place.rest and not parts.masks and parts.alone and not parts.unclear:
            parts.masks, parts.alone = {next(iter(own)): parts.alone}, []  # one folder an image: all are its masks
        tally.unclear |= parts.unclear
        tally.people |= parts.people
        tally.masks += [(path, place) for path in parts.alone]
        spoiled |= parts.unclear.keys() | parts.people.keys()
        for name, paths in parts.masks.items():
            masks_of[name] += paths
            complete[name] += 1
    found = []
    for name, paths in own.items():
        if name in spoiled:
            continue
        if complete[name] < len(folders):
            tally.images.append((paths[0], place))
        elif any(_is_same(paths[0], mask) for mask in masks_of[name]):
            tally.same.append(paths[0])
        else:
            found.append(Match(composed(name), paths[0], tuple(masks_of[name])))
    return found


def _stem(path: Path, kinds: tuple[str, ...]) -> str:
    return next(path.name[: -len(kind)] for kind in kinds if path.name.lower().endswith(kind))


def _is_same(image: Path, mask: Path) -> bool:
    return image.exists() and mask.exists() and image.samefile(mask)


def _faults(tally: _Tally, kinds: Sequence[str]) -> list[str]:
    if len(tally.images) > max(FEW, tally.total // 2):
        faults = [_nothing_fits(tally, kinds)]
    else:
        faults = [
            no_partner("folder", "mask", path, "image", f"one in {place.images} with the mask's name")
            for path, place in tally.masks
        ]
        for path, place in tally.images:
            where = place.masks[0] if place.masks else place.images
            stem = _stem(path, tuple(kinds))
            expected = f"{stem}{'' if place.masks else ENDINGS[1]}{path.suffix} in {where}"
            faults.append(no_partner("folder", "image", path, "mask", expected))
    if tally.people:
        name, paths = next(iter(tally.people.items()))
        files, count = " and ".join(path.name for path in paths), len(tally.people)
        advice = f"keep those of one person, and move the others out of {paths[0].parent}"
        faults.append(f"folder: {count} images have masks by several people, such as '{name}': {files}; {advice}")
    if len(tally.unclear) > FEW:
        paths = next(iter(tally.unclear.values()))
        files = " and ".join(path.name for path in paths)
        advice = "an image has one mask, or several that differ in a number (a_mask, a_mask_1); take the others out"
        faults.append(f"folder: {len(tally.unclear)} images have masks of several kinds, such as {files}; {advice}")
    else:
        faults += [two_files(name, paths) for name, paths in tally.unclear.items()]
    if tally.same:
        which = f"{len(tally.same)} images are their own masks, such as {tally.same[0]}"
        faults.append(f"folder: {which}: both names lead to one file; give the folder of the masks")
    return faults


def _nothing_fits(tally: _Tally, kinds: Sequence[str]) -> str:
    """One sentence where most images have no mask: what the names would have to be."""
    place, _ = Counter(place for _, place in tally.images).most_common(1)[0]
    images, masks = (
        [_stem(path, tuple(kinds)) for path, at in lone if at == place] for lone in (tally.images, tally.masks)
    )
    count = f"{len(tally.images)} of {tally.total} images have no mask"
    if not masks:
        where = place.masks[0] if place.masks else place.images
        return f"folder: {count}, and {where} has no files left for them; get the masks again, or take the images out"
    both = f"{place.images} and {place.masks[0]}" if place.masks else str(place.images)
    known = ", ".join(ENDINGS[1:])
    advice = f"rename them: a mask has the name of its image, also with {known} after it or mask_ before"
    return f"folder: {count} in {both}: {what_would_match(images, masks)}; {advice}"
