"""What a report says, whatever it is written in: the question, verdicts, parts with tables and pictures, conditions.

Every format is a renderer of one `Document`, so that no two of them can say different things.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.judge.verdict import Verdict
from bench.quantities import QUANTITIES, DiceSpec
from bench.quantities.budget import BUDGETS
from bench.quantities.variants import PLAIN
from bench.read.sections import Section, named
from bench.read.speeds import Speeds
from bench.report.drawing import Picture
from bench.report.exhibits import Exhibit, exhibit
from bench.report.pictures import pictures
from bench.report.published import published_table
from bench.report.speed_tables import speed_tables
from bench.report.tables import Table, tables
from bench.report.words import sentences
from bench.run.store import Record

QUESTION = "How accurate and how cheap are these networks, measured alike?"
NO_IMAGES = "No test images are shown, for they, or the predictions on them, do not lie beside these records."
# Terms that tables and pictures use, told once.
DEFINITIONS = (
    ("GMAC", "Thousand million multiply-adds for one image; one multiply-add counts as one, so GFLOP = 2 x GMAC."),
    ("Two counters", "fvcore, which papers use, and torch's own; both pass closed formulas before each count. Where "
     "they differ by more than 2 % the figure is marked † and the reason is told."),
    ("Latency", "Median over calls in each fresh process, then the median of these; in brackets the fastest and the "
     "slowest process. The order of networks is interleaved. ‡ marks a time that something else disturbed."),
    ("Memory", "The most one pass holds in a fresh process, weights included: on CUDA what torch allocates, on a CPU "
     "the high-water resident size less what the process held before the network was built."),
    ("Dice, per_image", "Mean over images of each image's Dice; one with empty truth and empty prediction is left out "
     "and counted. Brackets are 95 % bootstrap intervals over images."),
    ("Dice, per_volume", "The counts of a volume's slices are added up first, then the mean over volumes and classes."),
    ("Dice, pooled", "One confusion matrix for the whole split: large objects weigh more."),
    ("Paired", "Each network's Dice less another's on the same images: mean difference with its bootstrap interval, "
     "Wilcoxon's signed-rank test, corrected by Holm."),
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """A heading with sentences, tables and pictures. It comes from a `section`, or from the `speeds` of a machine.

    `exhibit` has test images with outlines, where predictions and images lie beside the records.
    """

    name: str
    title: str
    says: tuple[str, ...]
    tables: tuple[Table, ...]
    pictures: tuple[Picture, ...]
    section: Section | None = None
    exhibit: Exhibit | None = None
    speeds: Speeds | None = None


@dataclass(frozen=True)
class Document:
    """All of a report, in the order in which it is read. `records` are those behind it, for tracing figures back."""

    question: str
    machines: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    parts: tuple[Part, ...]
    definitions: tuple[tuple[str, str], ...]
    commands: tuple[str, ...]
    sections: tuple[Section, ...]
    records: tuple[Record, ...]


def document(
    records: Sequence[Record],
    found: Sequence[Section],
    timed: Sequence[Speeds],
    verdicts: Sequence[Verdict] = (),
    folders: Sequence[Path] = (),
) -> Document:
    """Put a report together from sections, speeds and verdicts; pictures of images from what lies in the `folders`."""
    parts = [_part(name, section, folders) for name, section in named(list(found)).items()]
    names = [f"{speeds.device}-{number}" if number > 1 else speeds.device for number, speeds in enumerate(timed, 1)]
    parts += [_speed_part(name, speeds) for name, speeds in zip(names, timed, strict=True)]
    machines = dict.fromkeys(
        f"{r.environment.title}; torch {r.environment.packages.get('torch')}"
        for r in records
        if r.job.spec.quantity != "cost"
    )
    commands = dict.fromkeys([*map(_training_command, found), *map(_timing_command, timed)])
    return Document(
        QUESTION, tuple(machines), tuple(verdicts), tuple(parts), DEFINITIONS, tuple(filter(None, commands)),
        tuple(found), tuple(records),
    )  # fmt: skip


def _part(name: str, section: Section, folders: Sequence[Path]) -> Part:
    shown = exhibit(section, folders) if section.dice else None
    drawn = (*pictures(name, section), *(pictures(name, shown) if shown else ()))
    says = [*sentences(section), *([NO_IMAGES] if section.dice and not shown else [])]
    told = (*tables(section), *filter(None, [published_table(section)]))
    return Part(name, _title(section), tuple(says), told, drawn, section, shown)


def _title(section: Section) -> str:
    """ "ISIC2017 at 224x224, cpu"."""
    spec = section.dice or section.latency or section.cost
    data = f"{section.dice.dataset.upper()} at " if section.dice else "At "
    size = f"{spec.size}x{spec.size}" if spec else ""
    device = f", {section.latency.device}" if section.latency else ""
    return f"{data}{size}{device}{_kind(section)}"


def _speed_part(name: str, speeds: Speeds) -> Part:
    title = f"Speed and memory, {speeds.device}{_kind(speeds)}"
    return Part(name, title, (), tuple(speed_tables(speeds)), tuple(pictures(name, speeds)), speeds=speeds)


def _kind(source: Section | Speeds) -> str:
    return ", pre-trained" if source.pretrained else ""


def _training_command(section: Section) -> str:
    """What trains and scores a section's networks again; nothing where nothing was trained."""
    spec = section.dice
    if not isinstance(spec, DiceSpec) or spec.train is None:
        return ""
    train = spec.train
    budget = next(
        (b.name for b in BUDGETS.values() if (b.batch, b.augmentation) == (train.batch, train.augmentation)), ""
    )
    seeds = sorted({r.job.spec.train.seed for row in section.rows for r in row.records
                    if isinstance(r.job.spec, DiceSpec) and r.job.spec.train})  # fmt: skip
    root = "" if spec.dataset == "synthetic" else f" --data-root {spec.dataset.upper()}"
    parts = [
        f"bench run {shlex.join(row.network for row in section.rows)} --dataset {spec.dataset}{root}",
        f"--budget {budget}" if budget else "",
        f"--steps {train.steps}",
        f"--seeds {','.join(map(str, seeds))}" if seeds != [0] else "",
        f"--size {spec.size}" if spec.size != 224 else "",
    ]
    return " ".join(filter(None, parts))


def _timing_command(speeds: Speeds) -> str:
    """What times and weighs the networks again."""
    measured = {r.job.spec.quantity for row in speeds.rows for r in row.records}
    quantities = [quantity for quantity in QUANTITIES if quantity in measured]
    variants = [name for name in speeds.variants if name != PLAIN]
    first = speeds.rows[0]
    batches = [first.batch, *(b for b in speeds.batches if b != first.batch)]
    sizes = [first.size, *(s for s in speeds.sizes if s != first.size)]
    parts = [
        f"bench run {shlex.join(row.network for row in speeds.rows)} --measure {','.join(quantities)}",
        f"--batch {','.join(map(str, batches))}" if len(batches) > 1 else "",
        f"--size {','.join(map(str, sizes))}" if sizes != [224] else "",
        f"--variant {','.join(variants)}" if variants else "",
        f"--device {speeds.device}",
    ]
    return " ".join(filter(None, parts))
