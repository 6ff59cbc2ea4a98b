"""What no other process can import is pickled by value, and does the same there."""

import io
import math
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from bench.networks import by_value
from bench.networks.by_value import Pickler, is_importable

ROOT = Path(__file__).parent.parent.parent
CELLS = """
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from enum import Enum
from functools import partial, wraps

UNREAD = lambda: None
UNREAD.lock = __import__("threading").Lock()  # nothing reads it, and it cannot be pickled
FACTOR = 3


def times(value):
    return FACTOR * value


def factorial(n):
    return 1 if n < 2 else n * factorial(n - 1)


def counted(function):
    calls = []

    @wraps(function)
    def called(*given):
        calls.append(given)
        return function(*given), len(calls)

    return called


@counted
def half(value):
    return value / 2


class Color(Enum):
    RED = 1


class Shape(ABC):
    __slots__ = ("side",)

    def __init__(self, side):
        self.side = side

    @abstractmethod
    def area(self): ...


class Square(Shape):
    names = {"en": "square"}

    def __init__(self, side):
        super().__init__(side)

    def area(self):
        return times(self.side) * self.unit * math.floor(1.5)

    @property
    def unit(self):
        return self._unit()

    @staticmethod
    def _unit():
        return 2

    @classmethod
    def of(cls, side):
        return cls(side)

    def twin(self):
        return Square(self.side)


@dataclass(frozen=True)
class Conf:
    width: int = 8
    depths: list = field(default_factory=lambda: [2, 2])

    class Inner:
        def told(self):
            return "inner"
"""


@pytest.fixture
def cells():
    """What stands for the module of a notebook: it has the name of the module that is run, and is not it."""
    made = {"__name__": "__main__"}
    exec(compile(CELLS, "<cell>", "exec"), made)
    return made


def there(thing):
    """The thing as the other process has it."""
    file = io.BytesIO()
    Pickler(file).dump(thing)
    return pickle.loads(file.getvalue())


@pytest.fixture(autouse=True)
def _no_modules_are_left():
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith(by_value.MADE_HERE):
            del sys.modules[name]


def test_a_class_goes_with_its_functions_and_what_they_read(cells):
    square = there(cells["Square"](5))
    assert square.area() == 3 * 5 * 2 * 1
    assert type(square) is not cells["Square"]
    assert (type(square.twin()), square.names, type(square).of(2).side) == (type(square), {"en": "square"}, 2)
    assert type(square).__name__ == "Square"
    with pytest.raises(TypeError, match="abstract"):
        type(square).__bases__[0](1)


def test_classes_are_the_same_object_for_all_that_name_them(cells):
    kind, square, again = there([cells["Square"], cells["Square"](1), cells["Square"]])
    assert kind is type(square) is again
    assert kind.__bases__[0] is sys.modules[kind.__module__].Shape


def test_functions_keep_closures_defaults_and_themselves(cells):
    assert there(cells["factorial"])(5) == 120
    half = there(cells["half"])
    assert (half(3), half(3)) == ((1.5, 1), (1.5, 2))
    assert half.__wrapped__(8) == 4
    with_default = eval("lambda a, b=2, *, c=FACTOR: (a, b, c)", cells)
    assert there(with_default)(1) == (1, 2, 3)


def test_a_data_class_stays_one(cells):
    made = there(cells["Conf"](width=4))
    assert (made, made.depths) == (type(made)(4), [2, 2])
    assert cells["fields"](made)[0].default == 8
    assert made.Inner().told() == "inner"


def test_what_can_be_imported_is_pickled_by_its_name(cells):
    assert there([math.floor, Path, pytest.raises]) == [math.floor, Path, pytest.raises]
    assert there(sys.modules["math"]) is math
    assert is_importable(Path)
    assert not is_importable(cells["Square"])
    assert not is_importable(lambda: 1)


def test_a_function_within_a_function_of_a_module_reads_that_modules_globals():
    where = there(lambda: ROOT)
    assert where() == ROOT
    assert where.__globals__ is globals()


def test_functions_of_other_globals_read_their_own(cells):
    others = {"__name__": "__main__", "FACTOR": 100}
    exec("def many(value): return FACTOR * value", others)
    both = there([cells["times"], others["many"], cells["times"]])
    assert [function(1) for function in both] == [3, 100, 3]
    assert both[0] is both[2]


def test_a_wrapper_of_a_library_reads_that_librarys_globals(cells):
    """It says that it is of the module of what it wraps, and its globals are others."""
    exec("import contextlib\n@contextlib.contextmanager\ndef opened():\n    yield FACTOR", cells)
    opened = there(cells["opened"])
    assert opened.__globals__ is vars(sys.modules["contextlib"])
    with opened() as found:
        assert found == 3


def test_the_module_that_is_run_is_refused_for_it_is_another_one_there():
    with pytest.raises(pickle.PicklingError, match="the whole module __main__"):
        there(sys.modules["__main__"])


def test_an_enumeration_is_refused_for_it_would_not_be_the_same(cells):
    with pytest.raises(pickle.PicklingError, match="Color has the metaclass Enum"):
        there(cells["Color"].RED)


def test_another_process_runs_it(cells, tmp_path):
    with (tmp_path / "square").open("wb") as file:
        Pickler(file).dump([cells["Square"](5), cells["half"]])
    code = "import pickle, sys; square, half = pickle.load(open(sys.argv[1], 'rb')); print(square.area(), half(3))"
    asked = [sys.executable, "-c", code, str(tmp_path / "square")]
    told = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "30 (1.5, 1)"
