"""Every line of the README and the docs that calls `bench` is run in a small form, on folders made for it.

A small form asks for the same with the least budget and fewer networks. Every test run does the quick forms: a plan is
shown and not carried out, and what would be measured is judged from records. The slow ones measure.
"""

import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise

import commanding
import pytest
from paging import Line, command_lines
from placeholders import placeholders

LINES = command_lines()
ANSWERS = {"check", "pick", "compare", "data", "doctor"}  # 1 is an answer of these, and no failure
# What stands in a small form after an option, and in the place of one that names many networks.
SMALL = {"--steps": "2", "--seeds": "0,1", "--batch": "1,2", "--size": "64"}
FEW = {"--all": ["malunet"], "--group": ["malunet"]}
# What cannot be done here: the line is run without it, or with another value.
LEFT_OUT = {
    "--pretrained": "downloads weights",
    "--tf32": "needs a GPU",
}
CHANGED = {"--devices": ("2", "need more GPUs or cores")}


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """The folder in which a reader types."""
    return placeholders(tmp_path_factory.mktemp("scene"))


def without(words: list[str], options: dict[str, bool]) -> list[str]:
    """The words without some options; True is of one that has a value."""
    kept, skip = [], False
    for word in words:
        if not skip and word not in options:
            kept.append(word)
        skip = not skip and options.get(word, False)
    return kept


def possible(line: Line) -> list[str]:
    """The line without `bench`, and without what cannot be done here."""
    words = without(line.words[1:], dict.fromkeys(LEFT_OUT, False))
    return [CHANGED[before][0] if before in CHANGED else word for before, word in pairwise(["", *words])]


def remark(line: Line) -> str:
    """What was left out or changed, and why."""
    left = [f"without {option}, which {why}" for option, why in LEFT_OUT.items() if option in line.words]
    changed = [f"{option} {value}: more {why}" for option, (value, why) in CHANGED.items() if option in line.words]
    return "; ".join([*left, *changed])


def quick(line: Line) -> list[str] | None:
    """The form that measures nothing; None if there is none."""
    words = possible(line)
    if words[0] in ("doctor", "profile"):
        return None
    if words[0] == "run":
        return words if "--save-study" in words else [*without(words, {"--show-plan": False}), "--show-plan"]
    if words[0] == "work":  # its keys are of the reader's own study; other tests do tasks
        return ["work", "--help"]
    if words[0] == "report":  # the figures of all formats take seconds
        return [*without(words, {"--format": True}), "--format", "markdown,csv"]
    return without(words, {"--measure-missing": False})


def slow(line: Line) -> list[str] | None:
    """The form that measures, or draws a whole report; None if the quick form does all that the line asks for."""
    words = possible(line)
    if words[0] == "report":
        return words
    if words[0] == "check" and "--measure-missing" in words:
        claims = "small" if "small" in words else "built-parameters"
        return [*without(words, {"--only": True}), "--only", claims]
    if words[0] == "doctor":
        return [*without(words, {"--quick": False}), "--quick"]
    if words[0] == "profile":
        return [*without(words, {"--batch": True}), "--size", "64"]
    if words[0] != "run" or {"--show-plan", "--save-study", "--on"} & set(words):  # other tests have a Slurm
        return None
    return small_run(words)


def small_run(words: list[str]) -> list[str]:
    """A run of few networks on small images, with the budget that proves that everything works."""
    few = [network for option, networks in FEW.items() if option in words for network in networks]
    words = without(words, {"--all": False, "--group": True, "--budget": True})
    given = [SMALL.get(before, word) for before, word in pairwise(["", *words])]
    fixed = "--size" in words or any(word.startswith("smp:UPerNet") for word in words)  # its encoder takes 224 pixels
    return [*given, *few, "--budget", "smoke", *([] if fixed else ["--size", "64"])]


def cases(form: Callable[[Line], list[str] | None]) -> Iterator[pytest.param]:
    """A case for each small form; one that is the same as that of an earlier line is left out."""
    seen = set()
    for line in LINES:
        words = form(line)
        if words is not None and tuple(words) not in seen:
            seen.add(tuple(words))
            told = remark(line)
            yield pytest.param(words, id=f"{line.page}: {line.text}{told and f' ({told})'}")


def answered(words: list[str], folder) -> None:
    """The command does what it is asked to."""
    done = commanding.bench(*words, cwd=folder)
    told = f"{words}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    assert "Traceback" not in done.stderr, told
    assert done.returncode in ((0, 1) if words[0] in ANSWERS else (0,)), told


def test_every_line_has_a_small_form():
    assert len(LINES) > 60
    assert [line.text for line in LINES if quick(line) is None and slow(line) is None] == []


@pytest.mark.parametrize("words", cases(quick))
def test_what_is_planned_or_answered_from_records(scene, tmp_path, words):
    answered(words, shutil.copytree(scene, tmp_path / "here"))


@pytest.fixture(scope="module")
def workplace(scene, tmp_path_factory):
    """A copy in which all lines measure: what one has measured, the next ones find."""
    import torch

    from bench.networks import find_network

    folder = shutil.copytree(scene, tmp_path_factory.mktemp("measured") / "here")
    torch.manual_seed(0)
    torch.save(find_network("unet").build(3, 1, 64).state_dict(), folder / "theirs.pt")
    return folder


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("words", cases(slow))
def test_what_is_measured(workplace, words):
    answered(words, workplace)
