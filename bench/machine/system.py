"""What the operating system says of itself, where it says anything."""

import os
from functools import cache
from pathlib import Path


def text(path: Path) -> str | None:
    """What a file of the system holds, stripped; None where it is not there or may not be read."""
    try:
        return path.read_text().strip()
    except OSError:  # some files exist and answer only some machines, or only root
        return None


def number(path: Path) -> int | None:
    """The same as a whole number."""
    found = text(path)
    return int(found) if found is not None and found.lstrip("-").isdecimal() else None


def keyed(path: Path) -> dict[str, int]:
    """The whole numbers of lines such as `nr_throttled 0` or `MemFree: 12 kB`; empty where there is no file."""
    lines = (line.replace(":", " ").split() for line in (text(path) or "").splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdecimal()}


def cpu_lines(field: str) -> list[str]:
    """What /proc/cpuinfo says under this name, one for each processor."""
    lines = (text(Path("/proc/cpuinfo")) or "").splitlines()
    return [line.split(":", 1)[1].strip() for line in lines if line.startswith(field)]


@cache
def processors() -> tuple[int, ...]:
    """The numbers of the processors this process may run on.

    Asked once, at the start: OpenMP may later bind the main thread to one of them.
    """
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return tuple(sorted(allowed))
