"""A picture is drawn once, has room for its legend, and is the same bytes for the same records."""

import os
import sys

import matplotlib.pyplot as plt
import pytest

from bench.report.drawing import AXES, TALLEST, Picture, draw_together


def figure(labels=("one",), height=3.0):
    drawn, axes = plt.subplots(figsize=(7.2, height), layout="constrained")
    for label in labels:
        axes.plot([0, 1], [0, 1], label=label)
    drawn.legend(loc="outside right center")
    return drawn


def picture(**how):
    return Picture("p", "P", lambda: figure(**how))


def test_it_is_drawn_once_and_not_before_it_is_asked_for():
    drawn = []
    found = Picture("p", "P", lambda: drawn.append(1) or figure())
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


def test_pyplot_keeps_no_figure():
    before = plt.get_fignums()
    assert picture().svg
    assert plt.get_fignums() == before


def several(count=4):
    return [Picture(f"p{n}", "P", lambda n=n: figure(labels=[f"network {n}"])) for n in range(count)]


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
        draw_together([picture(), Picture("bad", "B", fails)])


@pytest.mark.usefixtures("two_cores")
def test_a_process_that_dies_costs_no_report():
    parent = os.getpid()

    def dies():
        if os.getpid() != parent:
            os._exit(1)
        return figure()

    together = [Picture("p", "P", dies), *several(2)]
    draw_together(together)
    assert all(picture.svg.startswith("<?xml") for picture in together)


def test_on_one_core_each_is_drawn_when_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    together = several(2)
    draw_together(together)
    assert not any("_drawn" in vars(picture) for picture in together)
