"""The normal form of Python code, and digests of files: the same wherever the same code lies."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.networks import NETWORKS, code
from bench.networks.code import BASELINES, BENCH, closure, digest_of, importable, is_networks_code, named, normal_form

# Syntax that Pythons parse into different trees: 3.12 splits f-strings otherwise, and nodes have new fields since.
SOURCE = r'''
"""Doc."""
from __future__ import annotations
import math as m


class Net(object):
    """Doc."""

    width: int = 8

    async def forward(self, x, /, *rest, scale=1_000, **more):
        """Doc."""
        name = f"{x!r:>{scale}.{self.width}f} and {x = }{{}}" "é\n" u'plain' f"{name}"
        match x:
            case {"a": [1, *others], **left} | None:
                return lambda: (yield)
        try:
            return -1.5e-7 + 2j, b"\x00", ..., x[1:2, ::3], not name, 0xFFFFFFFFFFFFFFFFFFFF, f""
        except* ValueError:
            pass
        finally:
            del rest, more
'''
STORED = "ebc036693abd"
PYTHONS = [*Path("/usr/bin").glob("python3.1?"), *Path.home().glob(".pyenv/versions/3.1[1-9].*/bin/python")]
STATEMENTS = [
    ("x = 1  # why", "x = 1"),
    ("x = (1,\n     2)", "x = 1, 2"),
    ("f('a',)", 'f("a")'),
    ("def f():\n  'doc'", "def f():\n    pass"),
    ("def f():\n\n\treturn 1", "def f(): return 1"),
    ("x = 'a' 'b'", "x = u'ab'"),
    ("x = 1_000", "x = 0x3E8"),
    ("x = 1\r\ny = 2\r\n", "x = 1\ny = 2\n"),
]
CHANGES = [
    ("x = 1", "x = True"), ("x = 1", "x = 1.0"), ("x = 'a'", "x = b'a'"), ("x = ' a'", "x = 'a'"),
    ("f(a, b)", "f(b, a)"),
    ("x = f'{a}'", "x = f'{a!r}'"), ("x = f'{a}b'", "x = f'{a}', 'b'"), ("import a", "from . import a"),
    ("if a:\n  b()\nc()", "if a:\n  b()\n  c()"), ("x = a + (b + c)", "x = a + b + c"), ("x = None", "x = ..."),
    ("@a\ndef f(): g()", "def f(): g()"), ("def f(a=None): g()", "def f(a): g()"), ("x: int = 1", "x: float = 1"),
    ("x = {**a}", "x = {None: a}"), ("x[1:]", "x[:1]"), ("from a import b", "import a.b"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), STATEMENTS)
def test_what_does_not_change_a_program(one, other):
    assert normal_form(one) == normal_form(other)


@pytest.mark.parametrize(("one", "other"), CHANGES)
def test_what_changes_a_program(one, other):
    assert normal_form(one) != normal_form(other)


def test_deep_expressions_and_long_numbers():
    assert normal_form(f"x = {'+'.join('a' * 900)}")
    assert normal_form(f"x = {hex(16**5000)}")


def test_the_digest_is_the_stored_one(tmp_path):
    (tmp_path / "net.py").write_text(SOURCE, encoding="utf-8")
    assert digest_of([("net.py", tmp_path / "net.py")]) == STORED


@pytest.mark.slow
@pytest.mark.parametrize("python", PYTHONS, ids=str)
def test_every_python_gives_the_same_digests(tmp_path, python):
    """Of that source and of all networks; the module and `bench.files` need nothing but the standard library."""
    (tmp_path / "net.py").write_text(SOURCE, encoding="utf-8")
    files = [tmp_path / "net.py", *sorted(BASELINES.glob("*.py")), *sorted((BENCH / "mdsa_unet").glob("*.py"))]
    shutil.copy(code.__file__, tmp_path / "code_alone.py")
    asked = (
        "import sys; from pathlib import Path; from code_alone import digest_of\n"
        "print(*(digest_of([(Path(f).name, Path(f))]) for f in sys.argv[1:]))"
    )
    run = subprocess.run(
        [python, "-c", asked, *files], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(BENCH.parent)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.stdout.split() == [digest_of([(file.name, file)]) for file in files], run.stderr


def test_an_installed_copy_has_the_digests_of_the_clone(tmp_path):
    """A wheel holds the same files at another place: below `site-packages`."""
    copy = tmp_path / "lib" / "site-packages"
    shutil.copytree(BASELINES, copy / "baselines")
    shutil.copytree(BENCH, copy / "bench", ignore=shutil.ignore_patterns("__pycache__"))
    asked = "import sys; from bench.networks import NETWORKS; print(*(one.digest for one in NETWORKS.values()))"
    command, variables = [sys.executable, "-P", "-c", asked], {"PYTHONPATH": str(copy)}
    told = subprocess.check_output(command, cwd=tmp_path, env=variables, text=True)
    assert told.split() == [network.digest for network in NETWORKS.values()]


def test_names_are_those_below_the_nearest_root():
    roots = [Path("/a/repo/nets"), Path("/a/repo/src")]
    files = [Path(f"/a/repo/{name}") for name in ("nets/net.py", "nets/b/c.py", "src/d.py", "configs/e.yaml")]
    assert [name for name, _ in named(files, roots)] == ["net.py", "b/c.py", "d.py", "configs/e.yaml"]


def test_imports_are_followed_without_running_anything(tmp_path):
    folder = tmp_path / "lab" / "nets"
    folder.mkdir(parents=True)
    texts = {
        "lab/__init__.py": "", "lab/nets/__init__.py": "",
        "lab/nets/net.py": "from . import a\nimport top, os, torch\n1 / 0",
        "lab/nets/a.py": "def f():\n    from ..b import C\n    import lab.d.e", "lab/b.py": "import lab.nets.net",
        "lab/d/__init__.py": "", "lab/d/e.py": "this is not Python", "top.py": "", "lab/other.py": "",
    }  # fmt: skip
    (tmp_path / "lab" / "d").mkdir()
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    net = folder / "net.py"
    found = closure([net], [importable(net)[0]], is_networks_code)
    assert {str(path.relative_to(tmp_path)) for path in found} == texts.keys() - {"lab/other.py"}
