"""The worker's side: what is built, what is measured and written, and what a failure is called."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from handmade import cost_record
from orders import order, tiny

import bench
from bench.errors import Diverged, UserError
from bench.files import unusable
from bench.networks.explain import crash
from bench.quantities import CostSpec, PeakSpec
from bench.run import child
from bench.run.job import Job
from bench.run.store import Store
from bench.run.worker import Order, StopRun, Work


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def done(asked) -> tuple[dict, list[dict]]:
    """The last event of an order that is done in this process, and those before."""
    events = []
    return child._do(Work(asked, events.append)), events


def test_the_seed_decides_the_weights_and_the_order_the_threads(tmp_path):
    asked = order(tmp_path, "mdsa_unet", "cost").model_copy(update={"threads": 1})
    one, again, other = (Work(asked, print).build(seed).state_dict() for seed in (3, 3, 4))
    assert torch.get_num_threads() == 1
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_what_is_measured_is_written_before_the_end_is_told(tmp_path):
    asked = order(tmp_path, tiny(tmp_path), "cost")
    end, _ = done(asked)
    record = Store(tmp_path).find(asked.job)
    assert end == {"end": "ok"}
    assert record.result.parameters == 3 * 8 * 9 + 8 + 2 * 8 + 8 + 1
    assert 0 <= record.window_s <= record.wall_s


@pytest.mark.parametrize("quantity", ["latency", "profile", "memory"])
def test_the_states_around_what_is_timed_are_written_down(tmp_path, quantity):
    asked = order(tmp_path, tiny(tmp_path), quantity)
    assert done(asked)[0] == {"end": "ok"}
    record = Store(tmp_path).find(asked.job)
    if quantity == "memory":
        assert record.window is None
    else:
        first, last = record.window
        assert record.before.clock_s <= first.clock_s <= last.clock_s <= record.after.clock_s
        assert last.clock_s - first.clock_s < record.wall_s


def test_who_lost_the_lock_writes_nothing(tmp_path):
    asked = order(tmp_path, tiny(tmp_path), "cost").model_copy(update={"lock": tmp_path / "x.lock", "token": "mine"})
    asked.lock.write_text('{"token": "of another run"}')
    assert done(asked)[0] == {"end": "lost"}
    assert Store(tmp_path).find(asked.job) is None
    asked.lock.write_text('{"token": "mine"}')
    assert done(asked)[0] == {"end": "ok"}


@pytest.mark.parametrize(("network", "divisor"), [("swin_unet", 32), ("unet", 16)])
def test_a_network_that_refuses_the_size_says_so(tmp_path, network, divisor):
    end, _ = done(order(tmp_path, network, "cost", size=100))
    assert end["end"] == "refused"
    assert f"{network} needs sides that divide by {divisor}, got 100x100" in end["error"]


def fails(error):
    """A measure that raises this."""

    def measure(network, spec, progress):
        raise error

    return measure


FAILS = {
    "memory of Python": (fails(MemoryError("none left")), "out_of_memory", "none left"),
    "memory of a GPU": (fails(RuntimeError("CUDA out of memory. Tried 2 GiB")), "out_of_memory", "CUDA out of memory"),
    "memory of a CPU": (lambda network, spec, progress: torch.empty(2**55), "out_of_memory", "can't allocate memory"),
    "a bad network": (fails(UserError("it wants others")), "refused", "it wants others"),
    "bad data": (fails(StopRun("no image")), "stop", "no image"),
    "anything": (fails(KeyError("head")), "crashed", "KeyError: 'head'"),
}


@pytest.mark.parametrize(("measure", "name", "told"), FAILS.values(), ids=FAILS)
def test_a_measure_that_fails_is_an_end_with_a_reason(tmp_path, monkeypatch, measure, name, told):
    monkeypatch.setattr("bench.measure.cost.cost", measure)
    end, _ = done(order(tmp_path, tiny(tmp_path), "cost"))
    assert end["end"] == name
    assert told in end["error"]
    assert not list(tmp_path.glob("*.json"))


def ended(tmp_path, monkeypatch, measured) -> dict:
    """The last event of an order whose measurement does this."""
    monkeypatch.setattr(child, "_measured", measured)
    job = Job(network="unet", network_digest="d", spec=CostSpec())
    return done(Order(job=job, out=tmp_path, device="cpu", threads=1))[0]


def raises(error):
    def measured(work):
        raise error

    return measured


class Unspeakable(Exception):
    """A stranger's error, which cannot be told."""

    def __str__(self):
        raise KeyboardInterrupt


