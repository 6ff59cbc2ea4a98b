"""What the levels of a user's masks mean, judged over the data set and never file by file; and the reader that follows.

A file of 0 and 1 may be of one class, or of several of which it holds the first: only the other files tell.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.broken import grouped, naming
from bench.data.decoded import COLOR, Decoded, decode_mask
from bench.data.facts import MaskFacts, facts_of_images, facts_of_masks
from bench.data.files import counted, first_few, same_bytes
from bench.data.images import check_same_size
from bench.data.sample import Options
from bench.data.scales import Pair, image_reader, usual_turn
from bench.data.turns import header_of, is_upright, turned
from bench.errors import UserError

Rule = tuple[str, tuple[Any, ...]]  # of plain values, for the reader's arguments are part of a digest's key
LEVEL = re.compile(r"\d+(\.\d+)?")
RANGE = re.compile(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?")
MANY = 20  # levels from which on they are no classes
USUAL = "a mask of one class holds 0 and 1, or 0 and 255"


Reader = Callable[[Path, tuple[Path, ...]], np.ndarray]  # of an image and its masks


def readers(
    pairs: Sequence[Pair], classes: Sequence[str], options: Options, problems: list[str], notes: list[str]
) -> tuple[list[Pair], Reader, Reader]:
    """The pairs that can be read, the reader of an image with its masks, and that of its masks with the image.

    See `whole`, `image_reader` and `mask_reader`.
    """
    kept = whole(pairs, problems)
    problems += _copied(kept)
    return kept, image_reader(kept, problems, notes), mask_reader(kept, classes, options, problems, notes)


def mask_reader(
    pairs: Sequence[Pair], classes: Sequence[str], options: Options, problems: list[str], notes: list[str]
) -> Reader:
    """The reader of one image's masks, which are united: class numbers, uint8 (height, width), sized as the image.

    All masks are decoded to judge what their levels mean. What cannot be told is one line in `problems`, for the whole
    data set; what is worth knowing is one in `notes`. Files that cannot be read are not judged: `whole` tells of them.
    Raises UserError for options that contradict each other.
    """
    found = facts_of_masks([mask for _, masks in pairs for mask in masks])
    facts = {path: one for path, one in found.items() if not one.fault}
    if several := sum(len(masks) > 1 for _, masks in pairs):
        notes.append(f"{several} of {len(pairs)} images have several masks, which are united, instances too")
    rule = rule_of(facts, tuple(classes), options, problems)
    notes += absent(rule, facts, classes)
    return partial(read_united, rule, usual_turn(pairs, facts_of_images([image for image, _ in pairs]), found)[0])


def whole(pairs: Sequence[Pair], problems: list[str]) -> list[Pair]:
    """The pairs whose files can all be read; the files of the others are lines in `problems`, one for each fault."""
    images = facts_of_images([image for image, _ in pairs])
    masks = facts_of_masks([mask for _, of_one in pairs for mask in of_one])
    faults = {path: one.fault for known in (images, masks) for path, one in known.items() if one.fault}
    problems += grouped(([str(path)], fault) for path, fault in faults.items())
    return [(image, of_one) for image, of_one in pairs if not faults.keys() & {image, *of_one}]


def _copied(pairs: Sequence[Pair]) -> list[str]:
    """The fault of masks that are copies of their images; where all pixels are alike, both may be so."""
    facts = facts_of_masks([mask for _, masks in pairs for mask in masks])
    shown = [(image, mask) for image, masks in pairs for mask in masks if len(facts[mask].tones) > 1]
    if not (found := [mask for image, mask in shown if same_bytes((image, mask))]):
        return []
    told = (
        f"{counted(len(found), 'mask')} {'is a copy' if len(found) == 1 else 'are copies'} of the image, byte for byte"
    )
    return [f"{told}: {first_few([mask.name for mask in found])}; get the masks, or give their folder with --masks"]


def read_united(rule: Rule, turn: str, image: Path, masks: tuple[Path, ...]) -> np.ndarray:
    """The class numbers in the masks of one image, uint8 (height, width). Raises UserError for what `rule` forbids."""
    with naming(masks[0]):
        decoded = [decode_mask(path) for path in masks]
        header = header_of(image)
        upright = is_upright(turn, header, [(one.tones.shape, one.turn) for one in decoded])
        size = header.upright if upright else header.size
        united = np.zeros(size, np.uint8)
        for path, one in zip(masks, decoded, strict=True):
            values = numbers_of(rule, one, path)
            values = turned(values, one.turn) if upright else values
            check_same_size(image, size, path, values.shape)
            if ((united != 0) & (values != 0) & (united != values)).any():
                advice = "a pixel has one class, so correct them"
                raise UserError(f"{' and '.join(map(str, masks))} give the same pixels different classes; {advice}")
            united = np.maximum(united, values)
        return united


def numbers_of(rule: Rule, mask: Decoded, path: Path) -> np.ndarray:
    """The class numbers of one mask as stored."""
    kind, known = rule
    if kind == "foreground":
        inside = [(mask.numbers >= low) & (mask.numbers <= high) for low, high in known]
        return np.logical_or.reduce(inside).astype(np.uint8)
    if kind == "seen" and mask.lossy:
        return (mask.tones > 127).astype(np.uint8)
    values = mask.tones if kind == "seen" else mask.numbers
    numbers = np.zeros(values.shape, np.uint8)
    left = values != (0 if kind == "seen" else known[0])
    if kind == "seen":
        allowed = np.isin(values, (*known, 1) if mask.bilevel else known)
        numbers[left & allowed] = 1
    else:
        for number, level in enumerate(known[1:], start=1):
            numbers[values == level] = number
        allowed = np.isin(values, known)
    if (wrong := np.unique(values[left & ~allowed])).size:
        held = first_few([_named(level) for level in wrong.tolist()], 8)
        if kind == "seen":
            raise UserError(f"{path} holds the levels {held}, which the data set's other masks lack; correct it")
        raise UserError(
            f"{path} holds the levels {held}; allowed are {_joined(known)}; correct it, or name its classes"
        )
    return numbers


# ---- the judgement ---------------------------------------------------------------------------------------------------


def rule_of(facts: Mapping[Path, MaskFacts], classes: tuple[str, ...], options: Options, problems: list[str]) -> Rule:
    """What the levels mean: by the options, else what is not black is the one class. What is unclear is a problem."""
    if options.foreground and (options.levels or len(classes) > 1):
        other = "--levels" if options.levels else "--classes with several names"
        raise UserError(f"--foreground names the levels of one class, and {other} those of several; give one of them")
    if options.foreground:
        rule: Rule = "foreground", tuple(_range(text) for text in options.foreground)
    elif options.levels or len(classes) > 1:
        rule = "levels", _levels(options.levels, classes)
    else:
        return _seen(facts, problems)
    problems += _faults_of_numbers(rule, facts, classes)
    return rule


def _range(text: str) -> tuple[float, float]:
    found = RANGE.fullmatch(text)
    if not found or (found[2] and float(found[2]) < float(found[1])):
        raise UserError(f"--foreground takes levels by commas, such as 1,2 or 128-255; got '{text}'")
    return float(found[1]), float(found[2] or found[1])


def _levels(given: tuple[str, ...], classes: tuple[str, ...]) -> tuple[float, ...]:
    if not given:
        return tuple(range(len(classes) + 1))
    if not all(map(LEVEL.fullmatch, given)) or len(set(given)) < len(given):
        raise UserError(f"--levels takes each level once, by commas, such as 0,127,255; got '{','.join(given)}'")
    if len(given) != len(classes) + 1:
        names = f"--classes names {len(classes)}: {', '.join(classes)}"
        advice = "the first level is the background, so name a class for each of the others"
        raise UserError(f"--levels {','.join(given)} gives {len(given) - 1} classes a level, and {names}; {advice}")
    return tuple(map(float, given))


def _seen(facts: Mapping[Path, MaskFacts], problems: list[str]) -> Rule:
    """One class, by what is seen: black is the background, and one other level is the class."""
    if clashing := [path.name for path, one in facts.items() if one.clashes]:
        have = "has" if len(clashing) == 1 else "have"
        told = f"{counted(len(clashing), 'mask')} {have} transparent pixels and several colors in the others"
        fault = f"{told}: {first_few(clashing)}"
        advice = "save them in black and white, without transparency"
        problems.append(f"{fault}; color and transparency show different regions, so {advice}")
        return "seen", (1, 255)
    lossless = [one for one in facts.values() if not one.lossy]
    held = {level for one in lossless if not one.bilevel for level, _ in one.tones} - {0}
    if held and not (len(held) == 1 and (held <= {1, 255} or min(held) >= COLOR)):
        problems.append(_unclear(lossless))
    elif fault := _unclear_lossy({path: one for path, one in facts.items() if one.lossy}):
        problems.append(fault)
    else:
        problems += _all_alike(facts, sum(map(_bright, facts.values())))
    return "seen", tuple(held)


def _bright(mask: MaskFacts) -> int:
    """The foreground's pixels in a mask of one class."""
    return sum(count for level, count in mask.tones if level > (127 if mask.lossy else 0))


