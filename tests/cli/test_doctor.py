"""The command as it is typed, with a worker that answers at once: sections, exit codes, what is kept."""

import json
from contextlib import contextmanager

import pytest
from handmade import ENVIRONMENT, STATE, latency_record, record
from typer.testing import CliRunner

from bench.cli import app, examine
from bench.judge import noise
from bench.machine.doctor import Finding
from bench.quantities import LatencySpec, Peak

PEAK = Peak(macs_per_s=99.1e9, bytes_per_s=39.7e9)


class Worker:
    """Answers at once; its network takes 50 ms, give or take as much under either name. A call may be interrupted."""

    def __init__(self, stops_at: int | None = None) -> None:
        self.calls, self.stops_at = 0, stops_at

    def __call__(self, order, tell):
        self.calls += 1
        if self.calls == self.stops_at:
            raise KeyboardInterrupt
        if not isinstance(order.job.spec, LatencySpec):
            return record(order.job.network, order.job.spec, PEAK)
        return latency_record("mdsa_unet", (0.05 + 1e-5 * (self.calls % 3),), order.job.spec.process)


@pytest.fixture
def machine(monkeypatch):
    """A machine of which one thing is noted; a test may put other findings in the list."""
    found = [Finding("note", "this is a virtual machine: neighbours may slow it unseen", "repeat on another day")]
    monkeypatch.setattr(noise, "run", Worker())
    monkeypatch.setattr(examine, "this_machine", lambda: ENVIRONMENT)
    monkeypatch.setattr(examine, "state", lambda: STATE)
    monkeypatch.setattr(examine, "WATCH_S", 0)
    monkeypatch.setattr(examine, "findings", lambda *_: list(found))
    monkeypatch.setenv("COLUMNS", "80")
    return found


def doctor(folder, *arguments):
    return CliRunner().invoke(app, ["doctor", "--device", "cpu", "--quick", "--out", str(folder), *arguments])


def kept(folder):
    (path,) = folder.glob("doctor/*.json")
    return json.loads(path.read_text())


@pytest.mark.usefixtures("machine")
def test_a_fit_machine(tmp_path):
    done = doctor(tmp_path)
    assert done.exit_code == 0, done.output
    shown = done.stdout
    sections = ["Machine", "For measuring on cpu", "Peak rates", "Same against same", "Fit to measure", "Kept in"]
    assert sorted(sections, key=shown.index) == sections
    for line in (
        "processor    A CPU, 2 cores", "! note  this is a virtual machine", "→ repeat on another day",
        "99.1 GMAC/s (float32, ", "39.7 GB/s, read and written", "from 3 pairs of processes, ", "✓ ok    0.",
    ):  # fmt: skip
        assert line in shown
    assert max(len(line) for line in shown.split("Kept in")[0].splitlines()) <= 80
    assert "timing mdsa_unet as B, pair 3 of 3, about" in done.stderr
    assert kept(tmp_path)["fit"] is True
    assert [path.name for path in tmp_path.iterdir()] == ["doctor"]


def test_what_spoils_times_gives_exit_code_1(tmp_path, machine):
    machine.append(Finding("bad", "other processes used 50 %", "stop them"))
    done = doctor(tmp_path)
    assert done.exit_code == 1
    assert "✗ bad   other processes used 50 %" in done.stdout
    assert "Not fit to measure: one thing spoils times here, marked ✗ bad" in done.stdout
    assert kept(tmp_path)["fit"] is False


@pytest.mark.usefixtures("machine")
def test_repeated_it_shows_every_interval(tmp_path):
    done = doctor(tmp_path, "--repeat", "20")
    assert done.stdout.count("from 3 pairs of processes") == 20
    assert "20 of 20 intervals contain 1" in done.stdout or "of 20 intervals contain 1 (limit 19)" in done.stdout
    assert len(kept(tmp_path)["same"]) == 20


@pytest.mark.usefixtures("machine")
def test_as_json_standard_output_holds_nothing_else(tmp_path):
    done = doctor(tmp_path, "--json")
    facts = json.loads(done.stdout)
    assert facts == kept(tmp_path)
    assert list(facts) == [
        "machine", "device", "quick", "fit", "findings", "peak", "same", "containing_1", "resolution",
    ]  # fmt: skip
    assert facts["machine"]["fingerprint"] == ENVIRONMENT.fingerprint
    assert facts["peak"] == {"macs_per_s": PEAK.macs_per_s, "bytes_per_s": PEAK.bytes_per_s}
    assert facts["containing_1"] == facts["same"][0]["contains_1"]
    assert facts["resolution"] == facts["same"][0]["resolution"]


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(("stops_at", "pairs"), [(1, 0), (4, 0), (6, 2)])
def test_stopped_it_says_what_is_known(tmp_path, monkeypatch, stops_at, pairs):
    monkeypatch.setattr(noise, "run", Worker(stops_at))
    done = doctor(tmp_path)
    assert done.exit_code == 130
    assert "virtual machine" in done.stdout
    assert ("from 2 pairs of processes" in done.stdout) is bool(pairs)
    assert "Stopped before the end: this is what is known" in done.stdout
    assert bool(list(tmp_path.rglob("*.json"))) is bool(pairs), "what was measured is kept"


@pytest.mark.usefixtures("machine")
def test_a_network_that_fails_is_told_and_spoils_the_check(tmp_path, monkeypatch):
    def fails(order, tell):
        return record(order.job.network, order.job.spec, None, status="crashed", error="it fell over")

    monkeypatch.setattr(noise, "run", fails)
    done = doctor(tmp_path)
    assert done.exit_code == 1
    assert "! note  not measured: crashed: it fell over" in done.stdout
    assert "✗ bad   mdsa_unet cannot be timed: crashed: it fell over" in done.stdout


def test_bad_questions_are_refused(tmp_path):
    assert doctor(tmp_path, "--repeat", "0").exit_code == 2
    (tmp_path / "file").write_text("")
    done = doctor(tmp_path / "file")
    assert "is a file, not a folder" in str(done.exception)


@pytest.mark.usefixtures("machine")
def test_it_measures_alone_on_its_machine(tmp_path, monkeypatch):
    held, worker = [], Worker()

    @contextmanager
    def lock(exclusive, tell):
        held.append(exclusive)
        yield
        held.append("over")

    def run(order, tell):
        assert held == [True]
        return worker(order, tell)

    monkeypatch.setattr("bench.locks.machine_lock", lock)
    monkeypatch.setattr(noise, "run", run)
    assert doctor(tmp_path).exit_code == 0
    assert held == [True, "over"]
    assert worker.calls > 1
