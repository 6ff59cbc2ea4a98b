"""The rows of all sections for people's own plots, unrounded, in base units, with the ids of their records."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.files import write_whole
from bench.read.rows import Row
from bench.read.sections import Section, named
from bench.report.document import Document
from bench.stats.estimate import Estimate


def write_csv(document: Document, folder: Path) -> list[Path]:
    """Write table.csv, and paired.csv where networks can be paired.

    Figures have ten digits, for the last ones depend on how many threads summed them up.
    """
    how = {"index": False, "lineterminator": "\n", "float_format": "%.10g"}
    return [write_whole(folder / f"{name}.csv", frame.to_csv(**how)) for name, frame in _frames(document)]


def write_parquet(document: Document, folder: Path) -> list[Path]:
    """Write table.parquet, and paired.parquet where networks can be paired."""
    return [write_whole(folder / f"{name}.parquet", frame.to_parquet(index=False)) for name, frame in _frames(document)]


def _frames(document: Document) -> Iterator[tuple[str, Any]]:
    """The tables by name, those that have a row."""
    import pandas as pd

    for name, rows in (("table", tidy_rows(document.sections)), ("paired", paired_rows(document.sections))):
        if rows:
            yield name, pd.DataFrame(rows)


def tidy_rows(found: list[Section]) -> list[dict[str, Any]]:
    """A row for each network of each section."""
    return [_tidy(name, section, row) for name, section in named(found).items() for row in section.rows]


def paired_rows(found: list[Section]) -> list[dict[str, Any]]:
    """A row for each network that was compared with its section's reference on the same test images."""
    return [
        {
            "section": name, "network": one.row.network, "reference": one.reference.network,
            "units": section.protocol.units, "n": one.difference.n, **_parts("dice_difference", "", one.difference),
            "won": one.won, "lost": one.lost, "p_wilcoxon": one.p, "p_holm": one.holm_p,
        }
        for name, section in named(found).items()
        for one in section.paired
    ]  # fmt: skip


def _tidy(name: str, section: Section, row: Row) -> dict[str, Any]:
    cost, dice, scored = row.cost, row.dice, section.dice
    train = scored and scored.train
    return {
        "section": name, "machine": section.environment.title, "network": row.network, "weights": row.weights_file,
        "parameters": cost and cost.parameters, "macs_fvcore": cost and cost.fvcore.macs,
        "macs_torch": cost and cost.torch.macs, "macs_doubt": cost and cost.doubt,
        **_parts("latency", "_s", row.latency_s), "latency_taints": "; ".join(row.taints),
        "processes": row.latency_s and row.latency_s.n, "memory_bytes": row.memory and row.memory.peak_bytes,
        "protocol": scored and section.protocol.name, **_parts("dice", "", dice),
        "dice_deviation": dice and dice.deviation, "seeds": dice and dice.seeds,
        **_parts("iou", "", row.iou), **_parts("hd95", f"_{section.distance_unit}", row.hd95),
        **_parts("sensitivity", "", row.sensitivity), **_parts("precision", "", row.precision),
        **_parts("dice_pooled", "", row.pooled_dice), "units": scored and section.protocol.units, "n": dice and dice.n,
        "steps": train and train.steps, "train_precision": train and train.precision,
        "train_images_per_s": row.train_images_per_s, "failures": "; ".join(row.failures),
        "records": " ".join(record.id for record in row.records),
    }  # fmt: skip


def _parts(name: str, unit: str, estimate: Estimate | None) -> dict[str, float | None]:
    ends = {"": "value", "_low": "low", "_high": "high"}
    return {f"{name}{end}{unit}": getattr(estimate, field, None) for end, field in ends.items()}
