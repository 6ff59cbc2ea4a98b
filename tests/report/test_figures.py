"""Figures: each where there is something to see, drawn once, the same bytes for the same records."""

import gc
import os
import signal
import subprocess
import sys
import time

import pytest
from handmade import LATENCY, cost_record, dice_record, latency_record, record

from bench.files import is_running
from bench.quantities import Latency
from bench.read.sections import sections
from bench.read.speeds import speeds
from bench.report.figures import AXES, FIGURES, TALLEST, Picture, draw_together, pictures
from bench.report.plot_style import subplots


def figure(labels=("one",), height=3.0):
    drawn, axes = subplots(7.2, height)
    for label in labels:
        axes.plot([0, 1], [0, 1], label=label)
    drawn.legend(loc="outside right center")
    return drawn


def picture(**how):
    return Picture("p", "p", "P", lambda: figure(**how))


def test_it_is_drawn_once_and_not_before_it_is_asked_for():
    drawn = []
    found = Picture("p", "p", "P", lambda: drawn.append(1) or figure())
    assert drawn == []
    assert found.svg.startswith("<?xml")
    assert found.svg == found.svg
    assert found.inches == (7.2, 3.0)
    assert drawn == [1]


def test_same_figure_same_bytes():
    one, other = picture(), picture()
    assert one.svg == other.svg


def test_a_legend_of_forty_networks_or_of_a_long_name_gets_its_room():
    many, long = picture(labels=[f"network {n}" for n in range(40)]), picture(labels=["n" * 60])
    assert many.inches[1] > 6
    assert long.inches[0] > AXES + 4
    assert picture(height=40).inches[1] == TALLEST


def test_letters_that_the_font_lacks_are_drawn_without_a_word(recwarn):
    assert picture(labels=("模型",)).svg.startswith("<?xml")
    assert [one for one in recwarn if "Glyph" in str(one.message)] == []


def several(count=4):
    return [Picture("p", f"p{n}", "P", lambda n=n: figure(labels=[f"network {n}"])) for n in range(count)]


@pytest.fixture
def two_cores(monkeypatch):
    if sys.platform != "linux":
        pytest.skip("pictures are drawn together on Linux only")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})


@pytest.mark.usefixtures("two_cores")
def test_drawn_together_they_are_what_they_are_alone():
    together = several()
    draw_together(together)
    assert all("_drawn" in vars(picture) for picture in together)
    assert [picture.svg for picture in together] == [picture.svg for picture in several()]


@pytest.mark.usefixtures("two_cores")
def test_a_picture_that_cannot_be_drawn_says_so_when_drawn_together_too():
    def fails():
        raise ValueError("no such axis")

    with pytest.raises(ValueError, match="no such axis"):
        draw_together([picture(), Picture("b", "bad", "B", fails)])


@pytest.mark.usefixtures("two_cores")
def test_a_process_that_dies_costs_no_report():
    parent = os.getpid()

    def dies():
        if os.getpid() != parent:
            os._exit(1)
        return figure()

    together = [Picture("p", "p", "P", dies), *several(2)]
    draw_together(together)
    assert all(picture.svg.startswith("<?xml") for picture in together)


@pytest.mark.usefixtures("two_cores")
def test_garbage_of_the_parent_is_not_collected_in_a_process_that_draws(tmp_path):
    class Left:
        """Garbage in a circle, as a process group of torch may be: it would wait for threads that a fork lacks."""

        def __init__(self) -> None:
            self.circle = self

        def __del__(self) -> None:
            (tmp_path / str(os.getpid())).touch()

    def collects():
        gc.collect()
        return figure()

    gc.disable()
    try:
        Left()
        draw_together([Picture(name, name, name, collects) for name in "ab"])
    finally:
        gc.enable()
    gc.collect()
    assert [path.name for path in tmp_path.iterdir()] == [str(os.getpid())]


@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_what_draws_ends_with_the_process_that_asked_for_it(number):
    code = (
        "import os, signal, time\nfrom bench.report.figures import Picture, draw_together\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "os.sched_getaffinity = lambda _: {0, 1}\n"
        "draws = lambda: (os.write(1, b'%d\\n' % os.getpid()), time.sleep(1 if NUMBER == 2 else 1e6))\n"
        "draw_together([Picture('p', 'p', 'P', draws)] * 4)\n"
    ).replace("NUMBER", str(int(number)))
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        drawing = [int(process.stdout.readline()) for _ in range(2)]
        os.kill(process.pid, number)
        process.wait(60)
        until = time.monotonic() + 20
        while any(map(is_running, drawing)) and time.monotonic() < until:
            time.sleep(0.02)
        assert not any(map(is_running, drawing))


@pytest.mark.usefixtures("two_cores")
def test_what_draws_takes_no_part_in_what_its_parent_does_about_signals(tmp_path):
    def ends():
        os.kill(os.getpid(), signal.SIGTERM)
        return figure()

    before = signal.signal(signal.SIGTERM, lambda *_: (tmp_path / str(os.getpid())).touch())
    try:
        draw_together([Picture(name, name, name, ends) for name in "ab"])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not list(tmp_path.iterdir())


def test_on_one_core_each_is_drawn_when_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    together = several(2)
    draw_together(together)
    assert not any("_drawn" in vars(picture) for picture in together)


def names(source):
    return [picture.name for picture in pictures("x", source)]


def test_a_section_with_everything_has_every_picture(reference):
    assert names(sections(reference)[0]) == [
        "dice-latency-x", "dice-counts-x", "paired-x", "learning-curves-x",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("records", "has"),
    [([cost_record()], []), ([latency_record("unet", (0.1,))], []), ([dice_record()], ["learning-curves-x"])],
)
def test_what_was_not_measured_is_not_drawn(records, has):
    assert names(sections(records)[0]) == has


def test_sweeps_are_drawn_where_there_is_more_than_one_point():
    def timed(**conditions):
        result = Latency(samples_s=(0.1,) * 5, warmup_s=())
        return record("unet", LATENCY.model_copy(update=conditions), result)

    assert names(speeds([timed()])[0]) == ["calls-x"]
    assert names(speeds([timed(), timed(batch=2)])[0]) == ["calls-x", "throughput-x"]
    assert names(speeds([timed(), timed(size=448)])[0]) == ["calls-x", "by-size-x"]


def test_every_figure_has_a_key_of_its_own():
    keys = [kind.key for kinds in FIGURES.values() for kind in kinds]
    assert len(set(keys)) == len(keys)


def test_telling_which_there_are_loads_no_renderer():
    code = "import sys, bench.report.write; print({'matplotlib', 'jinja2', 'pandas'} & {*sys.modules})"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        == "set()"
    )