class Mistaken(Exception):
    def __str__(self):
        return 5  # noqa: PLE0307 - that is its fault


STRANGE = {
    "leaves Python": (SystemExit(3), "SystemExit: 3"), "Ctrl-C": (KeyboardInterrupt(), "KeyboardInterrupt: "),
    "a generator's end": (GeneratorExit("x"), "GeneratorExit: x"), "cannot be told": (Unspeakable(), "Unspeakable: "),
    "tells a number": (Mistaken(), "Mistaken: "), "50 MB": (ValueError("E" * 50_000_000), "ValueError: EEE"),
    "half a letter": (ValueError("a\ud800b"), "ValueError: a\N{REPLACEMENT CHARACTER}b"),
    "colors": (ValueError("\x1b[31mred\x1b[0m \u202e\0"), "ValueError: red \N{REPLACEMENT CHARACTER}"),
    "lines": (ValueError("\n\n one\r\ntwo"), "ValueError: one"),
    "a strange name": (type("N" * 500 + "\n\x1b[1m", (Exception,), {})("x"), "NNNN"),
    "a group": (BaseExceptionGroup("all", [SystemExit(1)]), "BaseExceptionGroup: all (1 sub-exception)"),
    "a disk elsewhere": (OSError(errno.ENOSPC, "No space left on device", "/elsewhere/x"), "OSError: [Errno 28]"),
}  # fmt: skip


@pytest.mark.parametrize(("error", "told"), STRANGE.values(), ids=STRANGE)
def test_whatever_a_network_raises_is_a_crash_with_a_short_clean_text(tmp_path, monkeypatch, error, told):
    end = ended(tmp_path, monkeypatch, raises(error))
    assert end["end"] == "crashed"
    assert end["error"].startswith(told)
    assert len(end["error"]) < 450
    assert end["error"].isprintable()


CRASHES = """
import traceback

import torch
from torch import nn

WHEN = {when!r}


def deeper(told):
    raise ValueError(told)


class Torn(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        deeper("backward")


class Net(nn.Conv2d):
    def __init__(self, in_channels, classes):
        super().__init__(in_channels, classes, 1)
        if WHEN == "building":
            deeper("no such width")

    def forward(self, x):
        if WHEN == "any image":
            x = x @ x.new_zeros(7, 7)
        if WHEN == "measuring" and any(one.filename.endswith("latency.py") for one in traceback.extract_stack()):
            deeper("tired")
        x = super().forward(x)
        return Torn.apply(x) if WHEN == "training" else x
"""


@pytest.mark.parametrize(
    ("when", "quantity", "status", "told", "code"),
    [
        ("building", "cost", "refused", "ValueError: no such width", "raise ValueError(told)"),
        ("any image", "cost", "refused", "RuntimeError: ", "x = x @ x.new_zeros(7, 7)"),
        ("measuring", "latency", "crashed", "ValueError: tired", "raise ValueError(told)"),
        ("training", "dice", "crashed", "ValueError: backward", "raise ValueError(told)"),
    ],
)
def test_a_crash_of_a_users_network_names_its_line_and_the_log(tmp_path, capfd, when, quantity, status, told, code):
    file = tmp_path / "mine.py"
    file.write_text(CRASHES.format(when=when))
    line = next(number for number, text in enumerate(file.read_text().splitlines(), 1) if text.strip() == code)
    asked = order(tmp_path, f"{file}:Net", quantity)
    end, _ = done(asked)
    assert end["end"] == status
    assert told in end["error"]
    assert f"mine.py:{line}" in end["error"]
    assert end["error"].endswith(f"; see {asked.log}")
    assert f'mine.py", line {line}' in capfd.readouterr().err, "the log has the traceback"


def test_a_refusal_of_the_programs_own_names_no_log(tmp_path):
    end, _ = done(order(tmp_path, "swin_unet", "cost", size=100))
    assert "see " not in end["error"]


def test_a_long_text_leaves_room_for_the_line_and_the_log(tmp_path):
    try:
        raise ValueError("why " * 200)
    except ValueError as error:
        told = crash(error, Path("results") / "logs" / f"{'n' * 90}.log")
    assert told.startswith("ValueError: why why")
    assert "test_child.py:" in told
    assert told.endswith(f"; see results/logs/{'n' * 90}.log")
    assert len(told) <= 300


def test_a_network_that_calls_itself_for_ever_is_a_crash(tmp_path, monkeypatch):
    def measured(work):
        return measured(work)

    end = ended(tmp_path, monkeypatch, measured)
    assert (end["end"], end["error"][:15]) == ("crashed", "RecursionError:")


