"""Which pictures a report has: each where there is something to see, and each by a name of its own."""

import subprocess
import sys

import pytest
from handmade import LATENCY, cost_record, dice_record, latency_record, record

from bench.quantities import Latency
from bench.read.sections import sections
from bench.read.speeds import speeds
from bench.report.pictures import KINDS, pictures


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


def test_every_kind_can_be_told_by_its_name():
    assert len({kind.name for kind in KINDS}) == len(KINDS)


def test_telling_which_there_are_does_not_load_matplotlib():
    code = "import sys, bench.report.document, bench.report.write; print('matplotlib' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        == "False"
    )
