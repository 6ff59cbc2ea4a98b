"""Helpers for files in a folder: listing, comparing, and reporting broken and unpaired ones."""

import hashlib
import json
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.data.limits import JSON, TEXT, refuse_no_file
from bench.errors import UserError
from bench.files import content_of

JPEG = (".jpg", ".jpeg")
ANY = re.compile(".+", re.DOTALL)
# Where the content is, by what stands in its place: the first bytes of a file, or a part of the target of a link.
POINTERS = {b"version https://git-lfs": ("Git LFS", "git lfs pull"), b"/annex/objects/": ("git-annex", "datalad get")}
LINKS = {"annex/objects": "datalad get, or git annex get", "dvc": "dvc pull"}
AGAIN = "the file is broken or cut off, so get it again, or take it out"
LONGEST = 300  # letters of what a library says
COMMON_KINDS = (".png", *JPEG, ".bmp", ".tif", ".tiff")


def files_in(folder: Path, suffixes: tuple[str, ...], ids: re.Pattern[str] = ANY) -> dict[str, list[Path]]:
    """The files of a folder by id (the name without its suffix), sorted by name; usually one per id.

    `suffixes` are lower case with the dot (".jpg"); `.JPG` counts as `.jpg`. Only `ids` of a pattern are taken. Hidden
    files are left out, among them the `._*` files that macOS puts into archives: they carry an image's name and suffix
    but hold no image.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    with os.scandir(folder) as entries:
        # Sorted, for the order differs between file systems.
        names = sorted(entry.name for entry in entries if not is_folder(entry))
    for name in names:
        stem = next((name[: -len(suffix)] for suffix in suffixes if name.lower().endswith(suffix)), "")
        if ids.fullmatch(stem) and not name.startswith("."):
            found[stem].append(folder / name)
    return dict(found)


def is_folder(entry: "os.DirEntry[str]") -> bool:
    """Whether an entry of a folder is a folder; a link that leads in a circle is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def state_of(path: Path) -> tuple[int, ...]:
    """What changes when a file is written or replaced: size, times (ns) of content and inode, inode; () if missing."""
    try:
        facts = path.stat()
    except OSError:
        return ()
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino


def single_files(found: dict[str, list[Path]], problems: list[str]) -> dict[str, Path]:
    """One file per id. If there are two, both are left out and named by a line in `problems`."""
    problems.extend(two_files(name, paths) for name, paths in found.items() if len(paths) > 1)
    return {name: paths[0] for name, paths in found.items() if len(paths) == 1}


def same_bytes(paths: Iterable[Path]) -> list[list[Path]]:
    """Groups of two or more files whose contents are the same byte for byte, each in the order given.

    Only files of equal size are read, so scanning a whole data set costs little more than listing it. Files that are
    missing or may not be read are skipped: they are named where they are decoded.
    """
    sizes = {path: state[0] for path in paths if path.is_file() and (state := state_of(path))}  # no pipe, no device
    times = Counter(sizes.values())
    alike: dict[bytes, list[Path]] = defaultdict(list)
    for path, size in sizes.items():
        if size and times[size] > 1:
            with suppress(OSError), path.open("rb") as file:
                alike[hashlib.file_digest(file, "sha256").digest()].append(path)
    return [group for group in alike.values() if len(group) > 1]


def joined_groups(files: Iterable[tuple[Path, str]]) -> dict[str, str]:
    """The name by which each group goes, from pairs of a file and its group.

    It is the group's own, or where groups have a file in common, byte for byte, the first of their names by length and
    letters.
    """
    group_of = dict(files)
    head = {group: group for group in group_of.values()}
    for copies in same_bytes(group_of):
        joined = {head[group_of[path]] for path in copies}
        first = min(joined, key=lambda group: (len(group), group))
        head = {group: first if name in joined else name for group, name in head.items()}
    return head


@contextmanager
def reading(what: str, path: Path, most: int = 0, least: int = 1) -> Iterator[None]:
    """The edge of a reader: whatever a library raises for a file within is one line, a UserError that names the file.

    A file that somebody else wrote may make a library raise anything. `what` says what the file is; one of more than
    `most` bytes, or of fewer than `least`, a pipe and a device are refused before.
    """
    refuse_no_file(what, path, most)
    try:
        _refuse_short(path, least)
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(unread(what, path, error)) from error


def _refuse_short(path: Path, least: int) -> None:
    if path.stat().st_size < least:  # some files of the system, as /proc/kmsg, say that they are empty, and never end
        raise ValueError


