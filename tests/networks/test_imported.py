"""The code of a user's network: all that a fresh process imports and reads, kept until one of the files changes."""

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from bench.errors import UserError
from bench.files import host
from bench.networks import code, find_network, imported
from bench.processes import supervised

NET = """
import json
from pathlib import Path

from torch import nn

from blocks import double

FACTS = json.loads(Path(__file__).with_name("net.json").read_text())


class Net(nn.Module):
    def __init__(self, in_channels, classes, width=8):
        super().__init__()
        self.layers = nn.Sequential(double(in_channels, width), nn.Conv2d(width, classes, 1))

    def forward(self, x):
        from importlib import import_module

        return self.layers(x) * import_module("late").SCALE
"""
FILES = {
    "net.py": NET,
    "blocks.py": "from torch import nn\n\ndef double(a, b):\n    return nn.Sequential(nn.Conv2d(a, b, 3, padding=1))\n",
    "late.py": "SCALE = 1.0\n",
    "net.json": '{"width": 8}\n',
    "other.py": "WIDTH = 8\n",
    "notes.txt": "nobody reads this\n",
}
TINY = "from torch import nn\n\ndef net(in_channels, classes):\n    return nn.Conv2d(in_channels, classes, 1)\n"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(imported, "SIDE", 32)
    imported._ANSWERS.clear()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """The folder of a network that imports a sibling and, while it runs, another one by name, and reads a file."""
    return laid_out(tmp_path / "repository", monkeypatch)


@pytest.fixture
def told(repository, monkeypatch):
    """Stands for the process, which takes seconds: the files that it tells of the repository. Another test holds it."""
    files = [repository / name for name in ("net.py", "blocks.py", "late.py", "net.json")]
    monkeypatch.setattr(imported, "seen", lambda name: files)
    return files


