"""Full, read-only and vanished folders: --out, --reports and TMPDIR each as a small disk of its own.

While it is so, the command ends with exit 2 and one line that names the folder and the reason, or with 0 where it needs
no room there. When there is room again the same command finds what an unbroken run finds.
"""

import ctypes
import os
import random
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from .case import Found, Plan
from .scene import LIMIT_S, Scene, fault_of, last
from .study import STUDIES

NEW_MOUNTS, NEW_USER = 0x00020000, 0x10000000  # of linux/sched.h
PLACES = {"--out": "work/results", "--reports": "work/reports", "TMPDIR": "tmp", "the cache": "home"}
WAYS = ("full", "full of files", "read-only", "read-only at once", "full at once", "vanishes")
REASONS = ("space", "read-only", "read only", "not exist", "no such", "cannot write", "cannot be written", "is away", "quota", "vanished", "is gone")


def cases(plan: Plan) -> list[Any]:
    """Each place in each way; of the whole several times, by chance fuller or later."""
    every = [(place, way) for way in WAYS for place in PLACES]
    return [case for number, case in enumerate(every) if number % 4 == 0] if plan.short else every * 2


def drill(what: tuple[str, str], plan: Plan, folder: Path, chance: random.Random) -> Found:
    place, way = what
    if why := _own_mounts():
        return Found(skipped=why)
    scene = Scene(folder, STUDIES["trains"], plan.references["trains"])
    scene.says_at = f"{place} {way}"
    disk = folder / PLACES[place]
    disk.mkdir(exist_ok=True)
    if way != "vanishes":
        size = 4096 if way == "full at once" else chance.choice((16, 64, 128, 256)) * 1024
        limit = f"nr_inodes={chance.randrange(2, 12)}" if way == "full of files" else f"size={size if way.startswith('full') else '64m'}"
        _mount("-t", "tmpfs", "-o", limit, "none", str(disk))
    if way == "read-only at once":
        _mount("-o", "remount,ro", str(disk))
    program, hidden = scene.start(), folder / "away"
    if way in ("read-only", "vanishes"):
        end = time.monotonic() + chance.uniform(0, scene.reference.seconds)
        while program.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        if way == "vanishes" and disk.exists():
            disk.rename(hidden)
        while way == "read-only" and program.poll() is None and not _mount("-o", "remount,ro", str(disk)):
            time.sleep(0.02)  # a file is open for writing
    ended = program.wait(LIMIT_S)
    if fault := fault_of(ended):
        scene.says(f"{place} {way}: {fault}")
    elif ended.code not in (0, 1, 2):
        scene.says(f"{place} {way}: exit {ended.code}: {last(ended.err)}")
    elif ended.code and place != "the cache" and not any(reason in ended.err.lower() for reason in REASONS):
        scene.says(f"{place} {way}: exit {ended.code} without the reason: {last(ended.err)}")
    elif ended.code == 1:
        scene.says(f"{place} {way}: exit 1, not 2: {last(ended.err)}")
    if way == "vanishes":
        _bring_back(hidden, disk)
    else:
        _mount("-o", "remount,rw,size=64m,nr_inodes=10000", str(disk))
    scene.check_files()
    scene.finish()
    scene.check_processes()
    if way != "vanishes":
        subprocess.run(["umount", "-l", str(disk)], check=False)
    return scene.found


def _bring_back(hidden: Path, disk: Path) -> None:
    """The folder as it was is there again, in the place of what was made meanwhile."""
    if hidden.exists():
        shutil.rmtree(disk, ignore_errors=True)
        hidden.rename(disk)


def _own_mounts() -> str:
    """Let this process mount what others don't see; why it cannot, where it cannot."""
    libc, user, group = ctypes.CDLL(None, use_errno=True), os.getuid(), os.getgid()
    if libc.unshare(NEW_MOUNTS if user == 0 else NEW_MOUNTS | NEW_USER):
        return f"no mounts of one's own here ({os.strerror(ctypes.get_errno())})"
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    return "" if _mount("--make-rprivate", "/") else "nothing can be mounted here"


def _mount(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0
