"""The lines of a terminal: words and figures stay whole, whatever the width."""

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from bench.cli.lines import cells, in_parts, starts, together, wrapped
from bench.cli.terminal import key_values, say

ROOT = Path(__file__).parent.parent.parent
TEXT = (
    "Fastest: MDSA-UNet, 44.4 ms an image on this machine, 6.5 times as fast as Attention U-Net; Dice 0.655 ± 0.141 "
    "[0.512, 0.798] and +0.020 [-0.010, +0.050]; 77.1 [67.1, 88.7] took 3 h 05 min and 1 min 40 s at most 0.95 % of "
    "143 MiB and 4.46 GMAC"
)
WHOLE = (
    "MDSA-UNet", "44.4 ms", "6.5 times", "0.655 ± 0.141 [0.512, 0.798]", "+0.020 [-0.010, +0.050]", "77.1 [67.1, 88.7]",
    "3 h 05 min", "1 min 40 s", "0.95 %", "143 MiB", "4.46 GMAC",
)  # fmt: skip


@pytest.mark.parametrize("width", range(30, 101))
def test_no_width_breaks_a_word_or_a_figure(width):
    lines = wrapped(TEXT, width).splitlines()
    assert max(map(len, lines)) <= width
    assert " ".join(lines) == TEXT
    assert [part for part in WHOLE if not any(part in line for line in lines)] == []


def test_what_is_kept_together_is_as_long_as_before_and_printed_as_it_was():
    assert len(together(TEXT)) == len(TEXT)
    assert "\N{NO-BREAK SPACE}" not in wrapped(TEXT, 40)


def test_further_lines_hang_and_an_indent_stays():
    assert wrapped("  one two three four", 12, 4) == "  one two\n    three\n    four"
    assert wrapped("a b\nc d", 80, 2) == "a b\nc d"


def test_a_word_longer_than_the_line_is_left_whole():
    assert wrapped(f"see {'/x' * 20} for it", 20) == f"see\n{'/x' * 20}\nfor it"


def test_a_long_name_is_parted_between_its_words():
    assert in_parts("MDSA-UNet, plain form", 40) == "MDSA-UNet, plain form"
    assert in_parts("MDSA-UNet, plain form", 12) == "MDSA-UNet,\nplain form"
    name = "third_party/models/networks/mine.py:VeryLongNet (width=8)"
    lines = in_parts(name, 30).split("\n")
    assert lines == ["third_party/models/networks/", "mine.py:VeryLongNet", "(width=8)"]
    assert in_parts("n" * 25, 10) == f"{'n' * 10}\n{'n' * 10}\n{'n' * 5}"


def test_wide_letters_take_two_columns():
    assert cells("病変 a") == 6
    assert starts("病変病変 病変", 10) == [0, 5]


def shown(width: int, draw, terminal: bool = True) -> list[str]:
    to = Console(file=io.StringIO(), force_terminal=terminal, width=width, color_system=None)
    draw(to)
    return to.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 80])
def test_what_is_said_keeps_words_and_figures(width):
    for lines in (
        shown(width, lambda to: say(to, ("Fast", "red"), TEXT.removeprefix("Fast"))),
        shown(width, lambda to: key_values(to, [(("found", "bold"), TEXT)], indent=True)),
    ):
        assert max(map(len, lines)) <= width
        assert [part for part in WHOLE if not any(part in line for line in lines)] == []


def test_what_is_searched_with_grep_is_one_line_where_there_is_no_terminal():
    assert shown(40, lambda to: say(to, TEXT, wrap=False), terminal=False) == [TEXT]
    assert len(shown(40, lambda to: say(to, TEXT, wrap=False))) > 5


def test_an_error_on_a_terminal_breaks_no_word():
    """In a process with a terminal of its own, as a person has it."""
    outer, inner = pty.openpty()
    given = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "60"}
    asked = [sys.executable, "-m", "bench.cli", "run", "unett"]
    done = subprocess.run(asked, stderr=inner, env=given, check=False)
    os.close(inner)
    said = os.read(outer, 10_000).decode()
    os.close(outer)
    lines = said.splitlines()
    assert done.returncode == 2
    assert len(lines) > 3
    assert max(map(len, lines)) <= 60
    assert "attention_unet," in said.split()
