"""A real Slurm for tests, on this machine alone: two nodes of two pretended GPUs each, on loopback, in a folder.

Nothing is installed, unless `BENCH_TEST_SLURM=install` asks for it, and nothing is left: each daemon has a supervisor,
which ends all that the daemon started, also when the tests are killed. The nodes' GPUs are character devices, so that
Slurm hands them out as it does real ones. A file of tests has its fixtures by `pytest_plugins = ["slurming"]`
(PYTEST_DONT_REWRITE: such a file may have imported this one before).
"""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

from bench.processes import stop, supervised

ASKED = "BENCH_TEST_SLURM"  # "install": the packages are installed where they are missing
PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "munged")
GPUS = ("/dev/null", "/dev/zero")  # any character devices
NODES = ("n1", "n2")
START_S = 60.0

# What makes it quick: a dead node is noticed after SlurmdTimeout, and what ran on it may start again once the
# credential of its first start has expired (cred_expire, by default 120 seconds).
CONF = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdPidFile={folder}/%n.pid
SlurmdLogFile={folder}/%n.log
SlurmdSpoolDir={folder}/spool-%n
StateSaveLocation={folder}/state
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire={expire}
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
GresTypes=gpu
ReturnToService=2
SlurmctldTimeout=10
SlurmdTimeout={timeout}
MessageTimeout=10
TCPTimeout=2
KillWait=10
CompleteWait=0
SchedulerParameters=sched_interval=1,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=8 RealMemory=4000 Gres=gpu:2
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=8 RealMemory=4000 Gres=gpu:2
PartitionName=usual Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
PartitionName=low Nodes=n1 PriorityTier=1 PreemptMode=REQUEUE GraceTime=10 MaxTime=INFINITE State=UP
PartitionName=high Nodes=n1 PriorityTier=9 PreemptMode=OFF MaxTime=INFINITE State=UP
"""


class Row(NamedTuple):
    """A job as squeue tells of it."""

    id: str
    state: str
    node: str
    name: str


def missing() -> str:
    """Why no Slurm can be started here, with what to do; empty where it can. It needs no rights of root."""
    if sys.platform != "linux":
        return "Slurm runs on Linux only"
    if (lacking := _lacking()) and os.environ.get(ASKED) == "install":
        if why := _installed():
            return why
        lacking = _lacking()
    if lacking:
        return f"{', '.join(lacking)} not found: `apt-get install {' '.join(PACKAGES)}`, or set {ASKED}=install"
    return ""


def _installed() -> str:
    """Install the packages; why that failed, or an empty text."""
    apt = [*(["sudo", "--non-interactive"] if os.geteuid() else []), "apt-get", "--quiet"]
    wait = ["--option", "DPkg::Lock::Timeout=200"]  # another process of the tests may install them too
    for words in (["update"], [*wait, "install", "--yes", "--no-install-recommends", *PACKAGES]):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        try:
            done = subprocess.run([*apt, *words], check=False, env=environment, capture_output=True, text=True)
        except OSError as error:
            return f"{apt[0]} cannot be started: {error.strerror}"
        if done.returncode and words[-1] in PACKAGES:
            return f"{' '.join(apt)} install failed: {done.stderr.strip()[-200:]}"
    return ""


def _lacking() -> list[str]:
    return [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]


def _path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


class Slurm:
    """A Slurm that is running. `conf` is the file that SLURM_CONF names meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.conf = folder, folder / "slurm.conf"
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}

    # ---- what tests call

    def sbatch(self, script: str, *flags: str) -> str:
        """Submit lines of shell, whose output goes to `ID.out` in the folder; the job's id."""
        text = f"#!/bin/bash\n#SBATCH --output={self.folder}/%A-%a-%j.out --open-mode=append\n{script}\n"
        return self.ask("sbatch", "--parsable", *flags, text=text)

    def squeue(self, *flags: str) -> list[Row]:
        """Jobs that wait or run, each task of an array for itself; with `--states=all` those that ended lately too."""
        lines = self.ask("squeue", "--array", "--noheader", "--format=%i|%T|%N|%j", *flags).splitlines()
        return [Row(*line.split("|", 3)) for line in lines]

    def ask(self, *words: str, text: str | None = None) -> str:
        """What a command of Slurm prints; AssertionError with its errors where it fails."""
        done = subprocess.run(words, input=text, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
        return done.stdout.strip()

    def until(self, ready: Callable[[], object], seconds: float = 60.0) -> None:
        """Wait until something is so; AssertionError with the queue and the last words of the daemons if it is not."""
        end = time.monotonic() + seconds
        while not ready():
            assert time.monotonic() < end, self.told()
            time.sleep(0.1)

    def ended(self, seconds: float = 60.0) -> None:
        """Wait until the queue is empty."""
        self.until(lambda: not self.squeue(), seconds)

    def kill_node(self, name: str, noticed: bool = True) -> None:
        """End a node as the loss of its power does: its slurmd and all that runs below it, at once.

        `noticed`: Slurm is told at once; by itself it takes about half a minute. What ran there is requeued then.
        """
        stop(self.daemons.pop(name))
        if noticed:
            self.ask("scontrol", "update", f"NodeName={name}", "State=DOWN", "Reason=killed")

    def start_node(self, name: str) -> None:
        """Start a node, and wait until jobs can run on it."""
        self._start(name, "slurmd", "-D", "-N", name, "-f", str(self.conf))
        self.until(lambda: self.state(name).split("+")[0] in ("IDLE", "MIXED", "ALLOCATED"), START_S)

    def state(self, name: str) -> str:
        """A node's state, such as "IDLE" or "DOWN+NOT_RESPONDING"."""
        (found,) = [word for word in self.ask("scontrol", "show", "node", name).split() if word.startswith("State=")]
        return found.removeprefix("State=")

    def told(self) -> str:
        """The queue, and the last lines of each log."""
        logs = [f"{path.name}:\n{path.read_text(errors='replace')[-1500:]}" for path in self.folder.glob("*.log")]
        queue = subprocess.run(["squeue", "--states=all"], capture_output=True, text=True, check=False, timeout=60)
        return "\n".join([queue.stdout + queue.stderr, *logs])

    # ---- from the start to the end

    def start(self) -> None:
        self._write()
        self._start_munge()
        self._start("slurmctld", "slurmctld", "-D", "-f", str(self.conf))
        self.until(lambda: _answers("scontrol", "ping"), START_S)
        for name in NODES:
            self._start(name, "slurmd", "-D", "-N", name, "-f", str(self.conf))
        self.until(lambda: all(self.state(name) == "IDLE" for name in NODES), START_S)

    def end(self) -> None:
        for name in reversed(list(self.daemons)):
            stop(self.daemons.pop(name))

    def _write(self) -> None:
        self.folder.chmod(0o755)  # where this is root, munged is another user, and has its files in it
        for name in ("state", *(f"spool-{node}" for node in NODES)):
            (self.folder / name).mkdir()
        host, user = socket.gethostname().split(".")[0], pwd.getpwuid(os.geteuid()).pw_name
        told = {"host": host, "user": user, "ports": _free_ports(3), "folder": self.folder, "expire": 5, "timeout": 5}
        self.conf.write_text(CONF.format(**told))
        gres = [f"NodeName={node} Name=gpu File={device}" for node in NODES for device in GPUS]
        (self.folder / "gres.conf").write_text("\n".join(gres) + "\n")

    def _start_munge(self) -> None:
        own = self.folder / "munge"
        own.mkdir(mode=0o755)
        (own / "key").write_bytes(os.urandom(128))
        (own / "key").chmod(0o400)
        who = []
        if not os.geteuid():  # munged is not run as root
            # To become another user forgets that it should end with its supervisor.
            who = ["setpriv", "--reuid=munge", "--regid=munge", "--clear-groups", "--pdeathsig=KILL"]
            for path in (own, own / "key"):
                shutil.chown(path, "munge", "munge")
        names = {"key-file": "key", "log-file": "log", "pid-file": "pid", "seed-file": "seed", "socket": "socket"}
        files = [f"--{option}={own / name}" for option, name in names.items()]
        self._start("munged", *who, "munged", "--foreground", "--num-threads=2", *files)
        self.until(lambda: _answers("munge", "--no-input", f"--socket={own / 'socket'}"), START_S)

    def _start(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.out").open("ab") as out:
            self.daemons[name] = supervised(command, {**os.environ, "PATH": _path()}, stdout=out, stderr=out)


def _answers(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0


def _free_ports(count: int) -> list[int]:
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextmanager
def running() -> Iterator[Slurm]:
    """A Slurm of two idle nodes, which SLURM_CONF names; all of it ends with the block."""
    with TemporaryDirectory(prefix="bench-slurm-") as folder, pytest.MonkeyPatch.context() as changed:
        started = Slurm(Path(folder))
        changed.setenv("SLURM_CONF", str(started.conf))
        for name in set(os.environ) - {"SLURM_CONF"}:
            if name.startswith(("SLURM_", "SBATCH_", "SQUEUE_")):  # of a job that the tests may run in
                changed.delenv(name)
        try:
            started.start()
            yield started
        finally:
            started.end()


@pytest.fixture(scope="session")
def started_slurm() -> Iterator[Slurm]:
    """A Slurm for a session's tests; they are skipped where none can be started."""
    if why := missing():
        pytest.skip(why)
    with running() as started:
        yield started


@pytest.fixture
def slurm(started_slurm: Slurm) -> Iterator[Slurm]:
    """The session's Slurm with an empty queue and both nodes up; what a test leaves in the queue is cancelled."""
    yield started_slurm
    if started_slurm.squeue():
        started_slurm.ask("scancel", "--me")
    for name in NODES:
        if name not in started_slurm.daemons:
            started_slurm.start_node(name)
    started_slurm.ended()
