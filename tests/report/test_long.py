"""Reports of more networks than anybody reads of: tables are shortened and say so, CSV is whole."""

import re

import pytest
from handmade import LATENCY, cost_record, dice_record, latency_record, record

from bench.read.sections import sections
from bench.read.speeds import speeds
from bench.report import html, latex, markdown, pdf, tidy
from bench.report.document import document
from bench.report.fewer import MOST
from bench.report.text import MOST_NAMED

COUNT = MOST_NAMED + 5
TOLD = "of {} lines are shown"


def made(count):
    """So many networks, each faster than the one before, and each failed in another process."""
    records = [
        one
        for n in range(count)
        for one in (cost_record(f"net_{n:03}", 10**6 + n), latency_record(f"net_{n:03}", (1 / (n + 1),) * 3))
    ]
    spec = LATENCY.model_copy(update={"process": 1})
    failed = [record(f"net_{n:03}", spec, None, "crashed", "no room") for n in range(count)]
    all_ = [*records, *failed]
    return document(all_, sections(all_), speeds(all_))


@pytest.fixture(scope="module")
def long():
    return made(COUNT)


def test_tables_have_the_networks_of_the_figures_in_their_order(long):
    main = long.parts[0].tables[0]
    assert [title for title, _ in main.lines] == [f"net_{n:03}" for n in range(COUNT - MOST, COUNT)]
    assert main.origins == tuple(title for title, _ in main.lines)
    assert main.notes[0].startswith(f"{MOST} {TOLD.format(COUNT)}, those of the fastest networks")
    assert all(len(table.lines) == MOST for part in long.parts for table in part.tables)


def test_what_is_marked_best_is_the_best_of_all(long):
    main = long.parts[0].tables[0]
    keys = [column.key for column in main.columns]
    assert not any(cells[keys.index("parameters")].best for _, cells in main.lines)  # net_000 is left out
    assert main.lines[-1][1][keys.index("latency")].best


def test_notes_are_those_of_the_lines_that_are_shown(long):
    notes = [note for note in long.parts[0].tables[0].notes if "no room" in note]
    assert {note.partition(":")[0] for note in notes} == {f"net_{n:03}" for n in range(COUNT - MOST, COUNT)}


def test_as_many_networks_as_a_report_names_are_all_shown():
    whole = made(MOST_NAMED)
    assert len(whole.parts[0].tables[0].lines) == MOST_NAMED
    assert "lines are shown" not in markdown_of(whole)
    assert all(f"net_{n:03} " in f"{command} " for command in whole.commands for n in range(MOST_NAMED))


def markdown_of(found):
    return "\n".join(markdown.table_lines(t) + "\n".join(t.notes) for part in found.parts for t in part.tables)


def test_a_table_of_mean_ranks_has_its_first_lines():
    low = [dice_record(f"net_{n:03}", tuple((n + i) / 200 for i in range(12))) for n in range(COUNT)]
    there = [record(r.job.network, r.job.spec.model_copy(update={"dataset": "ddti"}), r.result) for r in low]
    found = document([*low, *there], sections([*low, *there]), [])
    ranks = found.parts[-1].tables[0]
    assert ranks.key == "mean-ranks"
    assert [title for title, _ in ranks.lines] == [f"net_{n:03}" for n in reversed(range(COUNT - MOST, COUNT))]
    assert ranks.notes[0].startswith(f"{MOST} {TOLD.format(COUNT)}, the first")


def test_a_command_for_all_of_them_is_no_page_long(long):
    (command,) = long.commands
    assert command.startswith("bench run NETWORKS --measure ")
    assert command.endswith(f"# NETWORKS: the {COUNT} of this part, which table.csv names")
    assert pdf._in_lines(command).splitlines()[-1].strip().startswith("# NETWORKS: ")


def test_every_format_for_readers_says_so_and_those_for_programs_are_whole(long, tmp_path):
    for kind, name in ((html, "report.html"), (markdown, "report.md"), (latex, "tables.tex")):
        kind.write(long, tmp_path)
        assert TOLD.format(COUNT) in (tmp_path / name).read_text(), name
    tidy.write_csv(long, tmp_path)
    assert len((tmp_path / "table.csv").read_text().splitlines()) == COUNT + 1


def test_every_link_of_the_page_leads_somewhere_and_lists_no_row_that_is_not_shown(long, monkeypatch):
    monkeypatch.setattr(html, "MOST_RECORDS", 150)
    text = html.page(long)
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= {*ids}
    assert text.count('<dt id="row-') == MOST * len(long.parts)


def test_a_pdf_of_them_is_written(long, tmp_path):
    (path,) = pdf.write(long, tmp_path)
    assert path.read_bytes().startswith(b"%PDF")


def test_what_typst_says_against_a_report_is_told(long, tmp_path, monkeypatch):
    monkeypatch.setattr(pdf, "COMPILE", "raise SystemExit('no such font')")
    with pytest.raises(RuntimeError, match="Typst failed: no such font"):
        pdf.write(long, tmp_path)
