"""What a run shows: plain lines where there is no terminal, a table that fills where there is one."""

import io
import re
from dataclasses import replace

from handmade import cost_record, dice_record, record
from orders import tiny
from rich.console import Console

from bench.cli import terminal
from bench.cli.display import Progress, announce, draw, report_table
from bench.data import DataAt
from bench.networks import NETWORKS
from bench.quantities import MEASURABLE, CostSpec
from bench.quantities.budget import find_budget
from bench.read.sections import sections
from bench.report.tables import tables
from bench.report.tidy import tidy_rows
from bench.run.job import in_words
from bench.run.plan import plan
from bench.run.study import Study


def screen(terminal: bool = False, width: int = 120) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=width, color_system=None)


def printed(section, width: int) -> str:
    """All tables of a section on a screen of this width."""
    console = screen(width=width)
    for shown in tables(section):
        console.print(*report_table(shown, console.width), sep="\n")
    return console.file.getvalue()


def test_the_announcement_tells_machine_data_budget_jobs_and_time(tmp_path):
    console = screen(width=200)
    study = Study(("unet", "mdsa_unet"), ("cost", "dice"), find_budget("smoke"), (DataAt("synthetic"),), "cpu")
    planned = plan(study)
    announce(console, planned, tmp_path)
    text = console.file.getvalue()
    assert "measuring on cpu" in text
    assert "unet, mdsa_unet" in text
    assert "synthetic: 400 train, 40 val, 80 test images" in text
    assert "smoke: proves that everything works" in text
    assert "jobs      4; about" in text


def test_the_announcement_shows_every_setting_of_the_training(tmp_path):
    console = screen(width=1000)
    study = Study(("unet",), ("dice",), find_budget("smoke"), (DataAt("synthetic"),), "cpu", seeds=(3, 4), patience=2)
    planned = plan(study)
    announce(console, planned, tmp_path)
    text = console.file.getvalue()
    train = planned.jobs[0].spec.train
    for setting in (
        f"4 steps of 2 images (of 8 images only) in {train.precision}", "Dice + cross-entropy",
        "AdamW (learning rate 0.001, weight decay 0.01)",
        "warm-up over 10 % of the steps then cosine", "gradients clipped to 1", "augmentation flips", "seeds 3, 4",
        "checked on 2 images of val and saved every 2 steps", "scored on 6 test images",
        "stopped after 2 checks without gain",
    ):  # fmt: skip
        assert setting in text


def test_the_announcement_tells_that_the_images_are_not_the_published_ones(tmp_path):
    console = screen(width=200)
    planned = plan(Study(("unet",), ("dice",), find_budget("smoke"), (DataAt("synthetic"),), "cpu"))
    opened = replace(planned.opened[0], data=replace(planned.opened[0].data, instead="crops instead of images"))
    announce(console, replace(planned, opened=(opened,)), tmp_path)
    assert "differs   from the published data set: crops instead of images  " in console.file.getvalue()


def test_without_a_terminal_progress_is_plain_lines():
    console = screen()
    job = dice_record().job
    with Progress(console, jobs=2, records=[]) as progress:
        progress.begin(job, 65)
        progress.event({"step": 1, "steps": 4, "loss": 0.51234, "val_dice": None})
        progress.end(record("unet", CostSpec(), None, status="crashed", error="it fell over"))
    lines = console.file.getvalue().splitlines()
    assert lines[0] == "[1/2] training and scoring U-Net, 0 s so far, about 1 min 05 s left"
    assert lines[-1] == "[1/2] training and scoring U-Net: crashed: it fell over"


def test_on_a_terminal_there_is_a_table_and_what_runs_now(monkeypatch):
    console = screen(terminal=True)
    monkeypatch.setattr(terminal, "LIVE_S", 0.0)
    with Progress(console, jobs=3, records=[cost_record()]) as progress:
        progress.begin(dice_record().job, 65)
        progress.event({"step": 3, "steps": 4, "loss": 0.51234, "val_dice": 0.7})
    text = console.file.getvalue()
    assert "31.04" in text
    assert "[1/3] training and scoring U-Net: step 3/4, loss 0.512, Dice 0.700 on val" in text


