"""Measures how accurate and how cheap a medical segmentation network is, beyond argument.

In Python, as in a notebook, the program is the functions named in `__all__`; `bench.api` has them.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from bench.errors import UserError

if TYPE_CHECKING:  # what type checkers and editors see; at run time `__getattr__` below gives the same
    from bench.api import count, network, records, report, run, score, time

__version__ = "0.1.0"
__all__ = ["UserError", "count", "network", "records", "report", "run", "score", "time"]

# `bench.run` and `bench.report` are folders of this program and functions of its interface, and Python has one place
# for both: importing a module puts it there. So these two modules are given a class by which they can be called. They
# stay modules for all that imports from them, whichever is imported first, and nothing below the interface knows of it.
# Functions of other names would be two words for what the command line calls by one.
CALLED = ("report", "run")


class _Called(ModuleType):
    """A module that is called as the function of its name in `bench.api`."""

    def __call__(self, *given: Any, **named: Any) -> Any:
        """The function of this name in `bench.api`, whose help tells what it takes."""
        return _function(self.__name__.rpartition(".")[2])(*given, **named)

    @property
    def __signature__(self) -> Any:
        """What editors show while a call is typed."""
        from inspect import signature

        return signature(_function(self.__name__.rpartition(".")[2]))


def _function(name: str) -> Any:
    """A function of the interface. It is imported when it is first asked for: the command line does without."""
    return getattr(import_module("bench.api"), name)


for _name in CALLED:  # each is a few lines and imports nothing heavy
    import_module(f"bench.{_name}").__class__ = _Called

if not TYPE_CHECKING:  # a type checker would take any name for one of this module

    def __getattr__(name: str) -> Any:
        if name in __all__:
            return _function(name)
        raise AttributeError(f"module 'bench' has no attribute '{name}'")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
