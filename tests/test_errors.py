"""The form of an error: what is wrong, what was given, what is allowed, what to do."""

import pytest

from bench.errors import LONGEST, SHORT, bad_size, clean, first_line, is_out_of_memory, unknown

WHAT = "\N{REPLACEMENT CHARACTER}"


def test_unknown_names_the_nearest_and_all():
    error = unknown("network", "mdsaunet", ["unet", "mdsa_unet"])
    assert str(error) == "unknown network 'mdsaunet'; did you mean 'mdsa_unet'? known: mdsa_unet, unet"


def test_unknown_with_nothing_near_still_lists_all():
    assert str(unknown("measure", "zzz", ["dice", "cost"])) == "unknown measure 'zzz'; known: cost, dice"


def test_bad_size_says_what_to_pad_to():
    assert str(bad_size("unet", 250, 224, 16)).endswith("got 250x224; pad the input to 256x224")


CLEANED = {
    "": "", " \t\r\n\x85\u2028": "", "a\n\tb": "a b", "a\0b": f"a{WHAT}b", "a\ud800b": f"a{WHAT}b", "\udcff": WHAT,
    "\x1b[31;1mred\x1b[0m": "red", "\x1b]8;;http://x\x1b\\link\x1b]8;;\x07": "link", "\x1b[2J\x1bcgone\x1b": "gone",
    "\u202eabc\u200f": f"{WHAT}abc{WHAT}", "\b\b\x7f": WHAT * 3, "größer \u0e01 日本": "größer \u0e01 日本",
}  # fmt: skip


@pytest.mark.parametrize(("text", "shown"), CLEANED.items(), ids=map(ascii, CLEANED))
def test_a_foreign_text_becomes_one_line_that_prints(text, shown):
    assert clean(text) == shown


@pytest.mark.parametrize(
    "text", ["x" * 50_000_000, "\x1b" * 500_000, "\0" * 500_000, "\n" * 500_000 + "x", "\x1b]" * 99]
)
def test_however_long_a_text_is_its_line_is_short(text):
    assert len(clean(text)) <= SHORT
    assert clean(text).isprintable()
    assert clean("x" * 400) == "x" * (SHORT - 1) + "…"
    assert clean("x" * SHORT) == "x" * SHORT


class Told(Exception):
    """An error that says what it is given, or raises it."""

    def __str__(self):
        if isinstance(self.args[0], BaseException):
            raise self.args[0]
        return self.args[0]


@pytest.mark.parametrize(
    "told", [5, None, "", " \n\n", RuntimeError("no"), KeyboardInterrupt(), SystemExit(0), MemoryError()]
)
def test_an_error_that_cannot_be_told_is_told_by_its_kind(told):
    assert first_line(Told(told)) == "Told"
    assert not is_out_of_memory(Told(told))


def test_the_first_line_that_says_something_is_told():
    assert first_line(ValueError("\n \x1b[0m\n\x1b[1mone\x1b[0m\ntwo")) == "one"
    assert first_line(ValueError("\n" * LONGEST + "late")) == "ValueError"
