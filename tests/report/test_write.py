"""A report on disk: complete, and the same when written again."""

import pytest
from handmade import cost_record, record

from bench.errors import UserError
from bench.quantities import LatencySpec
from bench.read.sections import sections
from bench.read.speeds import speeds
from bench.report.document import document
from bench.report.write import FORMATS, write_report


def made(records):
    return document(records, sections(records), speeds(records))


def test_report_tables_and_figures(tmp_path, reference):
    paths = write_report(made(reference), tmp_path / "reports", ["markdown", "csv"])
    names = [path.name for path in paths]
    figures = [name for name in names if name.endswith(".svg")]
    assert names == ["report.md", *figures, "table.csv", "paired.csv"]
    text = paths[0].read_text()
    assert {"dice-latency-synthetic-224-cpu.svg", "learning-curves-synthetic-224-cpu.svg"} <= set(figures)
    assert all(f"]({name})" in text for name in figures)
    assert "Highest Dice: MDSA-UNet" in text
    assert "bench run mdsa_unet unet --dataset synthetic" in text
    assert sorted(path.name for path in (tmp_path / "reports").iterdir()) == sorted(names)


def test_written_again_it_is_the_same(tmp_path, reference):
    first = {path: path.read_bytes() for path in write_report(made(reference), tmp_path)}
    assert {path: path.read_bytes() for path in write_report(made(reference), tmp_path)} == first


def test_every_format_writes_what_it_says(tmp_path, reference):
    for name, (_, patterns, _) in FORMATS.items():
        paths = write_report(made(reference), tmp_path / name, [name])
        assert paths
        assert all(any(path.match(pattern) for pattern in patterns) for path in paths)


def test_an_unknown_format_is_told_before_anything_is_written(tmp_path, reference):
    with pytest.raises(UserError, match="unknown format 'htm'; did you mean 'html'"):
        write_report(made(reference), tmp_path / "to", ["csv", "htm"])
    assert not (tmp_path / "to").exists()


def test_sections_of_one_name_do_not_overwrite_each_other(tmp_path, reference):
    machines = [LatencySpec(machine=name, device="cpu", threads=2) for name in ("a", "b")]
    timed = [record("unet", spec, reference[2].result) for spec in machines]
    write_report(made([cost_record(), *timed]), tmp_path, ["markdown"])
    assert {path.name for path in tmp_path.glob("calls-*")} == {"calls-cpu.svg", "calls-cpu-2.svg"}


def test_what_an_earlier_report_left_is_taken_away_and_nothing_else(tmp_path, reference):
    write_report(made(reference), tmp_path, ["markdown", "csv"])
    (tmp_path / "mine.svg").write_bytes(b"")
    (tmp_path / "calls-cpu.png").write_bytes(b"")  # as reports had them once
    write_report(made([cost_record()]), tmp_path, ["markdown", "csv"])
    assert {path.name for path in tmp_path.iterdir()} == {"report.md", "table.csv", "mine.svg"}
