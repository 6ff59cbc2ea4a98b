"""Published figures beside measured ones, each with its source."""

import csv
from pathlib import Path

from handmade import dice_record

from bench.networks import NETWORKS
from bench.read.sections import sections
from bench.report.tables import METRICS, published, published_table

FILE = Path(__file__).parents[2] / "baselines" / "published.csv"


def test_every_line_names_a_network_of_the_table_a_figure_and_where_it_was_read():
    rows = list(csv.DictReader(FILE.open()))
    assert len(rows) == len({tuple(row.values()) for row in rows})
    for row in rows:
        assert row["network"] in NETWORKS
        assert row["metric"] in {*METRICS, "HD95"}
        assert float(row["value"]) > 0
        assert row["paper"]
        assert row["table"]
        assert row["dataset"] == row["dataset"].lower()


def test_figures_are_in_base_units():
    claimed = next(f for f in published() if (f.network, f.dataset, f.metric) == ("mdsa_unet", "isic2018", "Dice"))
    assert claimed.value == 0.9075
    assert next(f.value for f in published() if (f.network, f.metric) == ("mdsa_unet", "Params (M)")) == 6.65e6


def test_a_published_range_stands_beside_what_was_measured_with_its_sources():
    def scored(network, dataset):
        record = dice_record(network)
        spec = record.job.spec.model_copy(update={"dataset": dataset})
        return record.model_copy(update={"job": record.job.model_copy(update={"spec": spec})})

    (section,) = sections([scored("mdsa_unet", "isic2018"), scored("unet", "isic2018")])
    table = published_table(section)
    assert [title for title, _ in table.lines] == ["MDSA-UNet", "U-Net"]
    assert [column.header for column in table.columns[:2]] == ["Dice", "Published (Dice)"]
    assert [cell.figure for cell in table.lines[0][1][:2]] == ["0.700", "0.907"]
    assert " to " in table.lines[1][1][1].figure
    assert any("Li et al. 2025" in note for note in table.notes)
    assert published_table(sections([scored("unet", "synthetic")])[0]) is None
