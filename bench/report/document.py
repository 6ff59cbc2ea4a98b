"""The content of a report, independent of its format: question, verdicts, parts with tables and figures, conditions.

Every format renders the same `Document`, so all formats have the same content.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from bench.errors import first_line
from bench.judge.verdict import Verdict
from bench.quantities import QUANTITIES
from bench.quantities.budget import BUDGETS
from bench.read.across import overall, transfers
from bench.read.sections import Section, named
from bench.read.speeds import Speeds
from bench.report.across_tables import ranks_table, titled, transfer_sentences, transfer_table
from bench.report.columns import Table
from bench.report.example_images import Examples, examples
from bench.report.fewer import is_long, shortened
from bench.report.figures import Picture, pictures
from bench.report.speed_tables import speed_tables
from bench.report.tables import published_table, tables
from bench.report.text import in_line, prose, sentences
from bench.run.kept_study import KeptStudy, shown_studies
from bench.run.store import Record

T = TypeVar("T")


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


class Later(Sequence[T]):
    """A sequence that is made when it is first looked at, for some formats do without it."""

    def __init__(self, make: Callable[[], Iterable[T]]) -> None:
        self._make = make

    @cached_property
    def _made(self) -> tuple[T, ...]:
        return tuple(self._make())

    def __getitem__(self, place: Any) -> Any:
        return self._made[place]

    def __len__(self) -> int:
        return len(self._made)


@dataclass(frozen=True)
class Document:
    """All of a report, in the order in which it is read. `records` are those behind it, for tracing figures back."""

    machines: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    parts: Sequence[Part]
    commands: Sequence[str]
    studies: Sequence[KeptStudy]
    records: tuple[Record, ...]
    sections: tuple[Section, ...] = ()

    @property
    def pictures(self) -> list[Picture]:
        """The pictures of all parts."""
        return [picture for part in self.parts for picture in part.pictures]

    @property
    def is_long(self) -> bool:
        """Whether its tables have the lines of some networks."""
        return is_long([source for part in self.parts if (source := part.section or part.speeds)])


def document(
    records: Sequence[Record],
    found: Sequence[Section],
    timed: Sequence[Speeds],
    verdicts: Sequence[Verdict] = (),
    folders: Sequence[Path] = (),
) -> Document:
    """Put a report together from sections, speeds and verdicts; pictures of images from what lies in the `folders`.

    Tables of a long report have the lines of some networks.
    """

    def parts() -> Iterator[Part]:
        long = is_long([*found, *timed])
        for part in whole():
            source = part.section or part.speeds
            yield replace(part, tables=shortened(part.tables, source)) if long else part

    def whole() -> Iterator[Part]:
        yield from (_part(name, section, folders) for name, section in named(found).items())
        if abroad := transfers(found):
            says = (line for one in abroad for line in transfer_sentences(one))
            yield Part("foreign", titled(abroad), tuple(says), tuple(map(transfer_table, abroad)), ())
        if over := overall(found):
            ranks = ranks_table(over)
            yield Part("ranks", ranks.caption, (), (ranks,), ())
        yield from (_speed_part(speeds, number) for number, speeds in enumerate(timed, 1))

    def commands() -> Iterable[str]:
        told = [prose("training_command", *each) for each in _trainings(found)]
        return dict.fromkeys([*told, *(prose("timing_command", speeds, QUANTITIES) for speeds in timed)])

    measured = {id(record.machine): record.machine for record in records if record.job.spec.quantity != "cost"}
    machines = dict.fromkeys(f"{one.title}; torch {one.packages.get('torch')}" for one in measured.values())
    studies = Later(lambda: shown_studies(folders))
    return Document(
        tuple(machines), tuple(verdicts), Later(parts), Later(commands), studies, tuple(records), tuple(found)
    )


def _trainings(found: Sequence[Section]) -> Iterator[tuple[Section, Any, list[str]]]:
    """The sections whose networks were trained here, with the data sets that the same weights were tested on.

    Those of foreign weights alone, where the networks were not scored on what they were trained on.
    """
    trained = [section for section in found if section.dice and section.dice.train]
    homes = {section.dataset for section in trained if not section.home}
    for section in trained:
        if section.home not in homes:
            home = section.home or section.dataset
            foreign = [one.dice.dataset for one in trained if one.dice and one.home == home]
            yield section, BUDGETS.values(), list(dict.fromkeys(foreign))


def _part(name: str, section: Section, folders: Sequence[Path]) -> Part:
    shown, why = _or_why(lambda: examples(section, folders) if section.dice else None, "No test images are shown")
    printed, unread = _or_why(lambda: published_table(section), "Published figures are left out")
    drawn = [picture for source in (section, shown) if source for picture in pictures(name, source)]
    says = (*sentences(section), *why, *unread, *([prose("no_images")] if section.dice and not (shown or why) else []))
    told = (*tables(section), *filter(None, [printed]))
    return Part(name, prose("title", section), says, told, tuple(drawn), section, shown)


def _or_why(make: Callable[[], T | None], without: str) -> tuple[T | None, list[str]]:
    """What is made of a file beside the records; without it, if that is damaged, a sentence that says why."""
    try:
        return make(), []
    except Exception as error:  # noqa: BLE001  # of whichever reader: the report goes on without it
        return None, [f"{without}, for they cannot be read: {in_line(first_line(error)).rstrip('.')}."]


def _speed_part(speeds: Speeds, number: int) -> Part:
    name = f"{speeds.device}-{number}" if number > 1 else speeds.device
    told, drawn = speed_tables(speeds), pictures(name, speeds)
    return Part(name, prose("speed_title", speeds), (), tuple(told), tuple(drawn), speeds=speeds)
