"""The comparison as text: one literal list of columns serves the terminal, Markdown and CSV."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.networks import NETWORKS
from bench.quantities import DiceSpec
from bench.report.summary import Estimate, Row, Section, named
from bench.report.units import NONE, giga, millions, milliseconds, share

Text = Callable[[float | None], str]


@dataclass(frozen=True)
class Column:
    """A name with its unit, what it shows of a row, how that is written, whether least or most is best."""

    name: str
    unit: str
    value: Callable[[Row], float | Estimate | None]
    text: Text
    best: Callable[..., float] | None = None
    mark: Callable[[Row], bool] = lambda row: False

    @property
    def header(self) -> str:
        """Name and unit in one line."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


def _unverified(row: Row) -> bool:
    return bool(row.cost and row.cost.doubt)


COLUMNS = (
    Column("Params", "M", lambda row: row.cost.parameters if row.cost else None, millions, min),
    Column("GMAC", "fvcore", lambda row: row.cost.fvcore.macs if row.cost else None, giga, min, _unverified),
    Column("GMAC", "torch", lambda row: row.cost.torch.macs if row.cost else None, giga, min, _unverified),
    Column("Latency", "ms", lambda row: row.latency_s, milliseconds, min),
    Column("Dice", "", lambda row: row.dice, share, max),
    Column("IoU", "", lambda row: row.iou, share, max),
)
PUBLISHED = (
    Column("Params", "M", lambda row: NETWORKS[row.network].parameters if row.network in NETWORKS else None, millions),
    Column("GMAC", "", lambda row: NETWORKS[row.network].macs if row.network in NETWORKS else None, giga),
)


def columns(section: Section) -> tuple[Column, ...]:
    """The columns of a section: the usual ones, and one a class where there are several."""
    labels = section.dice.labels if section.dice else ()
    return COLUMNS + tuple(_class_column(number, label) for number, label in enumerate(labels))


def _class_column(number: int, label: str) -> Column:
    return Column("Dice", label, lambda row: row.dice_by_class[number] if row.dice_by_class else None, share, max)


@dataclass(frozen=True)
class Cell:
    """What a cell says: the figure, its interval where it has one, whether it is the best, whether it is doubted."""

    figure: str
    interval: str = ""
    best: bool = False
    doubted: bool = False

    @property
    def text(self) -> str:
        """Figure, mark and interval in one line."""
        return self.figure + ("†" if self.doubted else "") + (f" {self.interval}" if self.interval else "")


def cells(section: Section) -> list[tuple[Row, list[Cell]]]:
    """Each row with its cells, in the order of `columns`."""
    found = [_column(section, column) for column in columns(section)]
    return [(row, [column[index] for column in found]) for index, row in enumerate(section.rows)]


def _column(section: Section, column: Column) -> list[Cell]:
    values = [column.value(row) for row in section.rows]
    plain = [value.value if isinstance(value, Estimate) else value for value in values]
    doubted = [column.mark(row) for row in section.rows]
    known = [value for value, doubt in zip(plain, doubted, strict=True) if value is not None and not doubt]
    best = column.best(known) if column.best and len(known) > 1 else None
    return [
        Cell(column.text(figure), _interval(value, column.text), figure is not None and figure == best, doubt)
        for value, figure, doubt in zip(values, plain, doubted, strict=True)
    ]


def _interval(value: float | Estimate | None, text: Text) -> str:
    return f"[{text(value.low)}, {text(value.high)}]" if isinstance(value, Estimate) and value.n > 1 else ""


def markdown(section: Section) -> str:
    """A GitHub table: best in bold, intervals in brackets, published figures beside the measured ones, notes below."""
    header = ["Network", *(column.header for column in columns(section)), "published: M / GMAC"]
    lines = [_line(header), _line(["---", *["---:"] * (len(header) - 1)])]
    for row, found in cells(section):
        bold = [f"**{cell.figure}**{cell.text[len(cell.figure) :]}" if cell.best else cell.text for cell in found]
        published = " / ".join(column.text(column.value(row)) for column in PUBLISHED)  # type: ignore[arg-type]
        lines.append(_line([row.title, *bold, published]))
    return "\n".join([*lines, "", *(f"- {note}" for note in notes(section))]) + "\n"


def _line(texts: list[str]) -> str:
    return f"| {' | '.join(text.replace('|', chr(92) + '|') for text in texts)} |"


def notes(section: Section) -> list[str]:
    """What a reader must know beside the figures: conditions, conventions, doubts, failures."""
    lines = [*_conditions(section)]
    for row in section.rows:
        if row.cost and row.cost.doubt:
            lines.append(f"† {row.title}: multiply-adds unverified, {row.cost.doubt}")
        if row.undefined:
            lines.append(f"{row.title}: {row.undefined} scores left out, for truth and prediction are both empty")
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
    if scored := section.dice:
        train = scored.train
        unit = "volumes, then over classes" if scored.protocol == "per_volume" else "images"
        lines.append(
            f"Dice, IoU: {scored.dataset} test split, mean over {unit} ({scored.protocol}), in brackets the 95 % "
            f"bootstrap interval; no pre-training, {train.steps} steps of {train.batch} images in {train.precision}, "
            f"{_seeds(section)}, the best of {-(-train.steps // train.leg)} checkpoints on val"
        )
    return lines


def _seeds(section: Section) -> str:
    specs = [record.job.spec for row in section.rows for record in row.records]
    seeds = sorted({spec.train.seed for spec in specs if isinstance(spec, DiceSpec)})
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def tidy_csv(found: list[Section]) -> str:
    """One line a network and section, unrounded base units, with the ids of the records behind it."""
    import pandas as pd

    return pd.DataFrame(tidy_rows(found)).to_csv(index=False, lineterminator="\n")


def tidy_rows(found: list[Section]) -> list[dict[str, object]]:
    """The lines of `tidy_csv` as dictionaries."""
    return [_tidy(name, section, row) for name, section in named(found).items() for row in section.rows]


def _tidy(name: str, section: Section, row: Row) -> dict[str, object]:
    cost, scores = row.cost, row.scores
    return {
        "section": name,
        "machine": section.environment.title,
        "network": row.network,
        "parameters": cost and cost.parameters,
        "macs_fvcore": cost and cost.fvcore.macs,
        "macs_torch": cost and cost.torch.macs,
        "macs_doubt": cost and cost.doubt,
        **_parts("latency", "_s", row.latency_s),
        "processes": row.latency_s and row.latency_s.n,
        **_parts("dice", "", row.dice),
        **_parts("iou", "", row.iou),
        "images": row.dice and row.dice.n,
        "steps": section.dice and section.dice.train.steps,
        "precision": section.dice and section.dice.train.precision,
        "train_images_per_s": scores and scores.train_images_per_s,
        "failures": "; ".join(row.failures),
        "records": " ".join(record.id for record in row.records),
    }


def _parts(name: str, unit: str, estimate: Estimate | None) -> dict[str, float | None]:
    value, low, high = (estimate.value, estimate.low, estimate.high) if estimate else (None, None, None)
    return {f"{name}{unit}": value, f"{name}_low{unit}": low, f"{name}_high{unit}": high}