def laid_out(folder: Path, monkeypatch, files=FILES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    monkeypatch.chdir(folder)
    return folder


def no_process(name: str) -> list[Path]:
    raise AssertionError(f"a process was started for {name}")


def digest(name: str = "net.py:Net") -> str:
    return find_network(name).digest


@pytest.mark.slow
def test_a_process_tells_what_is_imported_and_read(repository, told, monkeypatch):
    monkeypatch.undo()
    monkeypatch.chdir(repository)
    found = {path for path in imported.seen("net.py:Net") if path.is_relative_to(repository) and path.exists()}
    assert found == set(told)


def test_an_edit_of_what_it_imports_and_reads_counts_and_no_other(repository, told):
    seen = [digest()]
    for name in ("other.py", "notes.txt"):
        (repository / name).write_text("other")
    assert digest() == seen[0]
    for name, text in {"blocks.py": "X = 1\n", "late.py": "X = 2\n", "net.json": " ", "net.py": "X = 3\n"}.items():
        with (repository / name).open("a") as file:
            file.write(text)
        assert digest() not in seen, name
        seen.append(digest())


def test_a_comment_does_not_count_and_a_second_question_starts_no_process(repository, told, monkeypatch):
    before = digest()
    with monkeypatch.context() as context:
        context.setattr(imported, "seen", no_process)
        assert digest() == before
        imported._ANSWERS.clear()  # as in another process
        started = time.perf_counter()
        assert digest() == before
        assert time.perf_counter() - started < 0.5
    for name in ("net.py", "blocks.py", "late.py"):
        text = (repository / name).read_text()
        (repository / name).write_text(f"# why\n\n{text}")
    assert digest() == before


def test_an_edit_while_the_process_runs_is_not_missed(repository, told, monkeypatch):
    def edited(name: str) -> list[Path]:
        (repository / "net.py").write_text(f"{NET}X = 1\n")
        return told

    time.sleep(0.01)  # longer than a tick of the clock of files
    with monkeypatch.context() as context:
        context.setattr(imported, "seen", edited)
        digest()
    monkeypatch.setattr(imported, "seen", no_process)
    with pytest.raises(AssertionError, match="a process was started"):
        digest()


def test_a_clone_elsewhere_has_the_same_digest(repository, told, tmp_path, monkeypatch):
    before = digest()
    copy = shutil.copytree(repository, tmp_path / "else" / "where" / "copy")
    monkeypatch.setattr(imported, "seen", lambda name: [copy / file.name for file in told])
    monkeypatch.chdir(tmp_path / "else")
    assert digest("where/copy/net.py:Net") == before


def test_weights_caches_and_files_of_the_system_do_not_count(repository, told, tmp_path, monkeypatch):
    before = digest()
    others = {
        "weights.pth": b"\x80\x02\0", "image.png": b"\x89PNG\xff", ".git/config": b"[core]", "big.csv": b"1," * 2**22,
        "../cache/library/model.json": b"{}",
    }  # fmt: skip
    for name, content in others.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_bytes(content)
    files = ["/etc/hostname", "/proc/version", json.__file__, pytest.__file__, *(repository / name for name in others)]
    monkeypatch.setattr(imported, "seen", lambda name: [*told, *(Path(file).resolve() for file in files)])
    imported._ANSWERS.clear()
    shutil.rmtree(tmp_path / "cache" / "mdsa-bench")
    assert digest() == before


@pytest.mark.slow
def test_a_repositorys_own_folders_are_imported_from_its_root_and_count(tmp_path, monkeypatch):
    """As in many repositories: no __init__.py, and absolute imports from the root."""
    root = tmp_path / "root"
    laid_out(root / "networks", monkeypatch, {"model.py": NET.replace("from blocks", "from networks.blocks")
             .replace('"late"', '"networks.late"').replace("__file__", "__file__).parents[1].joinpath('configs', 'x'"),
             "blocks.py": FILES["blocks.py"], "late.py": FILES["late.py"]})  # fmt: skip
    laid_out(root / "configs", monkeypatch, {"net.json": FILES["net.json"]})
    monkeypatch.chdir(root)
    before = digest("networks/model.py:Net")
    assert find_network("networks/model.py:Net").build(3, 1, 32)
    for name in ("networks/blocks.py", "networks/late.py", "configs/net.json"):
        text = (root / name).read_text()
        (root / name).write_text(text.replace("padding=1", "padding='same'").replace("1.0", "2.0").replace("8", "16"))
        assert digest("networks/model.py:Net") != before, name
        (root / name).write_text(text)
    assert digest("networks/model.py:Net") == before


@pytest.mark.slow
def test_what_relative_imports_of_folders_without_init_files_lead_to_counts_wherever_it_lies(tmp_path, monkeypatch):
    files = {"model.py": NET.replace("from blocks", "from ..lib.blocks").replace("net.json", "../net.json")}
    root = laid_out(tmp_path / "here" / "nets", monkeypatch, files).parent
    laid_out(root / "lib", monkeypatch, {"blocks.py": FILES["blocks.py"]})
    laid_out(root, monkeypatch, {name: FILES[name] for name in ("late.py", "net.json")})
    before = digest("nets/model.py:Net")
    copy = shutil.copytree(root, tmp_path / "else" / "where" / "copy")
    monkeypatch.chdir(tmp_path)
    assert digest(f"{copy}/nets/model.py:Net") == before
    (copy / "lib" / "blocks.py").write_text(FILES["blocks.py"].replace("padding=1", "padding='same'"))
    assert digest(f"{copy}/nets/model.py:Net") != before


@pytest.mark.parametrize("name", ["more/net.yaml", "net.yaml"])
def test_a_file_that_was_looked_for_in_vain_counts_once_it_is_there(repository, told, name):
    """With `open`, or beside the network by other means, such as `exists`."""
    (repository / "more").mkdir()
    told += [repository / name] if "/" in name else []
    before = digest()
    (repository / name).write_text("width: 8\n")
    told.append(repository / name)
    assert digest() != before


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        "print('x' * 10_000_000, flush=True)",
        "raise SystemExit(3)",
        "import os; os._exit(0)",
        "import os; os.kill(os.getpid(), 11)",
        "import time; time.sleep(600)",
        "import os, time; os.fork() or time.sleep(600)",
        "import threading, time; threading.Thread(target=time.sleep, args=(600,)).start()",
        "import os; os.fork(); os.fork()",
        "input()",
        "import nobody_has_this",
        "open('log.txt', 'a').write('x'); open('log.txt').read()",
        "import sys; sys.modules.pop('blocks')",
    ],
)
def test_a_network_that_misbehaves_has_the_code_that_it_names(tmp_path, monkeypatch, fault):
    monkeypatch.setattr(imported, "LIMIT_S", 3 if "600" in fault else 60)
    files = {"tiny.py": f"import blocks\n{fault}\n{TINY}", "blocks.py": "X = 1"}
    folder = laid_out(tmp_path / "lab", monkeypatch, files)
    started = time.monotonic()
    before = digest("tiny.py:net")
    assert time.monotonic() - started < 60
    assert digest("tiny.py:net") == before
    (folder / "blocks.py").write_text("X = 2")
    assert digest("tiny.py:net") != before


@pytest.mark.slow
def test_processes_that_it_leaves_behind_are_ended(tmp_path, monkeypatch):
    fault = "import os, time\nif os.fork() == 0:\n    open('child', 'w').write(str(os.getpid()))\n    time.sleep(600)\n"
    folder = laid_out(tmp_path / "lab", monkeypatch, {"tiny.py": f"{fault}time.sleep(0.5)\n{TINY}"})
    assert digest("tiny.py:net")
    process = Path("/proc", (folder / "child").read_text(), "stat")
    assert not process.exists() or process.read_text().split(") ")[1][0] == "Z"


