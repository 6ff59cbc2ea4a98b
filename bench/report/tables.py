"""The tables of a section: which rows and columns each has, and the notes a reader needs below it."""

from collections.abc import Iterator

from bench.quantities import DiceSpec
from bench.quantities.protocols import Measure
from bench.read.paired import LEVEL
from bench.read.rows import Row
from bench.read.sections import Section
from bench.report.columns import MAIN, PAIRED, PARTIAL, TAINTED, UNVERIFIED, Table, accuracy, table
from bench.report.text import prose


def tables(section: Section) -> list[Table]:
    """Cost beside accuracy; then, where something was scored, accuracy in full and every network against one."""
    found = [table("main", "Accuracy and cost", MAIN, section.rows, *notes(section))]
    if scored := [row for row in section.rows if row.dice]:
        found.append(table("accuracy", "Accuracy in full", accuracy(section), scored, *_accuracy_notes(section)))
    if section.reference and section.paired:
        caption, note = f"Paired with {section.reference.title}", prose("paired", section, LEVEL)
        found.append(table("paired", caption, PAIRED, section.paired, note))
    return found


def notes(section: Section) -> list[str]:
    """Conditions, conventions, doubts and failures: what a reader must know beside the figures."""
    lines = list(_conditions(section))
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


def _conditions(section: Section) -> Iterator[str]:
    yield prose("machine", section.environment)
    if section.cost:
        yield prose("cost", section.cost)
    if section.latency:
        yield prose("latency", section.latency)
    if any(row.memory for row in section.rows):
        yield prose("memory")
    if section.dice:
        scored = [{image.id for image in scores.images} for row in section.rows for scores in row.trainings]
        yield prose("dice", section, section.dice, len(scored[0]) if scored else 0, _seeds(section))


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


def _accuracy_notes(section: Section) -> Iterator[str]:
    yield prose("scores")
    if any(row.hd95 for row in section.rows):
        yield prose("hd95", section)
    measures: tuple[tuple[Measure, str], ...] = (("sensitivity", "truth"), ("precision", "prediction"))
    for name, empty in measures:
        counts = [(row.title, row.left_out(name)) for row in section.rows if row.dice]
        if left_out := ", ".join(f"{title} {count}" for title, count in counts if count):
            yield f"{name} leaves out where the {empty} is empty: {left_out}"
    if len(section.trained_on) > 1:
        yield f"trained on {' and '.join(sorted(section.trained_on))}, so their speeds are not compared"
    elif any(row.train_images_per_s for row in section.rows):
        yield f"trained on {', '.join(section.trained_on)}"
        yield prose("training_speed")
