"""Names by which people tell images from masks: of folders, of sides of a split, of files."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.data.files import composed, first_few

IMAGES = ("images", "image", "imgs", "img")
MASKS = ("masks", "mask", "labels", "label", "gt", "annotations", "annotation", "groundtruth", "ground_truth")
SIDES = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
ENDINGS = ("", "_mask", "_seg", "_segmentation", "_gt", "_label", "_labels")

# Words of folders' names, longer ones first. What only sometimes means images counts where nothing better is there.
_IMAGE = ("images", "image", "imgs", "img")
_PERHAPS_IMAGE = ("originals", "original", "orig", "inputs", "input", "pictures", "photos", "frames", "scans", "slices")
_MASK = (
    "groundtruths", "groundtruth", "segmentations", "segmentation", "segs", "seg", "annotations", "annotation", "anns",
    "anno", "ann", "labels", "label", "lbls", "lbl", "masks", "mask", "1stmanual", "2ndmanual", "manual", "gts", "gt",
    "lesions", "lesion", "targets", "target",
)  # fmt: skip
_SIDE = {
    "training": "train", "train": "train", "tr": "train", "validation": "val", "valid": "val", "val": "val",
    "testing": "test", "test": "test", "ts": "test",
}  # fmt: skip
_FILLER = ("dataset", "data", "folder", "files", "dir", "set", "class", "dermoscopic", "jpeg", "jpg", "png", "tif")
_WORD = re.compile("|".join([*_IMAGE, *_PERHAPS_IMAGE, *_MASK, *_SIDE, *_FILLER, r"stage\d"]))
_WORDS = re.compile(f"(?:{_WORD.pattern})+")

# Words at the end or the start of files' names, with what stands between them and the name.
_GAP = r"[ _.\-]*"
_MASK_WORD = (
    r"ground[ _\-]?truths?|segmentations?|segmented|segs?|gts?|binary[ _\-]?masks?|masks?|annotations?|annos?|labels?|"
    r"lbl|lesions?|(?:1st|2nd|[12])?(?:ho|manual|observer|annotator|rater|expert|reader)"
)
_MASK_END = re.compile(rf"(?:[ _.\-]+|(?<=[\d)]))(?P<word>{_MASK_WORD}){_GAP}(?P<number>\d*)$")
_MASK_START = re.compile(rf"^(?P<word>{_MASK_WORD})(?:[ _.\-]+|(?=\d))")
_PEOPLE = re.compile("manual|ho|observer|annotator|rater|expert|reader")
_IMAGE_END = re.compile(r"[ _.\-]+(?:images?|imgs?|training|train|test|orig(?:inal)?|raw|0000)$")
_BARE_IMAGE = re.compile("images?|imgs?|orig(?:inal)?|raw|ct|mri?|scan|volume")  # in a folder for each patient
_IMAGE_START = re.compile(r"^(?:images?|imgs?|orig(?:inal)?|raw)(?:[ _.\-]+|(?=\d))")


@dataclass(frozen=True)
class Role:
    """What the names of a folder and of those above it say: images or masks, of which side; the `rest` says neither.

    `what` is "images", "perhaps images", "masks" or "".
    """

    what: str
    side: str
    rest: tuple[str, ...]


def role_of(parts: Sequence[str]) -> Role:
    """The role of a folder by the parts of its path below the data set's root."""
    what, side, rest = "", "", list[str]()
    for at, part in enumerate(parts):
        own = folded(part)
        for above in parts[:at]:  # PH2 has IMD002/IMD002_lesion
            own = own.removeprefix(folded(above))
        plain = re.sub(r"[^0-9a-z]+", "", own)
        if not _WORDS.fullmatch(plain):
            rest.append(part)
            continue
        words = _WORD.findall(plain)
        side = next((_SIDE[word] for word in words if word in _SIDE), side)
        for name, known in (("perhaps images", _PERHAPS_IMAGE), ("images", _IMAGE), ("masks", _MASK)):
            what = name if any(word in known for word in words) else what
    return Role(what, side, tuple(rest))


def folded(name: str) -> str:
    """A name in which neither case nor the form of accented letters counts."""
    return composed(composed(name).casefold())


@dataclass
class Paired:
    """The masks by the name of their image, and what stays alone or is not clear, each in order."""

    masks: dict[str, list[Path]] = field(default_factory=dict)
    alone: list[Path] = field(default_factory=list)  # masks without an image
    unclear: dict[str, list[Path]] = field(default_factory=dict)  # two masks of which one is needed
    people: dict[str, list[Path]] = field(default_factory=dict)  # masks of several annotators


