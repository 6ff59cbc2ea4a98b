"""Imports a file of somebody's repository as it is, wherever it lies and whatever lies beside it.

Folders need no `__init__.py`: relative imports lead to any folder above the file. Absolute imports are looked for from
the importing file upwards to the root of its repository. What lies there never takes the place of a module of Python,
nor of a distribution that this program needs.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module, invalidate_caches
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.networks.code import closure, folders_above, importable, imports_of, is_installed, is_networks_code, root_of
from bench.networks.libraries import is_needed

States = dict[str, tuple[int, int]]


def module_of(file: Path) -> ModuleType:
    """The module of a file; it is imported again if one of the files that it imported was edited.

    Raises whatever the file raises. Modules of another file that was imported before are forgotten, so that two
    repositories that both have a package `utils` do not get each other's.
    """
    file = file.resolve()
    if is_installed(file):
        return import_module(".".join(importable(file)[1]))
    invalidate_caches()
    if file != _OWN.file or _OWN.states != _states(_OWN.states):
        _OWN.forget()
    _OWN.file = file
    if _OWN not in sys.meta_path:
        sys.meta_path.insert(0, _OWN)
    steps = _steps(file)
    _OWN.names.add(steps[0][0])
    try:
        module = _loaded(steps)
    except ValueError as error:
        if not str(error).startswith("mutable default <class"):
            raise
        from unittest.mock import patch  # with asyncio, a third of what `import bench.networks` would take

        _OWN.forget()
        _OWN.names.add(steps[0][0])
        with patch("dataclasses.dataclass", _dataclass):
            module = _loaded(steps)
    _OWN.states = _states(one.__file__ for one in _OWN.modules() if getattr(one, "__file__", None))
    return module


def _dataclass(made: Any = None, /, **options: Any) -> Any:
    """`dataclass` as it was until Python 3.10: an object of one may be a default in another."""
    if made is None:
        return lambda one: _dataclass(one, **options)
    made = dataclass(made, **options)
    if made.__hash__ is None:  # which is how Python since 3.11 knows what may be changed
        made.__hash__ = object.__hash__
    return made


def is_own(package: str) -> bool:
    """Whether an outermost package or module was found in the repository of the file that is imported."""
    return package in _OWN.names


class _Own:
    """Finds the modules of a stranger's repository that his files import."""

    def __init__(self) -> None:
        self.file = Path()
        self.names: set[str] = set()  # of the outermost packages and modules
        self.states: States = {}

    def modules(self) -> list[ModuleType]:
        """Those that are imported."""
        return [module for name, module in list(sys.modules.items()) if name.partition(".")[0] in self.names]

    def forget(self) -> None:
        """Remove them from those that Python knows."""
        for name in [one for one in sys.modules if one.partition(".")[0] in self.names]:
            del sys.modules[name]
        self.names.clear()

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The module of this name that is nearest above the importing file; None if it is not his."""
        if path is not None or name in sys.stdlib_module_names:
            return None
        wanted, asking = _asked(name)
        is_own = asking is not None and asking.f_globals.get("__name__", "").partition(".")[0] in self.names
        folders = folders_above(self.file)
        if asking and is_own:
            folders = [*folders_above(Path(asking.f_code.co_filename)), *folders]
        found = list(_candidates(name, dict.fromkeys(folders)))
        if not found or (_elsewhere(name) and (not is_own or is_needed(name))):
            return None
        self.names.add(name)
        return _merged(found, wanted.split(".")[1:])


_OWN = _Own()


def _asked(name: str) -> tuple[str, Any]:
    """The whole name for which Python looks for its outermost package `name`, and the frame that imports it."""
    frame = sys._getframe(2)
    while frame and frame.f_globals.get("__name__", "").startswith("importlib"):
        if frame.f_code.co_name == "_find_and_load":
            name = frame.f_locals.get("name", name)
        frame = frame.f_back  # type: ignore[assignment]
    return name, frame


def _candidates(name: str, folders: Sequence[Path] | dict[Path, None]) -> Iterator[ModuleSpec]:
    """The modules and packages of a name in folders; a folder without `__init__.py` is one if it has Python files."""
    for folder in folders:
        spec = PathFinder.find_spec(name, [str(folder)])
        if spec and (spec.origin or any(any(folder.joinpath(name).glob(one)) for one in ("*.py", "*/*.py"))):
            yield spec


def _elsewhere(name: str) -> ModuleSpec | None:
    """What Python finds under a name without our help."""
    finders = (one.find_spec for one in sys.meta_path if one is not _OWN and hasattr(one, "find_spec"))
    return next((spec for find in finders if (spec := find(name, None))), None)


def _merged(found: Sequence[ModuleSpec], rest: Sequence[str]) -> ModuleSpec:
    """The nearest that holds the submodule `rest`; submodules that it lacks come from the others."""

    def holds(spec: ModuleSpec) -> bool:
        places = [Path(folder, *rest) for folder in spec.submodule_search_locations or ()]
        return not rest or any(place.is_dir() or place.with_name(f"{place.name}.py").is_file() for place in places)

    chosen = next(filter(holds, found), found[0])
    if chosen.submodule_search_locations is not None:
        others = [folder for one in (chosen, *found) for folder in one.submodule_search_locations or ()]
        chosen.submodule_search_locations = list(dict.fromkeys(others))
    return chosen


def _steps(file: Path) -> list[tuple[str, Path]]:
    """The parts of the name under which a file is imported, each with its folder; the last with the file.

    The name is that which Python gives it at the root of its repository. Where it is not free, or its parts are no
    names, or Python would run packages further up first, its first part is one that nobody else has.
    """
    top, _ = importable(file)
    root = min(root_of(file), top, key=lambda one: len(one.parts))
    own = file.parent if file.stem == "__init__" else file.with_suffix("")
    reached = _reached(file)
    lowest = Path(os.path.commonpath([file.parent, *reached]))
    outer = [one for one in (top, *top.parents) if root in one.parents]
    is_plain = (
        all(part.isidentifier() for part in own.relative_to(root).parts)
        and (not reached or root in lowest.parents)
        and not any((one / "__init__.py").exists() for one in outer)
        and _is_free(own.relative_to(root).parts[0], root)
    )
    root = root if is_plain else Path(os.path.commonpath([root, lowest]))
    folders = [one for one in reversed((own, *own.parents)) if root in one.parents]
    first = [] if is_plain else [(f"own_{sha256(os.fsencode(root)).hexdigest()[:8]}", root)]
    return [*first, *((one.name.replace(".", "_"), one) for one in folders[:-1]), (own.name.replace(".", "_"), file)]


def _reached(file: Path) -> list[Path]:
    """The folders to which the relative imports of a file, and of those that it so imports, lead."""
    files = closure([file], [], is_networks_code)
    return [one.parents[min(level, len(one.parents)) - 1] for one in files for level, _ in imports_of(one) if level]


def _is_free(name: str, root: Path) -> bool:
    """Whether no module of Python, of a distribution or of this process has a name, except below `root`."""
    if name in sys.stdlib_module_names:
        return False
    if name in sys.modules:
        return name in _OWN.names
    spec = _elsewhere(name)
    places = [*([spec.origin] if spec.origin else []), *(spec.submodule_search_locations or ())] if spec else []
    return all(Path(place).resolve().is_relative_to(root) for place in places)


def _loaded(steps: Sequence[tuple[str, Path]]) -> ModuleType:
    """Import the packages that hold a file, then the file.

    A package whose `__init__.py` fails, such as one that imports all networks of a collection and what each needs, is
    taken without it. If the file then fails to import a name, that is the reason, and is raised.
    """
    *packages, (last, file) = steps
    fault: BaseException | None = None
    top, name = importable(file)[0], ""
    for part, folder in packages:
        name = f"{name}.{part}".lstrip(".")
        init = folder / "__init__.py"
        if name in sys.modules:
            continue
        try:
            _run(name, init if top in folder.parents and init.exists() else None, folder)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it raises
            fault = fault or error
            _run(name, None, folder)
    name = f"{name}.{last}".lstrip(".")
    try:
        return sys.modules.get(name) or _run(name, file, file.parent if file.stem == "__init__" else None)
    except (ImportError, AttributeError) as error:
        raise fault or error from error


def _run(name: str, file: Path | None, folder: Path | None) -> ModuleType:
    """Import a file under a name, as a package if `folder` is given; without a file, an empty package."""
    places = [str(folder)] if folder else None
    spec = spec_from_file_location(name, file, submodule_search_locations=places) if file else None
    spec = spec or ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = places
    module = sys.modules[name] = module_from_spec(spec)
    try:
        if file and spec.loader:
            spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    parent, _, last = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], last, sys.modules[name])
    return sys.modules[name]


def _states(files: Any) -> States:
    """What changes when a file is written, by its path."""
    found = {}
    for file in files:
        try:
            facts = Path(file).stat()
        except OSError:
            continue
        found[file] = (facts.st_mtime_ns, facts.st_size)
    return found