def test_how_long_it_takes_so_far_stands_beside_what_is_left(monkeypatch):
    console, now = screen(), [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    with Progress(console, jobs=2, records=[]) as progress:
        progress.begin(cost_record().job, 200)
        now[0] = 100.0
        progress.event({"doing": "counting", "done": 1, "of": 2})
    assert console.file.getvalue().splitlines()[-1] == (
        "[1/2] counting U-Net: counting 1/2, 1 min 40 s so far, about 1 min 40 s left"
    )


def shown(planned) -> list[str]:
    """What is shown as each job of a plan begins."""
    console = screen(width=500)
    with Progress(console, len(planned.jobs), [], words=in_words(planned.jobs)) as progress:
        for job in planned.jobs:
            progress.begin(job, 0.0)
    lines = console.file.getvalue().splitlines()
    return [line.partition("] ")[2].partition(", 0 s so far")[0] for line in lines]


def test_no_two_jobs_of_a_run_are_shown_under_the_same_words(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        tiny(tmp_path / folder)
    own = tuple(f"{tmp_path}/{folder}/tiny.py:Tiny" for folder in ("a", "b"))
    asked = Study(
        (*NETWORKS, *own), MEASURABLE, find_budget("quick"), (DataAt("synthetic"),), "cpu", seeds=(0, 1, 7),
        sizes=(128, 256), batches=(1, 4), variants=("folded", "channels_last+bfloat16"),
    )  # fmt: skip
    planned = plan(asked)
    lines = shown(planned)
    assert len({*lines}) == len(lines) == len(planned.jobs) > 500
    assert "timing U-Net, folded, batch 1, 224x224, process 2" in lines
    assert "training and scoring a/tiny.py:Tiny, seed 7" in lines
    assert "finding the peak rates of this machine" in lines


def test_what_is_the_same_in_all_jobs_is_not_said():
    planned = plan(Study(("unet", "unext"), ("latency", "cost"), find_budget("quick"), (DataAt("synthetic"),), "cpu"))
    lines = shown(planned)
    assert "counting U-Net" in lines
    assert "timing U-Net, process 0" in lines


def test_jobs_that_differ_in_what_is_seldom_asked_for_are_told_apart_too():
    jobs = [record("unet", CostSpec(channels=channels), None, status="crashed").job for channels in (1, 3)]
    assert list(in_words([*jobs, jobs[0]]).values()) == ["counting U-Net, channels 1", "counting U-Net, channels 3"]


def test_what_is_waited_for_is_said_at_once():
    console = screen()
    with Progress(console, jobs=1, records=[]) as progress:
        progress.begin(cost_record().job, 5.0)
        progress.event({"waiting": "waiting until another run has measured its time"})
    assert console.file.getvalue().splitlines()[-1] == "waiting until another run has measured its time"


def test_quiet_says_nothing():
    console = screen()
    with Progress(console, jobs=1, records=[], quiet=True) as progress:
        progress.begin(cost_record().job, 5)
        progress.end(cost_record())
    assert console.file.getvalue() == ""


def test_a_failed_network_is_a_row_that_says_so(reference):
    failed = record("unetpp", CostSpec(), None, status="crashed", error="it fell over")
    console = screen()
    draw(console, sections([*reference, failed]), [])
    text = console.file.getvalue()
    assert "UNet++: cost crashed: it fell over" in text


def test_what_is_to_be_known_of_a_network_stands_below_the_tables(reference):
    noted = cost_record("net.py:Net").model_copy(update={"notes": ("given in_channels=3", "its sigmoid is undone")})
    console, found = screen(), sections([*reference, noted])
    draw(console, found, [])
    assert "net.py:Net: given in_channels=3; its sigmoid is undone" in console.file.getvalue()
    assert [row.get("notes") for row in tidy_rows(found) if row.get("notes")] == [
        "given in_channels=3; its sigmoid is undone"
    ]


def test_of_very_many_networks_a_terminal_shows_the_first_ten_and_marks_none_as_the_best():
    many = [cost_record(f"net{n:03}") for n in range(1, 102)]
    scored = [dice_record(f"net{n:03}", [n / 102] * 12) for n in range(1, 102)]
    console, found = Console(file=io.StringIO(), force_terminal=True, width=120), sections([*many, *scored])
    draw(console, found, [])
    table, _, said = console.file.getvalue().partition("\n\n")
    assert "10 of 101 networks, the most accurate" in table
    assert [name for name in re.findall(r"net\d+", table) if int(name[3:]) < 92] == []
    assert len(set(re.findall(r"net\d+", table))) == 10
    assert "\x1b[1;32m" not in table
    assert "net101" in said


LEVEL = tuple(0.5 + n / 100 for n in range(12))


def of_twelve_patients(reference):
    """The same networks, with so many patients that intervals are known."""
    lower = tuple(dice - 0.1 - n % 2 / 50 for n, dice in enumerate(LEVEL))
    return [*reference[:4], dice_record("unet", lower), dice_record("mdsa_unet", LEVEL)]


def test_the_table_fits_a_narrow_terminal(reference):
    section = sections(of_twelve_patients(reference))[0]
    text, dice = printed(section, 80), section.rows[0].dice
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" not in text
    assert text.count(f"{dice.value:.3f} [{dice.low:.3f}, {dice.high:.3f}]") == 2
    assert "images/s" not in text


def test_what_does_not_fit_in_a_line_goes_on_below(reference):
    section = sections(of_twelve_patients(reference))[0]
    text = printed(section, 60)
    assert max(len(line) for line in text.splitlines()) <= 60
    assert "…" not in text
    assert text.count("Network") > len(tables(section))
    assert {"Params", "Sensitivity", "Precision", "Holm"} <= set(text.split())


def test_a_name_longer_than_half_the_line_is_folded_and_no_figure_is_lost():
    text = printed(sections([dice_record("n" * 100), dice_record("unet")])[0], 60)
    assert max(len(line) for line in text.splitlines()) <= 60
    assert text.count("n" * 30) >= 3
    assert text.count("0.700") >= 2


def test_several_seeds_fit_a_narrow_terminal_too():
    higher = tuple(dice + 0.2 for dice in LEVEL)
    text = printed(sections([dice_record(dice=LEVEL, seed=0), dice_record(dice=higher, seed=1)])[0], 80)
    assert "0.655 ± 0.141 [" in text
    assert "…" not in text
