"""A report on disk: complete, and the same when written again."""

from pathlib import Path
from threading import Thread

import pytest
from handmade import cost_record, record

from bench.errors import UserError
from bench.files import host
from bench.locks import take
from bench.quantities import LatencySpec
from bench.read.sections import sections
from bench.read.speeds import speeds
from bench.report.document import document
from bench.report.manifest import NAME
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
    assert sorted(path.name for path in (tmp_path / "reports").iterdir()) == sorted([*names, NAME])


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


def files(folder):
    """What can be read in a folder, by its path there, without the manifest."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != NAME)
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def write(records, folder, formats=("markdown", "csv")):
    """Write the report of records; what was told."""
    told = []
    write_report(made(records), folder, formats, told.append)
    return told


def test_what_an_earlier_report_left_is_taken_away_and_nothing_else(tmp_path, reference):
    assert write(reference, tmp_path) == []
    (tmp_path / "mine.svg").write_bytes(b"")
    (tmp_path / "calls-mine.svg").write_bytes(b"")  # called as ours are
    (told,) = write([cost_record()], tmp_path)
    assert told.startswith(f"{tmp_path}: replaces a report that has other records too: ")
    assert set(files(tmp_path)) == {"report.md", "table.csv", "mine.svg", "calls-mine.svg"}


def test_formats_that_are_not_written_anew_stay(tmp_path, reference):
    write(reference, tmp_path)
    write(reference, tmp_path, ["latex"])
    write(reference[:2], tmp_path, ["markdown"])
    assert set(files(tmp_path)) == {"report.md", "table.csv", "paired.csv", "tables.tex"}
    write(reference[:2], tmp_path, ["csv", "latex"])
    assert set(files(tmp_path)) == {"report.md", "table.csv", "tables.tex"}


def test_a_file_of_somebodys_own_is_moved_out_of_the_way_and_kept(tmp_path, reference):
    (tmp_path / "report.md").write_text("# My thesis\n")
    (tmp_path / "table.csv").mkdir()
    (told,) = write(reference, tmp_path)
    assert told == (
        f"{tmp_path}: moved to {tmp_path}/replaced, for they are not as a report wrote them: report.md, table.csv"
    )
    assert (tmp_path / "replaced" / "report.md").read_text() == "# My thesis\n"
    assert (tmp_path / "replaced" / "table.csv").is_dir()
    assert (tmp_path / "report.md").read_text().startswith("# Networks compared")
    assert write(reference, tmp_path) == []


def test_what_was_edited_since_it_was_written_is_kept_too(tmp_path, reference):
    write(reference, tmp_path)
    for name in ("report.md", "paired.csv"):
        with (tmp_path / name).open("a") as opened:
            opened.write("a remark\n")
    told = write([cost_record()], tmp_path)
    assert "report.md, paired.csv" in told[-1]
    assert files(tmp_path)["replaced/report.md"].endswith(b"a remark\n")
    assert set(files(tmp_path)) == {"report.md", "table.csv", "replaced/report.md", "replaced/paired.csv"}
    (tmp_path / "report.md").write_text("again")
    write([cost_record()], tmp_path)
    assert files(tmp_path)["replaced/report-2.md"] == b"again"


def test_a_report_from_before_there_was_a_manifest_is_ours(tmp_path, reference):
    write(reference, tmp_path)
    (tmp_path / NAME).unlink()
    (tmp_path / "calls-cpu.png").write_bytes(b"")  # as reports had them once
    (tmp_path / "mine.svg").write_bytes(b"")
    assert write([cost_record()], tmp_path) == []
    assert set(files(tmp_path)) == {"report.md", "table.csv", "mine.svg"}


def test_a_report_that_was_killed_half_way_is_no_reason_to_move_anything(tmp_path, reference, monkeypatch):
    write(reference, tmp_path)
    first = files(tmp_path)

    def stops(path, to, real=Path.replace):
        if to.parent == tmp_path and to.name == "table.csv":  # then the report and its figures are in place
            raise KeyboardInterrupt
        return real(path, to)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", stops)
        with pytest.raises(KeyboardInterrupt):
            write(reference[:2], tmp_path)
    assert files(tmp_path)["report.md"] != first["report.md"]
    assert write(reference, tmp_path) == []
    assert files(tmp_path) == first


def test_a_second_report_at_once_waits_and_what_killed_ones_left_is_swept(tmp_path, reference):
    left = tmp_path / f".report.{host()}-{2**22 + 1}-0123abcd.tmp"
    left.mkdir()
    lock = take(tmp_path / ".bench-report.lock")
    thread = Thread(target=write, args=[reference, tmp_path, ["csv"]])
    thread.start()
    thread.join(0.5)
    assert not (tmp_path / "table.csv").exists()
    lock.release()
    thread.join()
    assert set(files(tmp_path)) == {"table.csv", "paired.csv"}
    assert not left.exists()
