"""The tables of a section: which rows and columns each has, and the notes a reader needs below it."""

from bench.quantities import DiceSpec
from bench.read.paired import LEVEL
from bench.read.rows import Row
from bench.read.sections import Section
from bench.report.columns import MAIN, PAIRED, Table, accuracy, table
from bench.report.text import prose, remarks


def tables(section: Section) -> list[Table]:
    """Cost beside accuracy; then, where something was scored, accuracy in full and every network against one."""
    found = [table("main", "Accuracy and cost", MAIN, section.rows, *notes(section))]
    if scored := [row for row in section.rows if row.dice]:
        told = remarks("accuracy_notes", section)
        found.append(table("accuracy", "Accuracy in full", accuracy(section), scored, *told))
    if section.reference and section.paired:
        caption, note = f"Paired with {section.reference.title}", prose("paired", section, LEVEL)
        found.append(table("paired", caption, PAIRED, section.paired, note))
    return found


def notes(section: Section) -> list[str]:
    """Conditions, conventions, doubts and failures: what a reader must know beside the figures."""
    return remarks("section_notes", section, _seeds(section))


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