def unread(what: str, path: Path, error: Exception) -> str:
    """The sentence on a file that could not be read: what is wrong with it, and what to do."""
    try:
        return _without_content(what, path) or _broken(what, path, error)
    except (OSError, ValueError) as fault:
        told = getattr(fault, "strerror", None) or fault
        return f"cannot read the {what} {path}: {told}; make it readable, or take it out"


def _without_content(what: str, path: Path) -> str:
    """The sentence on a path without a content; empty where there is one."""
    if path.is_symlink() and not path.exists():
        target = str(path.readlink())
        tool = next((how for sign, how in LINKS.items() if sign in target), "")
        advice = f"get its content with {tool}" if tool else "mend the link, or take it out"
        return f"the {what} {path} is a link to {target}, which is not there; {advice}"
    if not path.exists():
        return f"no such {what}: {path}; check --data-root, or get the file again"
    return f"{path} is a folder with the name of {_a(what)}; rename it, or move it out" if path.is_dir() else ""


def _a(what: str) -> str:
    return f"{'an' if what[0] in 'aeiou' else 'a'} {what}"


def _broken(what: str, path: Path, error: Exception) -> str:
    """The sentence on a file that is there and could not be decoded."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(min(64, size))
    for sign, (tool, how) in POINTERS.items():
        if head.startswith(sign):
            return f"{path} is a {tool} pointer, not the {what} itself; get its content with {how}"
    if isinstance(error, MemoryError):
        advice = "free memory, cut it into parts, or take it out"
        return f"the {what} {path} ({size} bytes) takes more memory than is free; {advice}"
    reason = " ".join(str(error).split())[:LONGEST] if size else "the file is empty"
    return f"cannot read the {what} {path} ({size} bytes): {reason or type(error).__name__}; {AGAIN}"


@contextmanager
def collected(problems: list[str]) -> Iterator[None]:
    """Append a UserError to `problems` as a line, and continue after the block."""
    try:
        yield
    except UserError as error:
        problems.append(str(error))


def read_text(path: Path, what: str) -> str:
    """The text of a file in UTF-8. Raises UserError naming it when it is missing, damaged or too large."""
    with reading(what, path, TEXT, least=0):
        return content_of(path, TEXT).decode("utf-8-sig")


def read_json(path: Path, what: str) -> Any:
    """The content of a JSON file. Raises UserError naming it when it is missing or damaged."""
    with reading(what, path, JSON):
        text = read_text(path, what)
        content = json.loads(text)
        if r"\u" in text:
            json.dumps(content, ensure_ascii=False).encode()  # half of a surrogate pair is no letter: it raises
        return content


def is_list_of(kind: type, value: object) -> bool:
    """Whether a value from a JSON file is a list of `kind`; booleans do not count as integers."""
    return isinstance(value, list) and all(type(item) is kind for item in value)


def stay_inside(name: str, path: Path, root: Path, source: Path) -> None:
    """Raise UserError where `name`, which the file `source` names, or a link at `path` leads out of `root`.

    A manipulated list or split file must not cause other files to be read.
    """
    plain = name not in ("", ".", "..") and not any(sign in name for sign in "/\\\0")
    if not plain or (path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(root.resolve())):
        advice = "expected the plain name of a file or folder in there, so correct the file or get it again"
        raise UserError(f"{source} names '{name}', which leads out of {root}; {advice}")


def two_files(name: str, paths: list[Path]) -> str:
    """The sentence for two files with one id."""
    found, advice = " and ".join(path.name for path in paths), "an id names one image, so remove or rename all but one"
    return f"two files with the id '{name}' in {paths[0].parent}: {found}; {advice}"


def no_partner(title: str, what: str, file: Path, lacks: str, expected: str) -> str:
    """The sentence for a file without the other one that it needs."""
    return f"{title}: {what} {file} has no {lacks}; expected {expected}; get the {lacks} again, or take the {what} out"


def composed(name: str) -> str:
    """A name with each accented letter as one character: macOS writes two, the letter and its accent."""
    return unicodedata.normalize("NFC", name)


def first_few(names: Sequence[str], count: int = 3) -> str:
    """The first names, then how many more: 'a, b, c and 9 more'."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more


def counted(number: int, what: str) -> str:
    """A number of things: '1 mask', '2 masks'."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def left_out(what: str, names: Iterable[str]) -> list[str]:
    """The note on things left out of a data set; empty if there are none."""
    found = sorted(names)
    return [f"{len(found)} {what} are left out: {first_few(found)}"] if found else []
