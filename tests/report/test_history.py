from datetime import UTC, datetime

from bench.judge.history import Point
from bench.quantities import find_metric
from bench.read.load import Commit
from bench.report.history import as_text, draw, facts


def point(number, value, machine="A CPU"):
    return Point(
        Commit(f"{number:012d}", datetime(2026, 1, number, tzinfo=UTC), "why"), value, "size 224", machine, ("r",)
    )


def test_a_line_a_commit_with_a_bar_and_a_line_where_the_machine_changes():
    lines = as_text("unet", find_metric("latency"), [point(1, 0.1), point(2, 0.2), point(3, 0.2, "B CPU")]).splitlines()
    assert [line.strip() for line in lines if "CPU" in line] == ["size 224, A CPU", "size 224, B CPU"]
    assert [line.count("█") for line in lines if "█" in line] == [15, 30, 30]
    assert "100 ms" in lines[2]


def test_facts_are_in_base_units():
    assert facts(point(1, 0.1))["value"] == 0.1
    assert facts(point(1, 0.1))["at"] == "2026-01-01T00:00:00+00:00"


def test_it_is_drawn(tmp_path):
    path = draw("unet", find_metric("latency"), [point(1, 0.1), point(2, 0.2)], tmp_path)
    assert "<svg" in path.read_text()