class Refused(UserError):
    """A kind of it."""


def test_a_kind_of_wrong_input_is_wrong_input_with_a_clean_text(tmp_path, monkeypatch):
    end = ended(tmp_path, monkeypatch, raises(Refused("it wants\nothers\x1b[1m")))
    assert end == {"end": "refused", "error": "it wants others"}
    assert ended(tmp_path, monkeypatch, raises(Refused())) == {"end": "refused", "error": "Refused"}


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), PermissionError(errno.EACCES, "Permission denied")]
)
def test_a_record_that_cannot_be_written_is_no_fault_of_the_network(tmp_path, monkeypatch, error):
    def refuses(store, record):
        raise error

    monkeypatch.setattr(Store, "write", refuses)
    end = ended(tmp_path, monkeypatch, lambda work: cost_record().result)
    assert end == {"end": "unusable", "error": str(unusable(error, tmp_path))}


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("I/O error: No space left on device (os error 28)"),  # as libraries tell it
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
    ],
)
def test_a_disk_that_is_full_while_it_works_is_no_fault_of_the_network(tmp_path, monkeypatch, error):
    end = ended(tmp_path, monkeypatch, raises(error))
    assert end["end"] == "crashed", "there is room, so it is the network that says so"
    assert not list(tmp_path.iterdir())

    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    end = ended(tmp_path, monkeypatch, raises(error))
    assert end == {"end": "unusable", "error": f"{tmp_path}: the disk is full; make room there, or give another folder"}


@pytest.mark.parametrize("number", [errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.EACCES])
def test_what_a_file_system_refuses_in_its_folder_is_no_fault_of_the_network(tmp_path, monkeypatch, number):
    error = OSError(number, os.strerror(number), str(tmp_path / "checkpoints" / "x"))
    assert ended(tmp_path, monkeypatch, raises(error)) == {"end": "unusable", "error": str(unusable(error))}


def test_a_training_that_diverges_says_so(tmp_path, monkeypatch):
    def dice(work):
        raise Diverged("loss is nan at step 3")

    monkeypatch.setattr("bench.run.dice.dice", dice)
    assert done(order(tmp_path, "unet", "dice"))[0] == {"end": "diverged", "error": "loss is nan at step 3"}


def test_the_machines_peak_needs_no_network(tmp_path, monkeypatch):
    asked = order(tmp_path, "unet", "cost")
    spec = PeakSpec(machine="m", device="cpu", threads=1)
    asked = asked.model_copy(update={"job": Job(network="machine", network_digest="", spec=spec)})
    monkeypatch.setattr("bench.measure.peak.peak", lambda *given, progress: given)
    assert child._measured(Work(asked, print)) == (spec,)


def test_progress_is_told_with_counts_at_once_and_without_only_now_and_then(monkeypatch):
    now, told = [100.0], []
    monkeypatch.setattr(child.time, "monotonic", lambda: now[0])
    last = [100.0]
    child._now_and_then(told.append, last, "counting", 1, 3)
    child._now_and_then(told.append, last, "timing")
    assert told == [{"doing": "counting", "done": 1, "of": 3}]
    now[0] += child.ALIVE_S + 1
    child._now_and_then(told.append, last, "timing")
    child._now_and_then(told.append, last, "timing")
    assert told[1:] == [{"doing": "timing"}]


def test_what_asks_for_input_gets_none_and_what_it_prints_is_no_event(tmp_path):
    """Neither is in the way of the order and the events, which come and go by the same numbers."""
    script = tmp_path / "asks.py"
    script.write_text(
        "import os, sys\nfrom bench.run import child\n"
        "def asks(work):\n"
        "    print('printed', flush=True)\n"
        "    os.write(1, b'written')\n"
        "    return {'end': 'ok', 'error': sys.stdin.read()}\n"
        "child._do = asks\n"
        "child.main()\n"
    )
    job = Job(network="unet", network_digest="d", spec=CostSpec())
    asked = Order(job=job, out=tmp_path, device="cpu", threads=1)
    variables = {**os.environ, "PYTHONPATH": str(Path(bench.__file__).parents[1])}
    told = subprocess.run(
        [sys.executable, str(script)], input=asked.model_dump_json() + "\n", capture_output=True, text=True,
        env=variables, check=True,
    )  # fmt: skip
    assert json.loads(told.stdout) == {"end": "ok", "error": ""}
    assert "printed\nwritten" in told.stderr