@pytest.mark.parametrize(
    "content", ["", "{", "[" * 10**5, "[]", '{"states": {}}', '{"states": {"/": 1}, "digest": 1}', "\0"]
)
def test_an_answer_that_cannot_be_read_is_found_anew(told, tmp_path, content):
    before = digest()
    (kept,) = (tmp_path / "cache").rglob("*.json")
    kept.write_text(content)
    imported._ANSWERS.clear()
    assert digest() == before
    assert told_by(kept)["digest"] == find_network("net.py:Net")._code.digest


def test_what_a_killed_process_wrote_beside_an_answer_is_removed(told, tmp_path):
    digest()
    (kept,) = (tmp_path / "cache").rglob("*.json")
    left = kept.with_name(f".{kept.name}.{host()}-{2**22 + 1}-0123abcd.tmp")
    kept.rename(left)
    imported._ANSWERS.clear()
    digest()
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


@pytest.mark.parametrize("name", ["digest", "libraries", "states"])
def test_an_answer_in_which_anything_is_another_is_found_anew(told, tmp_path, name):
    before = digest()
    (kept,) = (tmp_path / "cache").rglob("*.json")
    check, _, text = kept.read_text().partition("\n")
    facts = json.loads(text)
    other = facts[name][::-1] if isinstance(facts[name], str) else type(facts[name])()
    kept.write_text(f"{check}\n{json.dumps({**facts, name: other})}")
    imported._ANSWERS.clear()
    assert digest() == before
    assert told_by(kept) == facts


def test_where_the_cache_cannot_be_written_the_answer_is_kept_in_the_process(told, tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("not a folder")
    before = digest()
    monkeypatch.setattr(imported, "seen", no_process)
    assert digest() == before


def test_without_a_home_the_answer_is_kept_in_the_process(told, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # what it does where nobody knows the user
    before = digest()
    monkeypatch.setattr(imported, "seen", no_process)
    assert digest() == before


@pytest.mark.parametrize("does", ["exit(73)", "open(TO, 'w').write('rubbish')", "open(TO, 'w').write('[1]')"])
@pytest.mark.parametrize("has_room", [True, False])
def test_an_answer_that_fails_is_for_want_of_room_only_where_there_is_none(monkeypatch, does, has_room):
    def misbehaves(command, env, **how):
        to = json.loads(command[-1])["to"]
        return supervised([sys.executable, "-c", f"TO = {to!r}\n{does}"], env, **how)

    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(imported, "supervised", misbehaves)
    if has_room:
        assert imported.seen("net.py:Net") == []
        return
    monkeypatch.setattr(imported, "write_whole", full)
    with pytest.raises(UserError, match="cannot write a temporary folder: No space left on device; set TMPDIR"):
        imported.seen("net.py:Net")


@pytest.mark.slow
def test_processes_that_ask_at_once_get_the_same_answer(repository, tmp_path):
    asked = "from bench.networks import find_network; print(find_network('net.py:Net')._code.digest)"
    processes = [
        subprocess.Popen([sys.executable, "-c", asked], stdout=subprocess.PIPE, text=True, env={**os.environ})
        for _ in range(4)
    ]
    answers = {process.communicate()[0] for process in processes}
    (kept,) = (tmp_path / "cache").rglob("*.json")
    assert answers == {f"{told_by(kept)['digest']}\n"}


def test_a_package_installed_or_in_a_clone_has_the_same_digest(tmp_path, monkeypatch):
    """Its own packages are its code wherever they lie; of other distributions the version counts."""
    files = {"__init__.py": "", "net.py": f"import lab.more\n{TINY}", "more.py": "import timm\n"}
    clone = laid_out(tmp_path / "clone" / "lab", monkeypatch, files)
    monkeypatch.setattr(imported, "seen", lambda name: [])
    with monkeypatch.context() as context:
        context.syspath_prepend(clone.parent)
        before = find_network("lab.net:net")
        assert before.digest
        assert before.libraries == {"timm": version("timm")}
    installed = tmp_path / "lib" / "site-packages"
    shutil.copytree(clone, installed / "lab")
    monkeypatch.syspath_prepend(installed)
    places = code._installed()
    monkeypatch.setattr(code, "_installed", lambda: (installed, *places))
    assert find_network("lab.net:net").digest == before.digest
    (installed / "lab" / "more.py").write_text("import timm\nX = 1\n")
    assert find_network("lab.net:net").digest != before.digest


@pytest.mark.slow
def test_libraries_are_those_that_the_code_imports_by_any_means_and_what_they_are_built_on(tmp_path, monkeypatch):
    by_name = "from importlib import import_module\nimport_module('segmentation_models_pytorch')\n"
    text = f"import yaml, torchvision, numpy\n{by_name}{TINY}"
    laid_out(tmp_path / "lab", monkeypatch, {"tiny.py": text})
    names = ("pyyaml", "segmentation-models-pytorch", "timm")
    assert find_network("tiny.py:net").libraries == {name: version(name) for name in names}
    assert find_network("smp:Unet/resnet18").libraries == {name: version(name) for name in names[1:]}


def told_by(kept):
    """What a file of the cache says, after its first line, the check."""
    return json.loads(kept.read_text().partition("\n")[2])
