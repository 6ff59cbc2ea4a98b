"""What the operating system says of this process's processors, and the limits a container sets to their use.

Limits are read from Linux control groups, version 1 and 2: of this process's group and of all groups that it lies in,
because a limit on any of them applies. Source: the kernel's documentation, admin-guide/cgroup-v2 and
scheduler/sched-bwc.
"""

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PROC = Path("/proc")


def text(path: Path) -> str | None:
    """The stripped content of a system file; None where it does not exist or may not be read."""
    try:
        return path.read_text().strip()
    except OSError:  # some files exist on every machine and can be read on few, or only by root
        return None


@cache
def cpu_info(field: str) -> str:
    """The first processor's value of a field of /proc/cpuinfo, such as `model name`; empty where there is none."""
    found = re.search(rf"^{field}\s*:(.*)$", text(PROC / "cpuinfo") or "", re.MULTILINE)
    return found[1].strip() if found else ""


@cache
def processors() -> tuple[int, ...]:
    """The numbers of the processors this process may run on.

    Read once, at the start: OpenMP may later bind the main thread to one of them.
    """
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return tuple(sorted(allowed))


def cpu_quota(proc: Path = PROC) -> float | None:
    """How many processors' worth of time this process may use; None where no limit is set."""
    return min((limit for group in _groups(proc) if (limit := _limit(group)) is not None), default=None)


def throttled_s(proc: Path = PROC) -> float | None:
    """Seconds for which a quota has stopped this process's groups so far; None where that cannot be read."""
    found = [seconds for group in _groups(proc) if (seconds := _throttled_s(group)) is not None]
    return sum(found) if found else None


def _limit(group: Path) -> float | None:
    first = f"{text(group / 'cpu.cfs_quota_us')} {text(group / 'cpu.cfs_period_us')}"
    quota, period = (text(group / "cpu.max") or first).split()
    return int(quota) / int(period) if quota.isdecimal() and period.isdecimal() else None  # max or -1 is no limit


def _throttled_s(group: Path) -> float | None:
    found = re.search(r"^throttled_(usec|time) (\d+)$", text(group / "cpu.stat") or "", re.MULTILINE)
    return int(found[2]) / {"usec": 1e6, "time": 1e9}[found[1]] if found else None


def _groups(proc: Path) -> Iterator[Path]:
    """The folder of this process's group and of each group above it, in every hierarchy that may limit CPU time.

    In a container often only the mount itself exists, and a group outside of it is named by a path with `..`.
    """
    mounts = [line.split() for line in (text(proc / "mounts") or "").splitlines()]
    for line in (text(proc / "self" / "cgroup") or "").splitlines():
        _, controllers, name = line.split(":", 2)
        for _, mount, kind, options, *_ in mounts:
            second = kind == "cgroup2" and not controllers
            first = kind == "cgroup" and "cpu" in controllers.split(",") and "cpu" in options.split(",")
            if first or second:
                own = Path(mount) if ".." in name.split("/") else Path(mount, name.lstrip("/"))
                yield from (group for group in (own, *own.parents) if group.is_relative_to(mount) and group.is_dir())