def _all_alike(facts: Mapping[Path, MaskFacts], foreground: int) -> list[str]:
    """The fault of masks that are all empty, or all full."""
    pixels = sum(one.size[0] * one.size[1] for one in facts.values())
    if not facts or foreground not in (0, pixels):
        return []
    what, other = ("empty", "background") if not foreground else ("full", "foreground")
    levels = _listed(facts.values())
    advice = "get masks that show a region, or say with --foreground which levels are one"
    return [f"all {len(facts)} masks are {what}: every pixel is {other} (levels {levels}); {advice}"]


def _unclear(masks: Sequence[MaskFacts]) -> str:
    """The fault of lossless masks whose levels are not those of one class."""
    levels = sorted({level for one in masks for level, _ in one.numbers})
    told = f"the masks hold the levels {_listed(masks)}; {USUAL}"
    if max(levels) >= COLOR:
        advice = "save one class in black and white, and several as gray levels or palette numbers 0, 1, 2 ..."
        return f"{told}; colors do not say which class is meant, so {advice}"
    if any(level != int(level) for level in levels):
        return f"{told}; if they are probabilities, give those over your threshold: --foreground 0.5-1"
    if levels[0] < 0:
        return f"{told}; levels below 0 name no class, so write the masks again, with 0 for the background"
    above = [level for level in levels if level]
    ways = []
    if 2 <= len(above) <= MANY:
        names = "--classes " + ",".join(f"NAME{number}" for number in range(1, len(above) + 1))
        is_counted = above == list(range(1, len(above) + 1))
        ways.append(names + ("" if is_counted else f" --levels {_joined([0, *above])}") + " if each is a class")
    if len(above) <= 6:
        ways.append(f"--foreground {_joined(above)} if all of them are the one class")
    elif len(above) <= MANY or max(above) != 255:
        ways.append(f"--foreground {above[0]:g}-{above[-1]:g} if all of them are the one class (numbered objects)")
    else:
        ways.append("--foreground 128-255 if what is brighter than half is the class (blurred edges)")
    return f"{told}; say what they mean: {', or '.join(ways)}{_on_ignored(above)}"


