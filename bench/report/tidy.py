"""The rows of all sections for people's own plots: unrounded, in base units, with the ids of their records."""

from pathlib import Path
from typing import Any

from bench.files import write_whole
from bench.read.rows import Row
from bench.read.sections import Section, named
from bench.report.document import Document
from bench.stats.estimate import Estimate


def write(document: Document, folder: Path) -> list[Path]:
    """Write table.csv, and paired.csv where networks can be paired."""
    return [write_whole(folder / f"{name}.csv", csv(rows)) for name, rows in tidy_tables(document).items()]


def tidy_tables(document: Document) -> dict[str, list[dict[str, Any]]]:
    """The tables by name, those that have a row."""
    found = list(document.sections)
    tables = {"table": tidy_rows(found), "paired": paired_rows(found)}
    return {name: rows for name, rows in tables.items() if rows}


def csv(rows: list[dict[str, Any]]) -> str:
    """The rows as CSV with a header: ten digits, for the last ones depend on how many threads summed them up."""
    import pandas as pd

    return pd.DataFrame(rows).to_csv(index=False, lineterminator="\n", float_format="%.10g")


def tidy_rows(found: list[Section]) -> list[dict[str, Any]]:
    """One line a network and section."""
    return [_tidy(name, section, row) for name, section in named(found).items() for row in section.rows]


def paired_rows(found: list[Section]) -> list[dict[str, Any]]:
    """One line a network and section that was compared with the section's reference on the same test images."""
    return [
        {
            "section": name,
            "network": one.row.network,
            "reference": one.reference.network,
            "units": section.protocol.units,
            "n": one.difference.n,
            **_parts("dice_difference", "", one.difference),
            "won": one.won,
            "lost": one.lost,
            "p_wilcoxon": one.p,
            "p_holm": one.holm_p,
        }
        for name, section in named(found).items()
        for one in section.paired
    ]


def _tidy(name: str, section: Section, row: Row) -> dict[str, Any]:
    cost, train = row.cost, section.dice and section.dice.train
    return {
        "section": name,
        "machine": section.environment.title,
        "network": row.network,
        "weights": row.weights_file,
        "parameters": cost and cost.parameters,
        "macs_fvcore": cost and cost.fvcore.macs,
        "macs_torch": cost and cost.torch.macs,
        "macs_doubt": cost and cost.doubt,
        **_parts("latency", "_s", row.latency_s),
        "latency_taints": "; ".join(row.taints),
        "processes": row.latency_s and row.latency_s.n,
        "memory_bytes": row.memory and row.memory.peak_bytes,
        "protocol": section.dice and section.protocol.name,
        **_parts("dice", "", row.dice),
        "dice_deviation": row.dice and row.dice.deviation,
        "seeds": row.dice and row.dice.seeds,
        **_parts("iou", "", row.iou),
        **_parts("hd95", f"_{section.distance_unit}", row.hd95),
        **_parts("sensitivity", "", row.sensitivity),
        **_parts("precision", "", row.precision),
        **_parts("dice_pooled", "", row.pooled_dice),
        "units": section.dice and section.protocol.units,
        "n": row.dice and row.dice.n,
        "steps": train and train.steps,
        "train_precision": train and train.precision,
        "train_images_per_s": row.train_images_per_s,
        "failures": "; ".join(row.failures),
        "records": " ".join(record.id for record in row.records),
    }


def _parts(name: str, unit: str, estimate: Estimate | None) -> dict[str, float | None]:
    value, low, high = (estimate.value, estimate.low, estimate.high) if estimate else (None, None, None)
    return {f"{name}{unit}": value, f"{name}_low{unit}": low, f"{name}_high{unit}": high}
