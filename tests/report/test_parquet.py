import pandas as pd

from bench.read.sections import sections
from bench.report.document import document
from bench.report.parquet import write


def test_the_rows_come_back_typed(tmp_path, reference):
    found = sections(reference)
    table, paired = write(document(reference, found, []), tmp_path)
    rows = pd.read_parquet(table)
    assert rows.set_index("network").loc["mdsa_unet", "parameters"] == 6_576_225
    assert pd.read_parquet(paired)["network"].tolist() == ["unet"]
