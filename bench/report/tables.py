"""The tables of a section: which rows and columns each has, and the notes a reader needs below it."""

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
from bench.report.text import prose
from bench.report.units import NONE


@dataclass(frozen=True)
class Table:
    """A table by its `key`, which no other table of its part has: caption, columns, lines and notes.

    A line is a network's title and its cells. `origins` has for each line the title of the row whose records are behind
    it: that of "U-Net, folded" is "U-Net".
    """

    key: str
    caption: str
    columns: tuple[Column, ...]
    lines: tuple[tuple[str, tuple[Cell, ...]], ...]
    notes: tuple[str, ...]
    origins: tuple[str, ...]


def table(key: str, caption: str, columns: Sequence[Column], rows: Sequence[Any], *notes: str) -> Table:
    """A table of rows that have a title, without the optional columns in which none has a value."""
    shown = worth_showing(columns, rows)
    lines = zip((row.title for row in rows), cells(shown, rows), strict=True)
    return Table(key, caption, shown, tuple(lines), notes, tuple(getattr(row, "origin", row.title) for row in rows))


def tables(section: Section) -> list[Table]:
    """Cost beside accuracy; then, where something was scored, accuracy in full and every network against one."""
    found = [table("main", "Accuracy and cost", MAIN, section.rows, *notes(section))]
    if scored := [row for row in section.rows if row.dice]:
        found.append(table("accuracy", "Accuracy in full", accuracy(section), scored, *_accuracy_notes(section)))
    if section.reference and section.paired:
        found.append(_paired(section, section.reference))
    return found


def _paired(section: Section, reference: Row) -> Table:
    count = len(section.paired)
    note = prose(
        "paired", reference=reference.title, units=section.protocol.units, level=LEVEL,
        each=", each image by itself," if section.protocol.name == "pooled" else "",
        others=f"{count} network{'s' if count > 1 else ''}",
    )  # fmt: skip
    return table("paired", f"Paired with {reference.title}", PAIRED, section.paired, note)


def notes(section: Section) -> list[str]:
    """Conditions, conventions, doubts and failures: what a reader must know beside the figures."""
    lines = _conditions(section)
    for row in section.rows:
        told = list(row.notes)
        if row.undefined:
            told.append(f"{row.undefined} scores left out, for truth and prediction are both empty")
        if row.weights_file and section.dice and section.dice.train:
            told.append("trained elsewhere, not by the setting above")
        lines += [f"{row.title}: {text}" for text in (*told, *row.failures)]
        if row.cost and row.cost.doubt:
            lines.append(f"{UNVERIFIED} {row.title}: multiply-adds unverified, {row.cost.doubt}")
        lines += [f"{TAINTED} {row.title}: {why}" for why in row.taints]
        lost, asked = row.lost_seeds
        if lost and row.dice:
            lines.append(f"{PARTIAL} {row.title}: {asked - lost} of {asked} trainings gave a result; the others failed")
    return lines


def _conditions(section: Section) -> list[str]:
    environment = section.environment
    lines = [prose("machine", machine=environment.title, torch=environment.packages.get("torch", NONE))]
    if section.cost:
        lines.append(prose("cost", spec=section.cost))
    if section.latency:
        lines.append(prose("latency", spec=section.latency))
    if any(row.memory for row in section.rows):
        lines.append(prose("memory"))
    if section.dice:
        lines.append(_scoring(section, section.dice))
    return lines


def _scoring(section: Section, scored: DiceSpec) -> str:
    """What was scored and how, and by what training."""
    protocol = section.protocol
    units = f"{protocol.units}, then over classes" if scored.labels else protocol.units
    mean = f"one confusion matrix for all {units}" if protocol.name == "pooled" else f"mean over {units}"
    many = any(row.dice and row.dice.seeds > 1 for row in section.rows)
    return prose(
        "dice", dataset=scored.dataset, tested=_tested(section, scored), mean=mean, protocol=protocol.name,
        deviation=", after ± the standard deviation over seeds" if many else "", weights=_weights(section, scored),
    )  # fmt: skip


def _tested(section: Section, scored: DiceSpec) -> str:
    """How many images were scored, and at what size."""
    found = [scores.images for row in section.rows for scores in row.trainings]
    count = len({image.id for image in found[0]}) if found else 0
    images = f"{count} images" + (" of it" if scored.test_images else "")
    at = "at the slices' own size" if scored.protocol == "per_volume" else f"resized to {scored.size}x{scored.size}"
    return f"{images} {at}"


def _weights(section: Section, scored: DiceSpec) -> str:
    train = scored.train
    if train is None:
        names = sorted({row.weights_file for row in section.rows if row.weights_file})
        return f"weights from {', '.join(names)}, trained elsewhere"
    start = "encoders pre-trained" if section.pretrained else "no pre-training"
    stop = f", stopped after {train.patience} checks without gain" if train.patience else ""
    best = f"the best of {-(-train.steps // train.leg)} checkpoints on {checked(train)}{stop}"
    return f"{start}, {training(train)}, {_seeds(section)}, {best}"


def training(train: TrainSpec) -> str:
    """The setting of a training in words, without its seed."""
    return prose(
        "training", train=train, warmup=100 * train.warmup_share,
        limited=f" (of {train.train_images} images only)" if train.train_images else "",
        devices=f" on {train.devices} devices" if train.devices > 1 else "",
    )  # fmt: skip


def checked(train: TrainSpec) -> str:
    """The images that a training is validated on."""
    return f"{train.val_images} images of val" if train.val_images else "val"


def _seeds(section: Section) -> str:
    """The seeds of all networks, then the networks that were trained with more."""
    seeds = {row.title: seeds_of(row) for row in section.rows if row.dice and not row.weights_file}
    common = set.intersection(*seeds.values()) if seeds else set()
    found = [_numbers("seed", common)] if common else []
    for more in sorted({tuple(sorted(own - common)) for own in seeds.values()} - {()}):
        names = " and ".join(title for title, own in seeds.items() if tuple(sorted(own - common)) == more)
        found.append(f"{names} also with {_numbers('seed', set(more))}")
    return ", ".join(found)


def seeds_of(row: Row) -> set[int]:
    """The seeds that a row's network was trained with."""
    specs = [record.job.spec for record in row.records]
    return {spec.train.seed for spec in specs if isinstance(spec, DiceSpec) and spec.train}


def _numbers(name: str, numbers: set[int]) -> str:
    return f"{name}{'s' if len(numbers) > 1 else ''} {', '.join(map(str, sorted(numbers)))}"


def _accuracy_notes(section: Section) -> list[str]:
    lines = [prose("scores")]
    if any(row.hd95 for row in section.rows):
        flat = section.protocol.units == "volumes" and section.distance_unit == "px"
        lines.append(prose("hd95", unit=section.distance_unit, step=prose("hd95_step") if flat else ""))
    for name, empty in (("sensitivity", "truth"), ("precision", "prediction")):
        counts = [(row.title, row.left_out(name)) for row in section.rows if row.dice]
        if left_out := ", ".join(f"{title} {count}" for title, count in counts if count):
            lines.append(f"{name} leaves out where the {empty} is empty: {left_out}")
    if len(section.trained_on) > 1:
        lines.append(f"trained on {' and '.join(sorted(section.trained_on))}, so their speeds are not compared")
    elif any(row.train_images_per_s for row in section.rows):
        lines += [f"trained on {', '.join(section.trained_on)}", prose("training_speed")]
    return lines
