"""The help of every command at 80 columns: each option in its panel, and no word or command broken."""

import inspect
import re

import pytest
from commanding import bench

from bench.cli import app
from bench.cli.data import data_app
from bench.cli.help import OTHERS, PANELS

NAMED = {
    " ".join((*group, (one.name or one.callback.__name__).rstrip("_"))): one.callback
    for group, where in (((), app), (("data",), data_app))
    for one in where.registered_commands
}


def helped(command: str) -> str:
    done = bench(*command.split(), "--help", COLUMNS="80")
    assert done.returncode == 0, done.stderr
    return done.stdout


def panels(text: str) -> dict[str, list[str]]:
    """The options below each heading."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line and not line.startswith((" ", "Usage")):
            found[line.rstrip(":")] = own = []
        elif option := re.match(r"  (--[\w-]+)", line):
            own.append(option[1])
    return found


@pytest.mark.parametrize("command", NAMED)
def test_help_fits_eighty_columns_and_breaks_no_word_and_no_command(command):
    text = helped(command)
    assert max(map(len, text.splitlines())) <= 80
    words = set(text.split())
    doc = inspect.getdoc(NAMED[command])
    assert set(doc.split()) - words == set()
    examples = [line for line in map(str.strip, doc.splitlines()) if line.startswith("bench ")]
    assert [line for line in examples if f"    {line}\n" not in text] == []


@pytest.mark.parametrize("command", NAMED)
def test_each_option_stands_in_the_panel_that_it_has_in_every_command(command):
    found = panels(helped(command))
    found.pop("Arguments", None)
    assert OTHERS not in found, "name the panel of these in bench.cli.help.PANELS"
    for panel, options in found.items():
        assert set(options) <= set(PANELS[panel].split())
    assert list(found) == [panel for panel in PANELS if panel in found]


def test_no_option_is_in_two_panels_and_none_is_of_no_command():
    listed = [option for options in PANELS.values() for option in options.split()]
    known = {option for command in NAMED for options in panels(helped(command)).values() for option in options}
    assert len(listed) == len({*listed})
    assert set(listed) == known


def test_the_options_of_a_run_are_told_by_what_they_are_about():
    found = panels(helped("run"))
    assert [*found] == [
        "Arguments", "Networks", "What to measure", "Data", "Training", "Measuring",
        "Where it runs", "Records", "Output",
    ]  # fmt: skip
    assert found["Training"] == [
        "--steps", "--epochs", "--train-batch", "--lr", "--weight-decay", "--warmup", "--loss-weights",
        "--augmentation", "--seeds", "--devices", "--precision", "--patience", "--weights",
    ]  # fmt: skip


@pytest.mark.parametrize("group", ["", "data"])
def test_commands_are_listed_with_a_whole_sentence_each(group):
    text = helped(group)
    listed = " ".join(text.partition("Commands:")[2].split())
    assert max(map(len, text.splitlines())) <= 80
    for command, callback in NAMED.items():
        if command.startswith(group) and (group or " " not in command):
            sentence = " ".join(inspect.getdoc(callback).partition(".")[0].split())
            assert f"{command.removeprefix('data ')} {sentence}." in listed


def test_limits_of_numbers_are_words():
    assert "[default: 224; 32 to 65535]" in helped("profile")
    assert "x>=" not in "".join(map(helped, NAMED))
