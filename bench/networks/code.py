"""The digest of a network's code: its own files and what they import, and nothing of the harness around them.

Records name the code they were measured with by this digest. It is the same for code that differs in comments,
docstrings, layout or place only, on every Python, in a clone and in an installed wheel.
"""

import ast
import hashlib
import json
import os
import re
import site
import sysconfig
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import islice, takewhile
from pathlib import Path

from bench.files import content_of

BENCH = Path(__file__).resolve().parents[1]
SUBJECT = BENCH / "mdsa_unet"  # the only folder of `bench` that is a network's code
REPOSITORY = BENCH.parent
BASELINES = REPOSITORY / "baselines"
MARKS = (".git", "pyproject.toml", "setup.py", "setup.cfg", "requirements.txt")  # of a repository's root
DEEPEST = 5  # folders from a file to the root of its repository where nothing tells the root
LEFT_OUT = ("kind", "type_comment", "type_ignores")  # of strings written u"...", and of comments


def digest_of(files: Iterable[tuple[str, Path]]) -> str:
    """12 hexadecimal digits of the hash of files and their names; of Python files the normal form counts."""
    contents = sorted((name, _content(path)) for name, path in files)
    return hashlib.sha256(json.dumps(contents).encode()).hexdigest()[:12]


def _content(path: Path) -> str:
    try:
        content = content_of(path)
    except (OSError, ValueError):
        return "unreadable"  # importing it will tell
    try:
        return normal_form(content) if path.suffix == ".py" else "\n".join(content.decode().splitlines())
    except (SyntaxError, ValueError):  # no Python of this version, or no text
        return hashlib.sha256(content).hexdigest()


def normal_form(source: str | bytes) -> str:
    r"""Python code without comments, docstrings, layout and statements without effect; the same on every Python.

    It is the syntax tree in brackets. Fields that are empty are left out, because later Pythons add such fields.
    `ast.unparse` and `ast.dump` would differ between Pythons.

    >>> normal_form("x = 'a'  # why") == normal_form('x = (\n  "a"\n)\npass') != normal_form("x = 'b'")
    True
    """
    written: list[str] = []
    waiting: list[object] = [ast.parse(source)]
    while waiting:  # without recursion, for expressions may be nested deeply
        one = waiting.pop()
        if isinstance(one, ast.AST):
            parts = [part for field, value in _fields(one) for part in (_Mark(f" {field}="), value)]
            waiting += [_Mark(")"), *reversed(parts), _Mark(f"({type(one).__name__}")]
        elif isinstance(one, list):
            waiting += [_Mark("]"), *reversed(one), _Mark("[")]
        else:
            written.append(one if isinstance(one, _Mark) else _constant(one))
    return "".join(written)


class _Mark(str):
    """A part of the normal form that is not a constant of the code."""

    __slots__ = ()


def _constant(value: object) -> str:
    """A constant as text: numbers of any length, and strings in ASCII, whatever Unicode a Python knows."""
    return f"{hex(value) if type(value) is int else ascii(value)};"


def _fields(node: ast.AST) -> Iterator[tuple[str, object]]:
    for field, value in sorted(ast.iter_fields(node)):
        kept = value
        if isinstance(node, ast.JoinedStr):
            kept = _merged(node.values)
        elif isinstance(value, list):
            kept = [one for one in value if not _without_effect(one)]
        if field not in LEFT_OUT and kept is not None and kept != []:
            yield field, kept


def _without_effect(node: object) -> bool:
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _merged(values: Iterable[ast.expr]) -> list[object]:
    """The parts of an f-string, with the texts between them joined: Pythons split them differently."""
    merged: list[object] = []
    for value in values:
        if not isinstance(value, ast.Constant):
            merged.append(value)
        elif merged and isinstance(merged[-1], str):
            merged[-1] += str(value.value)
        elif value.value:
            merged.append(str(value.value))
    return merged


def closure(start: Iterable[Path], roots: Sequence[Path], is_own: Callable[[Path], bool]) -> set[Path]:
    """The files and all that they import, found without running them; imports inside functions too.

    Absolute imports are looked for in `roots`. Files for which `is_own` is false are left out.
    """
    found: set[Path] = set()
    waiting = list(start)
    while waiting:
        file = waiting.pop()
        if file not in found and is_own(file):
            found.add(file)
            waiting += [*_package_of(file), *_imported(file, roots)]
    return found


def _package_of(file: Path) -> Iterator[Path]:
    """The file of the package that holds a file or package, which Python imports first."""
    package = (file.parent.parent if file.stem == "__init__" else file.parent) / "__init__.py"
    yield from [package] if package.is_file() else []


