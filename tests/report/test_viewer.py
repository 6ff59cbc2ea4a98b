"""The image viewer's HTML: closed outlines, one network at a time, nothing a stranger's name could break."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from bench.read.rows import Row
from bench.report.exhibits import Exhibit, Shown
from bench.report.viewer import viewer
from bench.run.predictions import Predictions

SIZE = 20


@pytest.fixture
def exhibit():
    masks = np.zeros((1, SIZE, SIZE), np.uint8)
    masks[0, 5:10, 0:10] = 1
    networks = tuple(
        Shown(Row(name, ()), Predictions(("a<b>",), masks, {}), {"a<b>": 0.5}) for name in ("unet", "<script>")
    )
    return Exhibit(networks, np.zeros((1, 3, SIZE, SIZE), np.uint8), masks, {"a<b>": 0})


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))


def test_one_network_is_shown_and_there_is_a_button_for_each(exhibit):
    page = Tags()
    page.feed(viewer(exhibit, "x"))
    assert [a["data-shows"] for tag, a in page.seen if tag == "button"] == ["unet", "<script>"]
    assert [("hidden" in a) for tag, a in page.seen if tag == "path"] == [False, False, True]
    assert "script" not in {tag for tag, _ in page.seen}
    (image,) = (a for tag, a in page.seen if tag == "img")
    assert image["src"].startswith("data:image/png;base64,")


def test_an_outline_at_the_edge_is_closed(exhibit):
    first = re.search(r'class="truth" d="M([^"]*)"', viewer(exhibit, "x"))[1].split("L")
    assert first[0] == first[-1]
    xs = [float(point.split(",")[0]) for point in first]
    assert (min(xs), max(xs)) == (0.0, 10.0)
