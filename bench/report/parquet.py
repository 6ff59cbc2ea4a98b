"""The tidy rows as Parquet, for people's own plots: what the CSV has, with types."""

from pathlib import Path

from bench.files import write_whole
from bench.report.document import Document
from bench.report.tidy import tidy_tables


def write(document: Document, folder: Path) -> list[Path]:
    """Write table.parquet, and paired.parquet where networks can be paired."""
    import pandas as pd

    return [
        write_whole(folder / f"{name}.parquet", pd.DataFrame(rows).to_parquet(index=False))
        for name, rows in tidy_tables(document).items()
    ]