def _on_ignored(levels: Sequence[float]) -> str:
    """A sentence on 255 beside numbers of classes, which in many data sets marks what is not scored; else empty."""
    if 255 not in levels or not any(1 < level <= MANY for level in levels):
        return ""
    return "; if 255 marks pixels to ignore: every pixel is scored here, so write 0 for them, or make it a class"


def _unclear_lossy(masks: Mapping[Path, MaskFacts]) -> str:
    """The fault of JPEG masks that are not near 0 and 255; empty if they are, or where all are black."""
    counts: Counter[int] = Counter()
    for one in masks.values():
        counts.update({int(level): count for level, count in one.tones})
    between = sum(count for level, count in counts.items() if 64 <= level < 192)
    high, top = sum(count for level, count in counts.items() if level >= 192), max(counts, default=0)
    # Edges lie anywhere between, a class of its own on one level and its neighbors.
    spike = max((sum(counts[level] for level in range(at - 4, at + 5)) for at in range(64, 192)), default=0)
    is_dark = 0 < top < 64 and not high
    is_class = between > 0.02 * (between + high) and spike > 0.4 * between
    if not masks or not (is_dark or is_class or between > high):
        return ""
    kind = f"the masks in JPEG ({len(masks)}) have levels from 0 to {top}" + (
        "" if is_dark else f", {between} pixels between 64 and 191"
    )
    advice = "save them as PNG from the original, since JPEG changes class numbers, or give --foreground 1-255"
    least = 128 if high else top // 2 + 1
    advice = advice if is_dark else f"save them as PNG from the original, or give --foreground {least}-255"
    return f"{kind}: {first_few([path.name for path in masks])}; JPEG masks should be near 0 or 255, so {advice}"


