"""Which pictures a report has: a line each, with what it shows, who draws it, and when there is something to show."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bench.read.sections import Section
from bench.read.speeds import Speeds
from bench.report.drawing import Picture
from bench.report.exhibits import Exhibit, looks_somewhere

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Kind:
    """A kind of picture of one source: a section, the speeds on a machine, or an exhibit of test images.

    `draw` is "module:function" of the source, imported when it is drawn; `has` tells whether there is anything to see.
    """

    name: str
    caption: Callable[[Any], str]
    draw: str
    has: Callable[[Any], bool]


OF_SECTION = (
    Kind(
        "dice-latency", lambda s: f"Dice against latency, {_data(s)}", "figures:dice_against_latency",
        lambda s: any(row.dice and row.latency_s for row in s.rows),
    ),
    Kind(
        "dice-counts", lambda s: f"Dice against multiply-adds and parameters, {_data(s)}",
        "more_figures:dice_against_counts", lambda s: sum(bool(row.dice and row.cost) for row in s.rows) > 1,
    ),
    Kind(
        "latency-counts", lambda s: "Latency against multiply-adds", "more_figures:latency_against_counts",
        lambda s: not s.dice and sum(bool(row.latency_s and row.cost and row.cost.torch.macs) for row in s.rows) > 2,
    ),
    Kind(
        "paired", lambda s: f"Paired differences of Dice, {_data(s)}", "more_figures:paired_differences",
        lambda s: bool(s.paired),
    ),
    Kind(
        "learning-curves", lambda s: f"Loss and validation Dice while training, {_data(s)}", "figures:learning_curves",
        lambda s: any(scores.curve for row in s.rows for scores in row.trainings),
    ),
)  # fmt: skip
OF_EXHIBIT = (
    Kind(
        "outlines",
        lambda e: "Test images by the mean Dice of the networks: truth in white, each network's outline, its Dice",
        "exhibits:outlines", lambda e: True,
    ),
    Kind(
        "regions",
        lambda e: f"Where {_looking(e)} looks: framed, the region of the cross; tinted, those that it attends to",
        "exhibits:regions", lambda e: looks_somewhere(e) is not None,
    ),
)  # fmt: skip
OF_SPEEDS = (
    Kind(
        "calls", lambda s: "How single calls spread around their network's median", "speed_figures:calls",
        lambda s: any(len(row.calls_s) > 1 for row in s.rows),
    ),
    Kind("throughput", lambda s: "Throughput by batch", "speed_figures:throughput", lambda s: len(s.batches) > 1),
    Kind("by-size", lambda s: "Latency and memory by image size", "speed_figures:by_size", lambda s: len(s.sizes) > 1),
    Kind(
        "modules", lambda s: "Where the time of a forward pass goes", "speed_figures:time_by_module",
        lambda s: any(row.profile for row in s.rows),
    ),
)  # fmt: skip
OF_SOURCE = {Section: OF_SECTION, Exhibit: OF_EXHIBIT, Speeds: OF_SPEEDS}
KINDS = tuple(kind for kinds in OF_SOURCE.values() for kind in kinds)


def pictures(name: str, source: Section | Exhibit | Speeds) -> Iterator[Picture]:
    """The pictures of one source that have something to show; `name` tells them from those of others."""
    for kind in OF_SOURCE[type(source)]:
        if kind.has(source):
            yield Picture(f"{kind.name}-{name}", kind.caption(source), partial(_drawn, kind.draw, source))


def _drawn(draw: str, source: Any) -> "Figure":
    module, _, function = draw.partition(":")
    figure: Figure = getattr(import_module(f"bench.report.{module}"), function)(source)
    return figure


def _data(section: Section) -> str:
    return section.dice.dataset if section.dice else ""


def _looking(exhibit: Exhibit) -> str:
    network = looks_somewhere(exhibit)
    return network.row.title if network else ""
