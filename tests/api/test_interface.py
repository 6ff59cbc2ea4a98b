"""`import bench` is quick and gives the functions of the interface; two of them are packages, and stay packages."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import bench
from bench.api.said import in_python, texts, whole, wholes

ROOT = Path(__file__).parent.parent.parent
HEAVY = ("numpy", "torch", "pandas", "pydantic", "rich", "typer")
# Each in a process of its own: whichever is imported first, the package can be called and its modules be imported.
ORDERS = {
    "the function first": "import bench; bench.run; import bench.run.events; from bench.run.log import new_log",
    "a module first": "from bench.run.log import new_log; import bench.run.events; import bench",
    "a module by another name": "import bench.run.log as log; new_log = log.new_log; import bench.run.events",
    "the package itself": "from bench import run; import bench, bench.run.events; new_log = run.log = 1",
}  # fmt: skip
ASKED = (
    "; import bench; from types import ModuleType; import inspect, sys\n"
    "assert callable(bench.run) and isinstance(bench.run, ModuleType) and bench.run is sys.modules['bench.run']\n"
    "assert bench.run.events is sys.modules['bench.run.events'] and new_log\n"
    "from bench.run import engine; assert engine is bench.run.engine\n"
    "try: bench.run(measure='dise', group='cnn')\n"
    "except bench.UserError as error: print(error)\n"
)


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_it_imports_nothing_heavy():
    assert python(f"import bench, sys; print([name for name in {HEAVY} if name in sys.modules])") == "[]"


def test_the_interface_itself_leaves_torch_and_pandas_to_who_needs_them():
    code = "import bench, sys; bench.report; bench.time; print([n for n in ('torch', 'pandas') if n in sys.modules])"
    assert python(code) == "[]"


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_a_package_can_be_called_whichever_is_imported_first(order):
    assert python(order + ASKED).startswith("unknown measure 'dise'; did you mean 'dice'?")


def test_it_names_what_it_has():
    assert set(dir(bench)) == {*bench.__all__, "__version__"}
    assert all(callable(getattr(bench, name)) for name in bench.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'tme'"):
        _ = bench.tme
    with pytest.raises(ImportError):
        exec("from bench import tme")


@pytest.mark.parametrize("name", sorted({*bench.__all__} - {"UserError"}))
def test_editors_see_what_each_takes_and_a_docstring_with_an_example(name):
    function = getattr(bench.api, name)
    assert inspect.signature(getattr(bench, name)) == inspect.signature(function)
    assert function.__annotations__["return"]
    assert f"bench.{name}(" in function.__doc__


def test_errors_name_arguments_and_commands_stay_as_typed():
    told = "--size must be 32; give --data-root FOLDER or --arg width=VALUE; make some with `bench run --all`"
    assert in_python(told) == (
        "size must be 32; give data_root FOLDER or width=VALUE; make some with `bench run --all`"
    )
    assert in_python("give --all, not a -- b") == "give all_networks=True, not a -- b"


@pytest.mark.parametrize("given", ["224", 0, 1.5, True, None, [], [1, 0], 70_000, range(101, 300)])
def test_what_is_no_whole_number_in_range_is_refused(given):
    with pytest.raises(bench.UserError, match=r"^size takes a whole number from 1 to 65535"):
        wholes("size", given)


def test_whole_numbers_of_numpy_and_in_lists_are_taken():
    import numpy as np

    assert whole("size", np.int64(224)) == 224
    assert type(whole("size", np.int64(224))) is int
    assert wholes("size", range(1, 3)) == (1, 2)
    assert texts("group", ["cnn", "light"]) == texts("group", "cnn, light") == ("cnn", "light")
    with pytest.raises(bench.UserError, match="group takes a name, or names in a list; got a int"):
        texts("group", [1])


WRONG = {
    "a class": (lambda: bench.count(str), "got a class, str; build it first"),
    "no network": (lambda: bench.time(3), "a network is a name, such as 'unet', or a torch.nn.Module; got a int"),
    "a name that nothing has": (lambda: bench.time("unett"), "did you mean 'unet'?"),
    "a device": (lambda: bench.time("unet", device="gpu"), "unknown device 'gpu'"),
    "a variant": (lambda: bench.time("unet", variant="foldet"), "did you mean 'folded'?"),
    "a switch of a GPU": (lambda: bench.time("unet", device="cpu", tf32=True), "tf32 is for measuring on a GPU"),
    "threads": (lambda: bench.time("unet", threads=0), "threads takes a whole number from 1 to"),
    "an object to run": (lambda: bench.run(ROOT), "networks are trained anew, so they are given by their names"),
    "nothing to run": (bench.run, "or give all_networks=True"),
    "too small": (lambda: bench.run("unet", size=8), "size must be 32 or more pixels a side, got 8"),
    "no folder": (lambda: bench.run("unet", dataset="ddti"), "give data_root FOLDER"),
    "an argument of the data": (lambda: bench.run("unet", data_rot="x"), "did you mean 'data_root'?"),
    "arguments for the table": (lambda: bench.run("unet", arguments={"width": 3}), "arguments is for networks from"),
    "no predictions": (lambda: bench.score({}), "predictions are a CSV file, or by the name of each network"),
    "no such file": (lambda: bench.score("no.csv"), "no such folder or file: 'no.csv'"),
    "a name that is none": (lambda: bench.score({"a/b": "x"}), "'a/b' cannot be a network's name"),
    "both truths": (lambda: bench.score({"a": "."}, truth={}, data_root="."), "both truth and a data set were given"),
    "a table": (lambda: bench.records(ROOT / "results", each="imgae"), "unknown table 'imgae'; did you mean 'image'?"),
    "no records": (lambda: bench.records("nowhere"), "'nowhere' is no folder, no file and no git revision"),
    "a format": (lambda: bench.report(formats="docx"), "unknown format 'docx'"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:left out")
@pytest.mark.parametrize(("ask", "told"), WRONG.values(), ids=WRONG)
def test_a_wrong_question_is_answered_in_a_sentence_and_nothing_is_written(tmp_path, monkeypatch, ask, told):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(bench.UserError) as error:
        ask()
    assert told in str(error.value)
    assert "--" not in str(error.value)
    assert list(tmp_path.iterdir()) == []