def pair(images: Iterable[str], masks: Iterable[tuple[str, Path]]) -> Paired:
    """Each mask, by its name without suffix, goes to the image that it is called after, in any case and Unicode form.

    A mask is called as its image, or so with a word for masks before or after, and perhaps a number. An image may have
    such a word too. Several masks of one image differ in the number alone.
    """
    owners = _Owners(images)
    found: dict[str, list[tuple[str, str, Path]]] = defaultdict(list)
    paired = Paired()
    for stem, path in masks:
        owner, word, number = owners.of(stem)
        if owner is None:
            paired.alone.append(path)
        else:
            found[owner].append((word, number, path))
    for name, parts in found.items():
        paths = [path for _, _, path in parts]
        if len(parts) > 1 and all(_PEOPLE.search(word) for word, _, _ in parts):
            paired.people[name] = paths
        elif len({word for word, _, _ in parts}) > 1 or len({number for _, number, _ in parts}) < len(parts):
            paired.unclear[name] = paths
        else:
            paired.masks[name] = paths
    return paired


class _Owners:
    """The images, to be found by the names of masks."""

    def __init__(self, images: Iterable[str]) -> None:
        self.exact = {folded(name): name for name in images}
        cores: dict[str, list[str]] = defaultdict(list)
        lead = _lead(list(self.exact))
        for key, name in self.exact.items():
            plain = _IMAGE_START.sub("", _IMAGE_END.sub("", key))
            for core in {plain, key.removeprefix(lead) if lead else plain} - {key, ""}:
                cores[core].append(name)
            if is_bare(name):
                cores[""].append(name)
        self.cores = {core: names[0] for core, names in cores.items() if len(names) == 1}

    def of(self, stem: str) -> tuple[str | None, str, str]:
        """(image, word, number) of a mask."""
        key = folded(stem)
        if key in self.exact:
            return self.exact[key], "", ""
        for core, word, number in _without_word(key):
            if owner := self.exact.get(core) or self.cores.get(core):
                return owner, word, number
        return self.cores.get(key), "", ""

    def by_word(self, key: str) -> str | None:
        """The image of a mask whose name has a word for masks."""
        found = (self.exact.get(core) or self.cores.get(core) for core, _, _ in _without_word(key))
        return next(filter(None, found), None)


def _without_word(key: str) -> list[tuple[str, str, str]]:
    """A mask's name without the word for masks, the word, and the number that follows it."""
    found = [("", key, "0")] if re.fullmatch(_MASK_WORD, key) else []
    if match := _MASK_END.search(key):
        found.append((key[: match.start()], match["word"], match["number"] or "0"))
    if match := _MASK_START.search(key):
        found.append((key[match.end() :], f"{match['word']} before", "0"))
    return found


def is_bare(name: str) -> bool:
    """Whether a file is called no more than that it is an image: then its folder says of whom."""
    return bool(_BARE_IMAGE.fullmatch(folded(name)))


def split_by_name(stems: Sequence[str]) -> tuple[list[str], list[str]]:
    """(images, masks) of the names in one folder: a mask is called as another one, with a word for masks."""
    owners = _Owners(stems)
    masks = {stem for stem in stems if owners.by_word(folded(stem)) not in (None, stem)}
    return [stem for stem in stems if stem not in masks], [stem for stem in stems if stem in masks]


def _lead(keys: Sequence[str]) -> str:
    """The letters before the first digit, where all names begin with the same: `bus_` of bus_0001-l and bus_0002-r."""
    leads = {key[: match.start()] if (match := re.search(r"\d", key)) else key for key in keys}
    return leads.pop() if len(leads) == 1 else ""


def what_would_match(images: Sequence[str], masks: Sequence[str]) -> str:
    """A sentence on how names that do not fit could: what most masks have before or after the name of their image."""
    keys, masked = [folded(name) for name in images], [folded(name) for name in masks]
    for owners, others, of in ((keys, masked, "the masks were called without"), (masked, keys, "the masks had")):
        affixes = Counter(
            (other[:at], other[at + len(key) :])
            for key in owners[:100] for other in others
            if key and other != key and (at := other.find(key)) >= 0
        )  # fmt: skip
        for (before, after), _ in affixes.most_common(1):
            there = set(others)
            count = sum(before + key + after in there for key in owners)
            if count > 1 or count == len(owners):
                parts = [f"'{before}' before"] * bool(before) + [f"'{after}' after"] * bool(after)
                return f"{count} of {len(images)} images would pair if {of} {' and '.join(parts)} the name"
    return f"the names have nothing in common: images {first_few(list(images))}; masks {first_few(list(masks))}"
