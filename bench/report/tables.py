"""The tables of a section: which rows, which columns, and what a reader must know beside the figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.quantities import DiceSpec, TrainSpec
from bench.read.paired import LEVEL
from bench.read.rows import Row
from bench.read.sections import Section
from bench.report.columns import (
    MAIN,
    PAIRED,
    PARTIAL,
    TAINTED,
    UNVERIFIED,
    Cell,
    Column,
    accuracy,
    cells,
    worth_showing,
)
from bench.report.units import NONE


@dataclass(frozen=True)
class Table:
    """A caption, columns, a line a network (its title, then its cells), and notes."""

    caption: str
    columns: tuple[Column, ...]
    lines: tuple[tuple[str, tuple[Cell, ...]], ...]
    notes: tuple[str, ...]


def table(caption: str, columns: Sequence[Column], rows: Sequence[Any], *notes: str) -> Table:
    """A table of rows that have a title, without what none of them has."""
    shown = worth_showing(columns, rows)
    lines = zip((row.title for row in rows), cells(shown, rows), strict=True)
    return Table(caption, shown, tuple(lines), notes)


def tables(section: Section) -> list[Table]:
    """Cost beside accuracy; then, where something was scored, accuracy in full and every network against one."""
    found = [_main(section)]
    if any(row.dice for row in section.rows):
        found.append(_accuracy(section))
    compared = _paired(section)
    return [*found, compared] if compared else found


def _main(section: Section) -> Table:
    return table("Accuracy and cost", MAIN, section.rows, *notes(section))


def _accuracy(section: Section) -> Table:
    rows = [row for row in section.rows if row.dice]
    return table("Accuracy in full", accuracy(section), rows, *_accuracy_notes(section))


def _paired(section: Section) -> Table | None:
    reference, found = section.reference, section.paired
    if not reference or not found:
        return None
    unit = section.protocol.units
    others = f"{len(found)} network{'s' if len(found) > 1 else ''}"
    note = (
        f"each network's Dice less {reference.title}'s on the same {unit}{_paired_by(section)}, where both have one: "
        f"mean and 95 % bootstrap interval; won and lost are shares of the {unit}; p by Wilcoxon's signed-rank test, "
        f"two-sided, then corrected by Holm over {others}: below {LEVEL:g} chance is an unlikely reason. Both speak of "
        "other images, not of other trainings: for these train with several seeds"
    )
    return table(f"Paired with {reference.title}", PAIRED, found, note)


def _paired_by(section: Section) -> str:
    return ", each image by itself," if section.protocol.name == "pooled" else ""


def notes(section: Section) -> list[str]:
    """What a reader must know beside the figures: conditions, conventions, doubts, failures."""
    lines = [*_conditions(section)]
    for row in section.rows:
        lines += [f"{row.title}: {note}" for note in row.notes]
        if row.cost and row.cost.doubt:
            lines.append(f"{UNVERIFIED} {row.title}: multiply-adds unverified, {row.cost.doubt}")
        lines += [f"{TAINTED} {row.title}: {why}" for why in row.taints]
        if row.undefined:
            lines.append(f"{row.title}: {row.undefined} scores left out, for truth and prediction are both empty")
        if row.weights_file and section.dice and section.dice.train:
            lines.append(f"{row.title}: trained elsewhere, not by the setting above")
        lost, asked = row.lost_seeds
        if lost and row.dice:
            lines.append(f"{PARTIAL} {row.title}: {asked - lost} of {asked} trainings gave a result; the others failed")
        lines += [f"{row.title}: {failure}" for failure in row.failures]
    return lines


def _conditions(section: Section) -> list[str]:
    lines = [f"machine: {section.environment.title}; torch {section.environment.packages.get('torch', NONE)}"]
    if section.cost:
        lines.append(
            "GMAC: thousand million multiply-adds for one image of "
            f"{section.cost.channels}x{section.cost.size}x{section.cost.size}, one multiply-add counted as one; "
            "GFLOP = 2 x GMAC; fvcore also counts normalisation and resizing"
        )
    if spec := section.latency:
        lines.append(
            f"latency: batch {spec.batch}, {spec.device}, {spec.precision}, {spec.threads} threads, eager; "
            "median of the medians of fresh processes, in brackets the fastest and the slowest process"
        )
    if any(row.memory for row in section.rows):
        lines.append("memory: the peak of one forward pass in a fresh process, weights included")
    if scored := section.dice:
        unit = f"{section.protocol.units}, then over classes" if scored.labels else section.protocol.units
        how = f"one confusion matrix for all {unit}" if section.protocol.name == "pooled" else f"mean over {unit}"
        lines.append(
            f"Dice: {scored.dataset} test split, {_tested(section, scored)}, {how} ({section.protocol.name}), in "
            f"brackets the 95 % bootstrap interval{_deviation(section)}; {_weights(section, scored)}"
        )
    return lines


def _tested(section: Section, scored: DiceSpec) -> str:
    """How many images were scored, and at what size."""
    found = [scores.images for row in section.rows for scores in row.trainings]
    count = len({image.id for image in found[0]}) if found else 0
    images = f"{count} images" + (" of it" if scored.test_images else "")
    at = "at the slices' own size" if scored.protocol == "per_volume" else f"resized to {scored.size}x{scored.size}"
    return f"{images} {at}"


def _deviation(section: Section) -> str:
    many = any(row.dice and row.dice.seeds > 1 for row in section.rows)
    return ", after ± the standard deviation over seeds" if many else ""


def _weights(section: Section, scored: DiceSpec) -> str:
    if scored.train is None:
        names = sorted({row.weights_file for row in section.rows if row.weights_file})
        return f"weights from {', '.join(names)}, trained elsewhere"
    start = "encoders pre-trained" if section.pretrained else "no pre-training"
    return f"{start}, {training(scored.train)}, {_seeds(section)}, {_chosen(scored.train)}"


def training(train: TrainSpec) -> str:
    """The setting of a training in words, but for its seed."""
    devices = f" on {train.devices} devices" if train.devices > 1 else ""
    limited = f" (of {train.train_images} images only)" if train.train_images else ""
    return (
        f"{train.steps} steps of {train.batch} images{limited} in {train.precision}{devices}, Dice + cross-entropy, "
        f"AdamW (learning rate {train.learning_rate:g}, weight decay {train.weight_decay:g}), warm-up over "
        f"{100 * train.warmup_share:g} % of the steps then cosine, gradients clipped to {train.clip_norm:g}, "
        f"augmentation {train.augmentation}"
    )


def _chosen(train: TrainSpec) -> str:
    stop = f", stopped after {train.patience} checks without gain" if train.patience else ""
    return f"the best of {-(-train.steps // train.leg)} checkpoints on {checked(train)}{stop}"


def checked(train: TrainSpec) -> str:
    """What a training is checked on."""
    return f"{train.val_images} images of val" if train.val_images else "val"


def _seeds(section: Section) -> str:
    """The seeds that all were trained with, then who was trained with more."""
    seeds = {row.title: _seeds_of(row) for row in section.rows if row.dice and not row.weights_file}
    common = set.intersection(*seeds.values()) if seeds else set()
    found = [_numbers("seed", common)] if common else []
    for more in sorted({tuple(sorted(own - common)) for own in seeds.values()} - {()}):
        names = " and ".join(title for title, own in seeds.items() if tuple(sorted(own - common)) == more)
        found.append(f"{names} also with {_numbers('seed', set(more))}")
    return ", ".join(found)


def _seeds_of(row: Row) -> set[int]:
    specs = [record.job.spec for record in row.records]
    return {spec.train.seed for spec in specs if isinstance(spec, DiceSpec) and spec.train}


def _numbers(name: str, numbers: set[int]) -> str:
    return f"{name}{'s' if len(numbers) > 1 else ''} {', '.join(map(str, sorted(numbers)))}"


def _accuracy_notes(section: Section) -> list[str]:
    lines = [
        "sensitivity: share of the true pixels that were found; precision: share of the found pixels that are true; "
        "Dice pooled: one confusion matrix for the whole split",
    ]
    if any(row.hd95 for row in section.rows):
        flat = section.protocol.units == "volumes" and section.distance_unit == "px"
        step = "; from slice to slice counts as one pixel, for the files give no spacing" if flat else ""
        lines.append(
            "HD95: the larger of the two directed 95th percentiles of the outlines' distance, in "
            f"{section.distance_unit}, lower is better; where only one of truth and prediction is empty, the diagonal "
            f"of the image{step}"
        )
    for name in ("sensitivity", "precision"):
        left_out = {row.title: row.left_out(name) for row in section.rows if row.dice}
        if any(left_out.values()):
            each = ", ".join(f"{title} {count}" for title, count in left_out.items() if count)
            empty = "the truth" if name == "sensitivity" else "the prediction"
            lines.append(f"{name} leaves out where {empty} is empty: {each}")
    if len(section.trained_on) > 1:
        lines.append(f"trained on {' and '.join(sorted(section.trained_on))}, so their speeds are not compared")
    elif any(row.train_images_per_s for row in section.rows):
        lines.append(f"trained on {', '.join(section.trained_on)}")
        lines.append("training: images a second from the median step (forward, backward, update), loading left out")
    return lines
