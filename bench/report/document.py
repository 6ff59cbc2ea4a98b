"""The content of a report, independent of its format: question, verdicts, parts with tables and figures, conditions.

Every format renders the same `Document`, so all formats have the same content.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.judge.verdict import Verdict
from bench.quantities import QUANTITIES
from bench.quantities.budget import BUDGETS
from bench.read.sections import Section, named
from bench.read.speeds import Speeds
from bench.report.columns import Table
from bench.report.example_images import Examples, examples
from bench.report.figures import Picture, pictures
from bench.report.speed_tables import speed_tables
from bench.report.tables import mean_ranks, published_table, tables
from bench.report.text import prose, sentences
from bench.run.store import Record


@dataclass(frozen=True)
class Part:
    """A heading with sentences, tables and pictures, from a `section` or from the `speeds` on a machine.

    `examples` are test images with outlines, if predictions and images are stored with the records.
    """

    name: str
    title: str
    says: tuple[str, ...]
    tables: tuple[Table, ...]
    pictures: tuple[Picture, ...]
    section: Section | None = None
    examples: Examples | None = None
    speeds: Speeds | None = None


@dataclass(frozen=True)
class Document:
    """All of a report, in the order in which it is read. `records` are those behind it, for tracing figures back."""

    machines: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    parts: tuple[Part, ...]
    commands: tuple[str, ...]
    records: tuple[Record, ...]

    @property
    def pictures(self) -> list[Picture]:
        """The pictures of all parts."""
        return [picture for part in self.parts for picture in part.pictures]


def document(
    records: Sequence[Record],
    found: Sequence[Section],
    timed: Sequence[Speeds],
    verdicts: Sequence[Verdict] = (),
    folders: Sequence[Path] = (),
) -> Document:
    """Put a report together from sections, speeds and verdicts; pictures of images from what lies in the `folders`."""
    parts = [_part(name, section, folders) for name, section in named(list(found)).items()]
    if ranks := mean_ranks(found):
        parts.append(Part("ranks", ranks.caption, (), (ranks,), ()))
    parts += [_speed_part(speeds, number) for number, speeds in enumerate(timed, 1)]
    measured = [record.machine for record in records if record.job.spec.quantity != "cost"]
    machines = dict.fromkeys(f"{machine.title}; torch {machine.packages.get('torch')}" for machine in measured)
    trained = [section for section in found if section.dice and section.dice.train]
    commands = [prose("training_command", section, BUDGETS.values()) for section in trained]
    commands += [prose("timing_command", speeds, QUANTITIES) for speeds in timed]
    return Document(tuple(machines), tuple(verdicts), tuple(parts), tuple(dict.fromkeys(commands)), tuple(records))


def _part(name: str, section: Section, folders: Sequence[Path]) -> Part:
    shown = examples(section, folders) if section.dice else None
    drawn = [picture for source in (section, shown) if source for picture in pictures(name, source)]
    says = (*sentences(section), *([prose("no_images")] if section.dice and not shown else []))
    told = (*tables(section), *filter(None, [published_table(section)]))
    return Part(name, prose("title", section), says, told, tuple(drawn), section, shown)


def _speed_part(speeds: Speeds, number: int) -> Part:
    name = f"{speeds.device}-{number}" if number > 1 else speeds.device
    told, drawn = speed_tables(speeds), pictures(name, speeds)
    return Part(name, prose("speed_title", speeds), (), tuple(told), tuple(drawn), speeds=speeds)
