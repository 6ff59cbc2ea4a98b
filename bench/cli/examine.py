"""The checks of `bench doctor`, displayed as their results become known."""

import time
from typing import Any

from bench.cli.terminal import Part, Screen, Status, console, key_values, say
from bench.files import temporary_folder
from bench.judge import noise
from bench.judge.noise import NETWORK, Failed
from bench.machine import cuda_usable, state, this_machine
from bench.machine.doctor import Finding, findings
from bench.quantities import Device
from bench.run.clock import Clock
from bench.run.plan import Plan
from bench.units import significant

WATCH_S = 1.0  # how long the idle machine is watched
SIGNS = {"ok": ("✓", "green"), "note": ("!", "yellow"), "bad": ("✗", "red")}


class Examination:
    """All that has been found so far."""

    def __init__(self, device: Device, quick: bool, to: Screen) -> None:
        self.device, self.quick, self.to, self.facts = device, quick, to, this_machine()
        self.findings: list[Finding] = []
        self.peak: Any = None
        self.runs: list[noise.NoiseRun] = []

    @property
    def fit(self) -> bool:
        """Whether nothing that was found spoils times."""
        return all(finding.mark != "bad" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Everything, in base units."""
        return {
            "machine": {**self.facts.model_dump(mode="json"), "fingerprint": self.facts.fingerprint},
            "device": self.device, "quick": self.quick, "fit": self.fit,
            "findings": [vars(finding) for finding in self.findings],
            "peak": self.peak.model_dump(mode="json", exclude={"quantity"}) if self.peak else None,
            "same": [one.facts for one in self.runs], "containing_1": noise.containing_1(self.runs),
            "resolution": noise.resolution(self.runs),
        }  # fmt: skip

    def examine(self, repeat: int) -> None:
        """Run all checks, and time the network against itself `repeat` times."""
        before = state()
        time.sleep(WATCH_S)  # the program does nothing between the two states: what is used then, others use
        after = state()
        say(self.to, "Machine", style="bold")
        key_values(self.to, self._machine(after.memory_free_bytes).items(), indent=True)
        self._heading(f"For measuring on {self.device}")
        self._add(findings(self.facts, before, after, self.device, cuda_usable()))
        planned = noise.noise_plan(self.device, self.quick)
        self._heading("Peak rates")
        try:
            self._measure_peak(planned)
        except Failed as failed:
            self._add([Finding("note", f"not measured: {failed}")])
        self._heading(f"Same against same: {NETWORK} over {NETWORK}, with its 95 % interval")
        clock = Clock(planned)
        try:
            for left in range(repeat, 0, -1):
                self._time_once(planned, clock, left)
        except Failed as failed:
            self._add([Finding("bad", f"{NETWORK} cannot be timed: {failed}")])

    def conclude(self, stopped: bool) -> None:
        """What the runs of the network against itself say, and the verdict."""
        self._add([*noise.judge_noise(self.runs, short=self.quick or stopped)])
        spoiled = sum(finding.mark == "bad" for finding in self.findings)
        if stopped:
            self._heading("Stopped before the end: this is what is known")
        elif self.fit:
            self._heading("Fit to measure", "bold green")
        else:
            things = "one thing spoils" if spoiled == 1 else f"{spoiled} things spoil"
            self._heading(f"Not fit to measure: {things} times here, marked ✗ bad", "bold red")

    def _machine(self, free: int | None) -> dict[str, str]:
        facts, memory = self.facts, f"{self.facts.memory_bytes / 2**30:.0f} GiB"
        quota = "" if facts.cpu_quota is None else f" (a quota of {facts.cpu_quota:g})"
        return {
            "processor": f"{facts.cpu}, {facts.cores} cores{quota}",
            "memory": memory if free is None else f"{memory}, {free / 2**30:.0f} GiB free",
            "GPU": f"{', '.join(facts.gpus)}, driver {facts.driver}" if facts.gpus else "none",
            "software": f"{facts.system}, Python {facts.python}, torch {facts.packages.get('torch', 'absent')}",
            "switches": ", ".join(f"{name}={value}" for name, value in facts.variables.items()) or "none set",
            "fingerprint": f"{facts.fingerprint} (times compare only under the same one)",
        }

    def _measure_peak(self, planned: Plan) -> None:
        job = next(job for job in planned.jobs if job.spec.quantity == "peak")
        with Status(console(), transient=True) as status, temporary_folder() as folder:
            status.show("measuring peak rates", 5.0)
            self.peak = noise.measure(planned, job, folder).result
        threads = f", {planned.asked.threads} threads" if self.device == "cpu" else ""
        product, copied = (significant(rate / 1e9) for rate in (self.peak.macs_per_s, self.peak.bytes_per_s))
        lines = {"matrix product": f"{product} GMAC/s (float32{threads})", "copy": f"{copied} GB/s, read and written"}
        key_values(self.to, lines.items(), indent=True)

    def _time_once(self, planned: Plan, clock: Clock, left: int) -> None:
        """One run of the network against itself; where it is stopped, the pairs that it has are kept."""
        run = noise.NoiseRun()
        try:
            with Status(console(), transient=True) as status:
                noise.time_pairs(run, planned, clock, left, status.show)
        finally:
            if len(run.pairs) > 1:
                self.runs.append(run)
                r = run.ratio
                figures = f"  {r.value:.3f} [{r.low:.3f}, {r.high:.3f}] from {r.pairs} pairs of processes, "
                say(self.to, figures, ("leaves out 1", "yellow") if r.differs else ("contains 1", "green"))

    def _heading(self, text: str, style: str = "bold") -> None:
        self.to.print()
        say(self.to, text, style=style)

    def _add(self, more: list[Finding]) -> None:
        """Keep findings and show them: a sign and a word for each, colored alike, and below it what to do."""
        for finding in more:
            self.findings.append(finding)
            sign, color = SIGNS[finding.mark]
            todo: list[tuple[Part, Part]] = [("", (f"→ {finding.todo}", "dim"))] if finding.todo else []
            key_values(self.to, [((f"{sign} {finding.mark:<4}", color), finding.what), *todo], indent=True)
