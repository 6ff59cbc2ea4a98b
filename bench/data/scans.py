"""The user's own volumes: NIfTI files of images and of labels, paired by name; every slice is a sample."""

import os
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from bench.data import Source
from bench.data.decoded import Decoded
from bench.data.facts import MaskFacts, known_facts, levels_in
from bench.data.files import collected, counted, files_in, first_few, reading, state_of
from bench.data.grids import Turn, turned
from bench.data.layouts import Found
from bench.data.levels import Rule, absent, numbers_of, rule_of
from bench.data.matching import Match, matched
from bench.data.nnunet import case_of, check_channels
from bench.data.recent import recent
from bench.data.sample import Options, Sample
from bench.data.trees import DEPTH, places_in, shown
from bench.data.volumes import LOCKS, checked_pair, image_slice, read_array, refuse_no_numbers, whole_numbers
from bench.errors import UserError

KINDS = (".nii.gz", ".nii")
OTHERS = (".mha", ".mhd", ".nrrd", ".dcm")  # volumes that are not read


def read(source: Source, root: Path, options: Options, classes: tuple[str, ...], problems: list[str]) -> Found | None:
    """The volumes under `root`; None where there are none. Raises UserError for one that is laid out in another way."""
    counts = _kinds_in(root)
    if not counts[KINDS]:
        if counts[OTHERS] and not counts[()]:
            advice = "volumes are read only from NIfTI (.nii.gz, .nii), so convert them, for example with SimpleITK"
            raise UserError(f"folder: {root} holds {counts[OTHERS]} files of {', '.join(OTHERS)}; {advice}")
        return None
    notes: list[str] = []
    places = places_in(source, root, options, KINDS, notes)
    check_channels(stem for place in places for stem in files_in(place.images, KINDS))
    matches = matched(places, KINDS, problems)
    rule = _rule(matches, classes, options, problems, notes)
    sides = {place.side: tuple[Sample, ...]() for place in places}
    for side, found in matches.items():
        for match in found:
            with collected(problems):
                sides[side] += tuple(_slices(match, rule))
    if bare := _without_spacing(sides):
        notes.append(
            f"no spacing is known of {counted(len(bare), 'volume')}, so distances are in pixels: {first_few(bare)}"
        )
    count = sum(map(len, matches.values()))
    return Found(
        f"{count} volumes in NIfTI files, {shown(root, places)}, slices along the third axis", sides, classes, "volume",
        "each volume counts as a patient", patients=True, protocol="per_volume", notes=notes,
    )  # fmt: skip


def _kinds_in(root: Path) -> dict[tuple[str, ...], int]:
    """How many files below `root` are NIfTI, volumes of another kind, and neither."""
    counts: dict[tuple[str, ...], int] = {KINDS: 0, OTHERS: 0, (): 0}
    for at, folders, files in os.walk(root, followlinks=True):
        if len(Path(at).relative_to(root).parts) >= DEPTH:
            folders.clear()
        for name in files:
            counts[next((kinds for kinds in (KINDS, OTHERS) if name.lower().endswith(kinds)), ())] += 1
    return counts


def _rule(
    matches: dict[str, list[Match]], classes: tuple[str, ...], options: Options, problems: list[str], notes: list[str]
) -> Rule:  # fmt: skip
    """What the labels mean, judged over the data set. Files that cannot be read are named where they are listed."""
    labels = [label for found in matches.values() for match in found for label in match.masks]
    facts = known_facts(labels, look_at_labels, TypeAdapter(MaskFacts))
    problems += dict.fromkeys(one.fault for one in facts.values() if one.fault)
    known = {path: one for path, one in facts.items() if not one.fault}
    rule = rule_of(known, classes, options, problems)
    notes += absent(rule, known, classes)
    return rule


def look_at_labels(path: Path) -> MaskFacts:
    """The labels of a volume with their voxels; `size` is its voxels and 1."""
    try:
        with reading("volume", path):
            values = whole_numbers(read_array(path, "label"))
            refuse_no_numbers(values, path)
            is_finite, levels = np.isfinite(values).all(), levels_in(values)
    except UserError as error:
        return MaskFacts(fault=str(error))
    if not is_finite:
        return MaskFacts(fault=f"{path} holds labels that are not finite numbers ({values.dtype}); write it again")
    return MaskFacts((values.size, 1), tones=levels, numbers=levels)


def _slices(match: Match, rule: Rule) -> list[Sample]:
    """A sample for each slice of a volume. Raises UserError where image and labels do not fit."""
    if len(match.masks) > 1:
        names = " and ".join(path.name for path in match.masks)
        raise UserError(f"folder: {match.image} has several files of labels, {names}; keep one, or join them")
    name, label = case_of(match.name), match.masks[0]
    shape, spacing, turn = checked_pair(match.image, label, trusted=True)
    return [
        Sample(
            f"{name}_slice_{at + 1:03d}", name, partial(image_slice, (match.image,), at),
            partial(ruled_slice, rule, label, turn, at), (match.image, label), name, spacing,
        )
        for at in range(shape[0])
    ]  # fmt: skip


def ruled_slice(rule: Rule, path: Path, turn: Turn, at: int) -> np.ndarray:
    """uint8 (height, width) class numbers of one slice of a volume of labels, by what their levels mean."""
    with reading("volume", path), LOCKS[path]:
        return _ruled_volume(rule, path, turn, state_of(path))[at].copy()


@recent(16)  # as for other volumes: the slices of one are mostly asked for in a row
def _ruled_volume(rule: Rule, path: Path, turn: Turn, state: tuple[int, ...]) -> np.ndarray:
    values = turned(whole_numbers(read_array(path, "label")), turn)
    return numbers_of(rule, Decoded(values, values), path)


def _without_spacing(sides: dict[str, tuple[Sample, ...]]) -> list[str]:
    volumes = {one.volume for part in sides.values() for one in part}
    known = {one.volume for part in sides.values() for one in part if one.spacing}
    return sorted(volumes - known) if known != volumes else []
