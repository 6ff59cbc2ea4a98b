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
from .program import Ended, Program
from .scene import LIMIT_S, Scene, fault_of, last
from .study import STUDIES

NEW_MOUNTS, NEW_USER = 0x00020000, 0x10000000  # of linux/sched.h
PLACES = {"--out": "work/results", "--reports": "work/reports", "TMPDIR": "tmp", "the cache": "home"}
WAYS = ("full", "full of files", "read-only", "read-only at once", "full at once", "vanishes")
REASONS = (
    "space",
    "is full",
    "read-only",
    "no such",
    "not exist",
    "cannot write",
    "cannot be written",
    "vanished",
    "is gone",
    "were removed",
)


def cases(plan: Plan) -> list[Any]:
    """Each place in each way; of the whole several times, by chance fuller or later."""
    return plan.some([(place, way) for way in WAYS for place in PLACES] * 2, 2)


def drill(what: tuple[str, str], plan: Plan, folder: Path, chance: random.Random) -> Found:
    place, way = what
    if why := _own_mounts():
        return Found(skipped=why)
    scene = Scene(folder, STUDIES["trains"], plan.references["trains"])
    scene.says_at = f"{place} {way}"
    disk = folder / PLACES[place]
    disk.mkdir(exist_ok=True)
    _prepare(disk, way, chance)
    program = scene.start()
    if way in ("read-only", "vanishes"):
        _spoil(program, disk, way, chance.uniform(0, scene.reference.seconds))
    _check_end(scene, place, way, program.wait(LIMIT_S))
    _repair(disk, way)
    scene.check_files()
    scene.finish()
    scene.check_processes()
    if way != "vanishes":
        subprocess.run(["umount", "-l", str(disk)], check=False)
    return scene.found


def _prepare(disk: Path, way: str, chance: random.Random) -> None:
    """Make a disk of the folder."""
    limits = {
        "full": f"size={chance.choice((16, 64, 128, 256))}k", "full at once": "size=4k",
        "full of files": f"nr_inodes={chance.randrange(2, 12)}",
    }  # fmt: skip
    if way != "vanishes":
        _mount("-t", "tmpfs", "-o", limits.get(way, "size=64m"), "none", str(disk))
    if way == "read-only at once":
        _mount("-o", "remount,ro", str(disk))


def _spoil(program: Program, disk: Path, way: str, seconds: float) -> None:
    """After some time, the folder is read-only or gone."""
    end = time.monotonic() + seconds
    while program.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    if way == "vanishes" and disk.exists():
        disk.rename(_away(disk))
    while way == "read-only" and program.poll() is None and not _mount("-o", "remount,ro", str(disk)):
        time.sleep(0.02)  # a file is open for writing


def _repair(disk: Path, way: str) -> None:
    """There is room again; what vanished is there again, in the place of what was made meanwhile."""
    if way != "vanishes":
        _mount("-o", "remount,rw,size=64m,nr_inodes=10000", str(disk))
    elif _away(disk).exists():
        shutil.rmtree(disk, ignore_errors=True)
        _away(disk).rename(disk)


def _away(disk: Path) -> Path:
    return disk.with_name(f"{disk.name}, away")


def _check_end(scene: Scene, place: str, way: str, ended: Ended) -> None:
    if fault := fault_of(ended):
        scene.says(f"{place} {way}: {fault}")
    elif ended.code not in (0, 2):
        scene.says(f"{place} {way}: exit {ended.code}: {last(ended.err)}")
    elif ended.code and not any(reason in ended.err.lower() for reason in REASONS):
        scene.says(f"{place} {way}: exit {ended.code} without the reason: {last(ended.err)}")


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
