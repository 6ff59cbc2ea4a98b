"""Pickles what no other process can import: classes and functions of a notebook's cells, or within functions.

What a module holds under its own name is pickled as usual, by that name. Of anything else the code itself is written: a
function is its code object with the globals that it reads, a class is its bases and what is defined in it. Both ends
have to be of one Python, since code objects differ between versions: this hands a network to another process, and is no
format to keep. A class with a metaclass of its own, such as an enumeration, is refused.
"""

import dataclasses
import dis
import marshal
import pickle
import sys
from abc import ABCMeta
from collections.abc import Iterator, Mapping
from importlib import import_module
from operator import attrgetter
from types import CellType, CodeType, FunctionType, MappingProxyType, MemberDescriptorType, ModuleType
from typing import Any

MADE_HERE = "handed_"  # begins the names of the modules that stand for those that cannot be imported
HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: the class was made by Python code, or by an extension as if it were
READS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")  # instructions that read a global
MARKS = ("MISSING", "KW_ONLY", "_HAS_DEFAULT_FACTORY")  # which data classes recognize by their identity
# What a class has of its own accord, and annotations, which nothing reads once a class is made.
OF_CLASSES = ("__dict__", "__weakref__", "__module__", "__qualname__", "__slots__", "__annotations__", "_abc_impl")
KEPT = ("__defaults__", "__kwdefaults__", "__qualname__", "__module__")  # of a function


