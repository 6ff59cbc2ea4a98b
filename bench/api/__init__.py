"""The program in Python: what a notebook or a script calls, as `bench.time(...)` or `from bench import time`.

    network   build a network as the program does
    count     its parameters and multiply-adds
    time      its latency; with two networks the ratio of their times
    run       train, measure and record networks; `bench run` in Python
    score     score predictions made elsewhere; `bench score` in Python
    records   what is on record, as a pandas table
    report    write the report of records; `bench report` in Python

Results show as tables in a notebook and in a terminal, and have their figures in base units as attributes: seconds,
bytes, multiply-adds. What is asked wrongly is a `bench.UserError` of one sentence. Whatever is measured is measured in
processes of its own, never in the caller's.
"""

from bench.api.built import network
from bench.api.counting import count
from bench.api.reading import records, report
from bench.api.running import run
from bench.api.scoring import score
from bench.api.timing import time

__all__ = ["count", "network", "records", "report", "run", "score", "time"]
