"""The comparison as Markdown: best in bold, doubts marked, names that cannot break it."""

import pytest
from handmade import cost_record, dice_record, record

from bench.quantities import CostSpec, Count
from bench.read.sections import sections
from bench.report import columns
from bench.report.document import document
from bench.report.markdown import table_lines, write


@pytest.fixture
def markdown(tmp_path):
    """A section as Markdown, without the question and the commands."""

    def written(section) -> str:
        (path, *_) = write(document([], [section], []), tmp_path)
        return path.read_text().partition("### Accuracy and cost")[2].partition("###")[0].partition("![")[0]

    return written


def lines(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def test_it_has_units_bold_bests_intervals_and_published_figures(reference, markdown):
    header, _, mdsa, unet = lines(markdown(sections(reference)[0]))
    assert header[0:2] == ["Network", "Params (M)"]
    cells = dict(zip(header, mdsa, strict=True))
    assert cells["Params (M)"] == "**6.58**"
    assert cells["Latency (ms)"] == "**110**"
    assert cells["Dice"] == "0.783"  # of three patients nothing is said, not even an interval
    assert (cells["Published (M)"], cells["Published (GMAC)"]) == ("6.65", "4.54")
    assert dict(zip(header, unet, strict=True))["Params (M)"] == "31.04"


def test_a_doubted_count_is_marked_and_explained(markdown):
    good = cost_record()
    bad = good.result.model_copy(update={"torch": Count(counter="torch", macs=1)})
    text = markdown(sections([record("unet", CostSpec(), bad)])[0])
    assert "36.88†" in text
    assert "† U-Net: multiply-adds unverified, the counters disagree" in text


def test_a_failure_is_told_below_the_table(markdown):
    text = markdown(sections([record("unet", CostSpec(), None, status="crashed", error="it fell over")])[0])
    assert "- U-Net: cost crashed: it fell over" in text
    assert lines(text)[2][0] == "U-Net"


def test_names_cannot_break_the_table(markdown):
    text = markdown(sections([record("a|b", CostSpec(), cost_record().result)])[0])
    assert "| a\\|b |" in text


def test_one_network_is_not_called_best(markdown):
    assert "**" not in markdown(sections([dice_record()])[0])


def test_what_markdown_would_take_for_a_tag_is_shown(markdown):
    text = markdown(sections([record("unet", CostSpec(), None, status="crashed", error="<class 'None'> * 2")])[0])
    assert "&lt;class 'None'> \\* 2" in text


def test_names_of_classes_are_no_markup():
    shown = columns.table("one", "One", [columns.Column("a", "Dice", "<b>$50", lambda row: 0.5, "share")], [])
    assert "<b>" not in table_lines(shown)
