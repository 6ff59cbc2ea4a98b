"""What is damaged beside the records is named in a line; the report goes on without it."""

import json
import os
import re

import pytest
from handmade import altered, cost_record, dice_record, latency_record

from bench.cli.display import conclude
from bench.errors import UserError
from bench.quantities import Scores
from bench.read.sections import sections
from bench.report import document as documents
from bench.report import html, tidy, write
from bench.report.document import document
from bench.report.fewer import MOST, fewer
from bench.report.figures import Picture
from bench.report.html import page
from bench.report.manifest import NAME
from bench.report.write import LOG, Unwritten, write_report
from bench.run.predictions import find


def shown(records, **options):
    return document(records, sections(records), [], **options)


def test_a_format_that_fails_stops_no_other_and_is_told(reference, tmp_path, monkeypatch):
    def broken(*_):
        raise ValueError("an odd\nfigure")

    monkeypatch.setattr(html, "page", broken)
    with pytest.raises(Unwritten, match=r"html cannot be written \(an odd\); all other formats were written") as told:
        write_report(shown(reference), tmp_path, ("html", "csv", "latex"))
    assert [path.name for path in told.value.paths] == ["table.csv", "paired.csv", "tables.tex"]
    assert all(path.exists() for path in told.value.paths)
    assert "Traceback" in (tmp_path / LOG).read_text()
    with pytest.raises(Unwritten, match=rf"html cannot be written \(an odd\); {tmp_path}.* tells more"):
        write_report(shown(reference), tmp_path, ("html",))
    monkeypatch.undo()
    write_report(shown(reference), tmp_path, ("csv",))
    assert not (tmp_path / LOG).exists()


def test_the_tables_are_shown_and_the_exit_is_that_of_an_error_where_a_format_fails(
    reference, tmp_path, monkeypatch, capsys
):
    def broken(*_):
        raise MemoryError

    monkeypatch.setattr(tidy, "write_parquet", broken)
    with pytest.raises(UserError, match=r"parquet cannot be written \(MemoryError\)"):
        conclude(reference, tmp_path, False, [], formats=("parquet", "csv"))
    assert "table.csv" in capsys.readouterr().out


def test_a_figure_that_cannot_be_drawn_is_left_out_and_named(reference, tmp_path, monkeypatch):
    def broken():
        raise OverflowError("too large")

    whole = shown(reference)
    (part, *rest) = whole.parts
    odd = Picture("paired", "paired-x", "A figure", broken)
    from dataclasses import replace

    told = []
    whole = replace(whole, parts=(replace(part, pictures=(odd,)), *rest))
    monkeypatch.setattr(write, "draw_together", lambda pictures: None)
    write_report(whole, tmp_path, ("markdown",), told.append)
    line = "The figure paired-x is left out, for it cannot be drawn: too large."
    assert told == [line]
    assert line in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b'{"files": 3, "records": []}', b"null", None]
)
def test_a_damaged_manifest_is_named_and_moved(reference, tmp_path, damage):
    if damage is None:
        os.mkfifo(tmp_path / NAME)
    else:
        (tmp_path / NAME).write_bytes(damage)
    told = []
    write_report(shown(reference), tmp_path, ("csv",), told.append)
    assert [line for line in told if "cannot be read, so it was moved to" in line]
    assert sorted(json.loads((tmp_path / NAME).read_text())["files"]) == ["paired.csv", "table.csv"]


def test_a_pipe_in_the_place_of_a_report_is_not_waited_for(reference, tmp_path):
    os.mkfifo(tmp_path / "report.md")
    write_report(shown(reference), tmp_path, ("csv",))
    assert (tmp_path / "table.csv").exists()


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", b"\x00" * 100])
def test_damaged_predictions_are_named_and_the_report_goes_on(tmp_path, damage):
    made = altered(dice_record(), {"predictions": "0" * 12})
    (tmp_path / f"{made.id}.{'0' * 12}.predictions.npz").write_bytes(damage)
    (part,) = shown([made], folders=[tmp_path]).parts
    assert any("No test images are shown, for they cannot be read" in line for line in part.says)


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "..", "0" * 11, "0" * 12 + "\n"])
def test_predictions_are_looked_for_in_the_folder_alone(tmp_path, name):
    made = altered(dice_record(), {"predictions": name})
    assert isinstance(made.result, Scores)
    assert find(made, [tmp_path]) is None


def test_damaged_published_figures_are_named(monkeypatch):
    def broken(section):
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    monkeypatch.setattr(documents, "published_table", broken)
    (part,) = shown([dice_record()]).parts
    assert any(line.startswith("Published figures are left out, for they cannot be read") for line in part.says)


@pytest.mark.parametrize("damage", [b"[a", b"\xff", b"x = " + b"[" * 100_000, b"a = 1" + b"1" * 5000])
def test_damaged_claims_that_nobody_asked_for_are_named(reference, tmp_path, monkeypatch, capsys, damage):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "claims.toml").write_bytes(damage)
    conclude(reference, tmp_path / "to", False, [], formats=("csv",))
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "claims.toml" in line]
    assert line.startswith("left out: ")
    with pytest.raises(UserError, match=r"claims\.toml"):
        conclude(reference, tmp_path / "to", False, [], claims=tmp_path / "claims.toml", formats=("csv",))


def test_figures_show_what_can_be_told_apart_and_say_what_is_left_out():
    made = [one for n in range(MOST + 5) for one in (cost_record(f"net{n}"), latency_record(f"net{n}"))]
    (section,) = sections(made)
    some, told = fewer(section)
    assert len(some.rows) == MOST
    assert told == f"; {MOST} of {MOST + 5} networks, the fastest, for a figure has no room for more"
    assert fewer(some) == (some, "")


def test_a_page_of_very_many_records_stays_small_and_says_so(monkeypatch):
    monkeypatch.setattr(html, "MOST_RECORDS", 2)
    text = page(shown([cost_record(), cost_record("mdsa_unet"), cost_record("unetpp")]))
    assert "The last 1 by name are left out here" in text
    assert text.count('<details class="record"') == 2
    ids = set(re.findall(r' id="([^"]+)"', text))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= ids
