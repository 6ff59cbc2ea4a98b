"""Linux control groups: how much processor time a container may use, and how long it was held back for it.

Version 1 and 2 are read, of this process's group and of all groups that it lies in, for a limit on any binds it.
Source: the kernel's documentation, admin-guide/cgroup-v2 and scheduler/sched-bwc.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from bench.machine.system import keyed, number, text

PROC = Path("/proc")


def cpu_quota(proc: Path = PROC) -> float | None:
    """How many processors' worth of time this process may use; None where no limit is set."""
    return min((limit for group in _groups(proc) if (limit := _limit(group)) is not None), default=None)


def throttled_s(proc: Path = PROC) -> float | None:
    """Seconds for which a quota has held this process's groups back so far; None where that cannot be read."""
    found = [seconds for group in _groups(proc) if (seconds := _throttled_s(group)) is not None]
    return sum(found) if found else None


def _limit(group: Path) -> float | None:
    if (both := text(group / "cpu.max")) is not None:
        quota, period = both.split()
        return None if quota == "max" else int(quota) / int(period)
    limit, period_us = number(group / "cpu.cfs_quota_us"), number(group / "cpu.cfs_period_us")
    return limit / period_us if limit is not None and period_us and limit > 0 else None


def _throttled_s(group: Path) -> float | None:
    counted = keyed(group / "cpu.stat")
    if "throttled_usec" in counted:
        return counted["throttled_usec"] / 1e6
    return counted["throttled_time"] / 1e9 if "throttled_time" in counted else None


def _groups(proc: Path) -> Iterator[Path]:
    """The folder of this process's group and of each group above it, in every hierarchy that may limit time."""
    mounts = [line.split() for line in (text(proc / "mounts") or "").splitlines()]
    for line in (text(proc / "self" / "cgroup") or "").splitlines():
        _, controllers, name = line.split(":", 2)
        for _, mount, kind, options, *_ in mounts:
            second = kind == "cgroup2" and not controllers
            first = kind == "cgroup" and "cpu" in controllers.split(",") and "cpu" in options.split(",")
            if first or second:
                yield from _upwards(Path(mount), PurePosixPath(name))


def _upwards(mount: Path, name: PurePosixPath) -> Iterator[Path]:
    """From the group's folder up to the mount; inside a container often only the mount itself is there."""
    parts = () if ".." in name.parts else name.parts[1:]
    for depth in range(len(parts), -1, -1):
        folder = mount.joinpath(*parts[:depth])
        if folder.is_dir():
            yield folder