def _imported(file: Path, roots: Sequence[Path]) -> Iterator[Path]:
    """The files that a file imports, each from the first root that has it."""
    for level, names in imports_of(file):
        folders = [file.parents[min(level, len(file.parents)) - 1]] if level else roots
        for name in names:
            places = (folder.joinpath(*filter(None, name.split("."))) for folder in folders)
            files = (one for place in places for one in (place / "__init__.py", place.with_name(f"{place.name}.py")))
            yield from islice(filter(Path.is_file, files), 1)


def imports_of(file: Path) -> Iterator[tuple[int, list[str]]]:
    """The imports anywhere in a file: how many folders up (0 for an absolute import), and the possible modules."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return  # a compiled module, or no Python
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield 0, [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield node.level, [module, *(f"{module}.{alias.name}".lstrip(".") for alias in node.names)]


def place_of(module: str) -> Path:
    """The file of an importable module, found without importing it. Raises ModuleNotFoundError."""
    top, *parts = module.split(".")
    spec = find_spec(top) if top else None
    if spec and not parts and spec.origin and Path(spec.origin).is_file():
        return Path(spec.origin).resolve()
    for folder in (spec and spec.submodule_search_locations) or ():
        place = Path(folder, *parts)
        for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if file.is_file():
                return file.resolve()
    raise ModuleNotFoundError(module)


def importable(path: Path) -> tuple[Path, list[str]]:
    """The folder from which a file is imported, and the parts of its module name (several in a package)."""
    top, parts = path.resolve().parent, [] if path.stem == "__init__" else [path.stem]
    while (top / "__init__.py").exists():
        top, parts = top.parent, [top.name, *parts]
    return top, parts


def root_of(path: Path) -> Path:
    """The root of a file's repository: the outermost folder above it that looks like one, or where we are.

    A folder with `.git` is one for sure. Where none looks like one, it is a few folders up. The root of all files, the
    home folder and that of temporary files are none.
    """
    above = list(path.resolve().parents)
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - without a home Path.expanduser raises
    temporary = Path(os.path.realpath(tempfile.gettempdir()))
    shared = {*above[-1:], home, *home.parents, temporary, *temporary.parents}
    above = [*takewhile(lambda one: one not in shared, above)]
    above = above[: next((n + 1 for n, one in enumerate(above) if (one / ".git").exists()), None)]
    roots = [one for one in above if one == Path.cwd() or any((one / mark).exists() for mark in MARKS)]
    return (roots or above[:DEEPEST] or [path.resolve().parent])[-1]


def folders_above(path: Path) -> list[Path]:
    """The folders that a file may import from, the nearest first: its own, and those up to its repository's root."""
    file = path.resolve()
    if is_installed(file):
        return [importable(file)[0]]
    root = root_of(file)
    return [one for one in file.parents if one.is_relative_to(root)]


def is_networks_code(path: Path, own_packages: Sequence[Path] = ()) -> bool:
    """Whether a file is a network's own code: not the harness, the standard library or an installed distribution.

    `own_packages` are installed, and count all the same. Of `bench`, the networks of this repository count; its
    `errors`, which baselines import, decide no figure.
    """
    if any(path.is_relative_to(folder) for folder in (SUBJECT, BASELINES, *own_packages)):
        return True
    return not (path.is_relative_to(BENCH) or is_installed(path))


def is_installed(path: Path) -> bool:
    """Whether a file belongs to Python or an installed distribution; that of an editable one does not."""
    return any(path.is_relative_to(folder) for folder in _installed())


@cache
def _installed() -> tuple[Path, ...]:
    paths = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return tuple(
        {Path(os.path.realpath(path)) for path in (*paths, *site.getsitepackages(), site.getusersitepackages())}
    )


def named(files: Iterable[Path], roots: Iterable[Path]) -> list[tuple[str, Path]]:
    """Files with names that do not depend on where a repository lies: relative to the nearest root that holds them.

    Outside all roots it is the path from the folder that the file shares with the first root.
    """
    first, *others = roots

    def name(file: Path) -> str:
        holding = [root for root in (first, *others) if file.is_relative_to(root)]
        nearest = max(holding, key=lambda root: len(root.parts), default=first)
        return re.sub(r"^(\.\./)+", "", Path(os.path.relpath(file, nearest)).as_posix())

    return [(name(file), file) for file in files]


@cache
def legacy_digest(module: str) -> str:
    """The digest that records of the first format hold of a network in this repository.

    Those records have no key of the present kind. With this digest they can be read as records of the code as it is,
    or of other code. It covers the module alone, or all files directly in its package, and is `ast.unparse`'s text.
    """
    file = place_of(module)
    files = sorted(file.parent.glob("*.py")) if file.stem == "__init__" else [file]
    return hashlib.sha256("\n".join(map(_unparsed, files)).encode()).hexdigest()[:12]


def _unparsed(file: Path) -> str:
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