def _faults_of_numbers(rule: Rule, facts: Mapping[Path, MaskFacts], classes: tuple[str, ...]) -> list[str]:
    """What contradicts the levels that the user gave."""
    kind, known = rule
    lossy = [path.name for path, one in facts.items() if one.lossy]
    is_exact = kind == "levels" or any(low == high for low, high in known)
    if lossy and is_exact:
        advice = "save them as PNG from the original"
        advice += "" if kind == "levels" else ", or give a range such as --foreground 128-255"
        is_jpeg = "is" if len(lossy) == 1 else "are"
        told = f"{counted(len(lossy), 'mask')} {is_jpeg} JPEG, which blurs levels"
        return [f"{told}: {first_few(lossy)}; {advice}"]
    counts: Counter[float] = Counter()
    for one in facts.values():
        counts.update(dict(one.numbers))
    if kind == "foreground":
        inside = sum(n for level, n in counts.items() if any(low <= level <= high for low, high in known))
        return _all_alike(facts, inside)
    if set(counts) - set(known):
        names = zip(("background", *classes), known, strict=True)
        allowed = ", ".join(f"{level:g} ({name})" for name, level in names)
        advice = "correct the masks, name more classes, or give their levels: --levels 0,127,255"
        advice += _on_ignored([*counts]) if 255 not in known else ""
        return [f"the masks hold the levels {_listed(facts.values())}; allowed are {allowed}; {advice}"]
    return _all_alike(facts, sum(count for level, count in counts.items() if level != known[0]))


def absent(rule: Rule, facts: Mapping[Path, MaskFacts], classes: Sequence[str]) -> list[str]:
    """The note on classes, or levels of the one class, that no mask holds; empty where each is held."""
    kind, known = rule
    held = {level for one in facts.values() for level, _ in one.numbers}
    if kind == "levels":
        named = zip(known[1:], classes, strict=True)
        lacking = [f"{level:g} ({name})" for level, name in named if level not in held]
    elif kind == "foreground":
        ranges = [(low, high) for low, high in known if not any(low <= level <= high for level in held)]
        lacking = [f"{low:g}" if low == high else f"{low:g}-{high:g}" for low, high in ranges]
    else:
        return []
    if not facts or not lacking:
        return []
    is_meant = "is that level meant?" if len(lacking) == 1 else "are those levels meant?"
    return [f"no mask holds {first_few(lacking, 8)}: {is_meant}"]


def _listed(masks: Any) -> str:
    """Levels with their pixels and files: "0 (12 pixels in 2 files), 1 (3 in 1)"."""
    pixels: Counter[float] = Counter()
    files: Counter[float] = Counter()
    for one in masks:
        pixels.update(dict(one.numbers))
        files.update(level for level, _ in one.numbers)
    told = [f"{_named(level)} ({pixels[level]} in {files[level]})" for level in sorted(pixels)]
    if told:
        least = min(pixels)
        first = f"{counted(pixels[least], 'pixel')} in {counted(files[least], 'file')}"
        told[0] = f"{_named(least)} ({first})"
    return first_few(told, 6)


def _named(level: float) -> str:
    return f"#{int(level) - COLOR:06x}" if level >= COLOR else f"{level:g}"


def _joined(levels: Sequence[float]) -> str:
    return ",".join(f"{level:g}" for level in levels)
