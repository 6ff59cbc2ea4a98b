"""The committed report and the tables of the README and the docs are those of the committed records, to the letter."""

from pathlib import Path

import pytest

from bench.judge.claims_file import read_claims
from bench.judge.verdict import judge
from bench.networks import NETWORKS, find_network
from bench.read.load import load
from bench.read.sections import named, outdated, sections
from bench.read.speeds import speeds
from bench.report.document import document
from bench.report.markdown import table_lines
from bench.report.tables import tables
from bench.report.write import write_report

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "results" / "reference"


def test_every_committed_record_is_whole_and_of_the_networks_as_they_are():
    loaded = load([FOLDER])
    assert loaded.problems == []
    assert outdated(loaded.records) == []
    assert {record.status for record in loaded.records} == {"ok"}


def test_the_committed_report_is_what_the_records_give(tmp_path):
    records = load([FOLDER]).records
    installed = {name: version for network in NETWORKS for name, version in find_network(network).libraries.items()}
    measured = {(name, r.job.libraries.get(name)) for r in records for name in installed}
    if others := [name for name, version in installed.items() if (name, version) not in measured]:
        pytest.skip(f"the networks were measured with another version of {', '.join(others)}, and claims are open here")
    verdicts = judge(read_claims(ROOT / "claims.toml"), records, "")
    whole = document(records, sections(records), speeds(records), verdicts=verdicts, folders=[FOLDER])
    for made in write_report(whole, tmp_path, ["markdown", "csv"]):
        if made.suffix == ".svg":  # its bytes depend on the version of matplotlib
            continue
        assert made.read_text() == (ROOT / "reports" / "reference" / made.name).read_text()


def table_of(name: str, key: str) -> list[str]:
    """The lines of a table of the committed records, its two lines of headers first."""
    section = named(sections(load([FOLDER]).records))[name]
    return next(table_lines(table) for table in tables(section) if table.key == key).splitlines()


@pytest.mark.parametrize(
    ("name", "key", "lines"),
    [("ddti-224-cpu-2", "main", 2 + 6), ("ddti-224-cpu-2", "paired", 2 + 4), ("224-cpu", "main", 2 + 16)],
)
def test_the_page_of_results_has_the_reference_tables(name, key, lines):
    page = (ROOT / "docs" / "results.md").read_text()
    table = table_of(name, key)
    assert len(table) == lines
    assert "\n".join(table) in page


def test_the_readme_has_the_main_table_by_dice():
    readme = (ROOT / "README.md").read_text()
    headers, rows = table_of("ddti-224-cpu-2", "main")[:2], table_of("ddti-224-cpu-2", "main")[2:]
    column = [name.strip() for name in headers[0].split("|")].index("Dice")
    ranked = sorted(rows, key=lambda row: -float(row.split("|")[column].split()[0].rstrip("¶").strip("*")))
    assert "\n".join([*headers, *ranked]) in readme