class Pickler(pickle.Pickler):
    """A pickler that writes by value what cannot be imported. `pickle.load` reads it where this package is."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.homes: dict[int, str] = {}  # by the id of a function's globals: the module that stands for theirs

    def reducer_override(self, thing: Any) -> Any:
        """How a thing is written, if not as usual."""
        if isinstance(thing, FunctionType):
            return NotImplemented if is_importable(thing) else self._of_function(thing)
        if isinstance(thing, type):
            by_name = not thing.__flags__ & HEAP_TYPE or is_importable(thing)
            return NotImplemented if by_name else _of_class(thing)
        if isinstance(thing, ModuleType):
            return _of_module(thing)
        for kind, reduced in PARTS.items():
            if type(thing) is kind:
                return reduced(thing)
        return NotImplemented

    def _of_function(self, function: FunctionType) -> tuple[Any, ...]:
        """The state is written after the function itself, so that it may hold what refers to the function."""
        known, code = function.__globals__, function.__code__
        home, by_name = self._home(known)
        read = () if by_name else (name for name in _read(code) if name in known)
        state = {
            "globals": {name: known[name] for name in read},
            "cells": tuple(map(_content, function.__closure__ or ())), "dict": vars(function),
            "set": {name: getattr(function, name) for name in KEPT},
        }  # fmt: skip
        return _function, (marshal.dumps(code), home, by_name), state, None, None, _complete_function

    def _home(self, known: Mapping[str, Any]) -> tuple[str, bool]:
        """The module in which the other process finds a function's globals, and whether it imports it.

        What is no module's stands in one that is made there, another one for other globals of the same name.
        """
        name = str(known.get("__name__"))
        module = sys.modules.get(name)
        if name != "__main__" and module is not None and vars(module) is known:
            return name, True
        taken = [one for one in self.homes.values() if one.startswith(_standing_for(name))]
        made = _standing_for(name) + (f"_{len(taken) + 1}" if taken else "")
        return self.homes.setdefault(id(known), made), False


def is_importable(thing: Any) -> bool:
    """Whether another process finds a class or function by its name: in a module, and not in the one that is run."""
    module = sys.modules.get(thing.__module__ or "")
    if module is None or thing.__module__ == "__main__":
        return False
    try:
        return attrgetter(thing.__qualname__)(module) is thing
    except AttributeError:
        return False


# By type, what is found in classes and cannot be pickled, or not so that it stays the same object: how it is written.
PARTS: dict[type, Any] = {
    property: lambda one: (property, (one.fget, one.fset, one.fdel, one.__doc__)),
    staticmethod: lambda one: (staticmethod, (one.__func__,)),
    classmethod: lambda one: (classmethod, (one.__func__,)),
    MappingProxyType: lambda one: (_view, (dict(one),)),
    type(vars(dataclasses)["_FIELD"]): lambda one: one.name,
    **{type(vars(dataclasses)[mark]): lambda one, mark=mark: mark for mark in MARKS},
}


def _view(facts: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    """The type itself goes by a name that its module does not have."""
    return MappingProxyType(facts)


# ---- functions -------------------------------------------------------------------------------------------------------


def _read(code: CodeType) -> Iterator[str]:
    """The names of the globals that a code object reads, and the code objects within it."""
    yield from (str(one.argval) for one in dis.get_instructions(code) if one.opname in READS)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _read(inner)


def _content(cell: CellType) -> tuple[Any, ...]:
    """What a cell of a closure holds; empty where it holds nothing yet."""
    try:
        return (cell.cell_contents,)
    except ValueError:
        return ()


def _function(code: bytes, module: str, by_name: bool) -> FunctionType:
    made: CodeType = marshal.loads(code)  # noqa: S302 - written by our own process
    home = import_module(module) if by_name else _module(module)
    return FunctionType(made, vars(home), made.co_name, None, tuple(CellType() for _ in made.co_freevars))


def _complete_function(function: FunctionType, state: Mapping[str, Any]) -> None:
    function.__globals__.update(state["globals"])
    for cell, content in zip(function.__closure__ or (), state["cells"], strict=True):
        if content:
            cell.cell_contents = content[0]
    vars(function).update(state["dict"])
    for name, value in state["set"].items():
        setattr(function, name, value)
    if function.__module__ == "__main__":
        function.__module__ = str(function.__globals__["__name__"])
    _keep(function)


# ---- classes ---------------------------------------------------------------------------------------------------------


def _of_class(kind: type) -> tuple[Any, ...]:
    if type(kind) not in (type, ABCMeta):
        raise pickle.PicklingError(f"{kind.__qualname__} has the metaclass {type(kind).__name__}")
    slots = vars(kind).get("__slots__")
    own = {
        name: value for name, value in vars(kind).items()
        if name not in OF_CLASSES and not isinstance(value, MemberDescriptorType)
    }  # fmt: skip
    named = (kind.__name__, kind.__qualname__, _standing_for(kind.__module__))
    return _class, (type(kind), kind.__bases__, *named, slots), own, None, None, _complete_class


def _class(meta: type, bases: tuple[type, ...], name: str, qualified: str, module: str, slots: Any) -> type:
    body = {"__module__": module, "__qualname__": qualified, **({} if slots is None else {"__slots__": slots})}
    made: type = meta(name, bases, body)
    return made


def _complete_class(kind: type, own: Mapping[str, Any]) -> None:
    for name, value in own.items():
        setattr(kind, name, value)
    _keep(kind)


# ---- modules ---------------------------------------------------------------------------------------------------------


def _of_module(module: ModuleType) -> tuple[Any, ...]:
    if module is sys.modules.get("__main__"):  # which is another one there
        raise pickle.PicklingError("it holds the whole module __main__")
    return import_module, (module.__name__,)


def _standing_for(module: str | None) -> str:
    """The name of the module in which the other process keeps what this one has in a module that is not imported."""
    named = str(module).replace(".", "_")
    return named if named.startswith(MADE_HERE) else f"{MADE_HERE}{named.strip('_')}"


def _module(name: str) -> ModuleType:
    """The module of this name, known to Python, for compilers look up the module of each function."""
    return sys.modules.setdefault(name, ModuleType(name))


def _keep(thing: Any) -> None:
    """Put a function or class where its name says that it is, unless that is within another one."""
    if str(thing.__module__).startswith(MADE_HERE) and "." not in thing.__qualname__:
        setattr(_module(thing.__module__), thing.__name__, thing)
