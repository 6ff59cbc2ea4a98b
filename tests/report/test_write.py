"""A report on disk: complete, and the same when written again."""

from handmade import cost_record, record

from bench.quantities import LatencySpec
from bench.report.write import write_report
from bench.summary.sections import sections


def test_report_table_and_figures(tmp_path, reference):
    paths = write_report(sections(reference), tmp_path / "reports")
    names = [path.name for path in paths]
    assert names[:3] == ["report.md", "table.csv", "paired.csv"]
    assert set(names[3:]) == {"dice-latency-synthetic-224-cpu.png", "learning-curves-synthetic-224-cpu.png"}
    text = paths[0].read_text()
    assert all(f"]({name})" in text for name in names[3:])
    assert "Most accurate: MDSA-UNet" in text
    assert sorted(path.name for path in (tmp_path / "reports").iterdir()) == sorted(names)


def test_written_again_it_is_the_same(tmp_path, reference):
    first = {path: path.read_bytes() for path in write_report(sections(reference), tmp_path)}
    assert {path: path.read_bytes() for path in write_report(sections(reference), tmp_path)} == first


def test_sections_of_one_name_do_not_overwrite_each_other(tmp_path, reference):
    machines = [LatencySpec(machine=name, device="cpu", threads=2) for name in ("a", "b")]
    timed = [record("unet", spec, reference[2].result) for spec in machines]
    text = write_report(sections([cost_record(), *timed]), tmp_path)[0].read_text()
    assert "## 224-cpu\n" in text
    assert "## 224-cpu-2\n" in text


def test_what_an_earlier_report_left_is_taken_away_and_nothing_else(tmp_path, reference):
    write_report(sections(reference), tmp_path)
    (tmp_path / "mine.png").write_bytes(b"")
    write_report(sections([cost_record()]), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"report.md", "table.csv", "mine.png"}
