"""Text in the lines of a terminal: no word is broken, and a figure stays beside its unit and its interval."""

import re
import shutil
from typing import TextIO
from unicodedata import combining, east_asian_width

KEPT = "\N{NO-BREAK SPACE}"  # only where lines are counted: what is printed has the spaces that it had
UNITS = (
    "%|s|ms|µs|min|h|px|mm|J|W|M|k|MiB|GiB|GB|GB/s|GMAC|MMAC|kMAC|MAC|GMAC/s|images/s|times|images|image|steps|epochs|"
    "calls|call|cores|threads|thread|processes|process|patients|trainings|networks|jobs|records|pairs"
)
NUMBER = r"[-+]?\d[\d.,]*"
# Spaces at which no line ends: before a unit, in and before an interval, beside "±", in "3 h 05 min".
TOGETHER = (
    (re.compile(rf"(?<=\d) (?=(?:{UNITS})(?![\w-]))"), KEPT),
    (re.compile(rf"\[{NUMBER} {NUMBER}]"), lambda found: found[0].replace(" ", KEPT)),
    (re.compile(rf"(?<=\S) (?=\[{NUMBER}[ {KEPT}]{NUMBER}])"), KEPT),
    (re.compile(rf" (?=± ?\d)|(?<=±) (?=\d)|(?<=\d{KEPT}h) (?=\d)|(?<=\d{KEPT}min) (?=\d)"), KEPT),
)


def together(text: str) -> str:
    """The text, as long as it was, with a no-break space wherever no line may end."""
    for pattern, kept in TOGETHER:
        text = pattern.sub(kept, text)
    return text


def starts(text: str, width: int, hang: int = 0) -> list[int]:
    """Where the lines of a text begin, if none but a single longer word has more than `width` characters.

    Lines from the second on have room for `hang` characters less. What the text begins with stays its indent.

    >>> starts("it took 12 ms [10, 14] in all", 20)
    [0, 8, 26]
    """
    found, used, end = [0], 0, 0
    for word in re.finditer("[^ ]+", together(text)):
        size, gap = cells(word[0]), word.start() - end
        if end and used + gap + size > width:
            found.append(word.start())
            used = hang + size
        else:
            used += gap + size
        end = word.end()
    return found


def wrapped(text: str, width: int, hang: int = 0) -> str:
    """The same text in lines of at most so many characters; those after the first of a line are indented by `hang`."""
    broken = []
    for line in text.split("\n"):
        begin = starts(line, width, hang)
        parts = [line[first:last].rstrip() for first, last in zip(begin, [*begin[1:], None], strict=True)]
        broken.append(f"\n{' ' * hang}".join(parts))
    return "\n".join(broken)


def in_parts(name: str, width: int) -> str:
    """A name in lines of at most so many characters, which end at a space, else behind a sign that parts its words.

    >>> in_parts("nets/third_party/mine.py:Net", 12).splitlines()
    ['nets/third_', 'party/mine.', 'py:Net']
    """
    parts = []
    for line in wrapped(name, width).split("\n"):
        rest = line
        while cells(rest) > width:
            end = max((found.end() for found in re.finditer(r"[/:?&=_.-]", rest[:width])), default=width)
            parts.append(rest[:end])
            rest = rest[end:]
        parts.append(rest)
    return "\n".join(parts)


def for_stream(text: str, stream: TextIO, hang: int = 0) -> str:
    """The text as a stream is to show it: in lines on a terminal; elsewhere, where programs read it, unchanged."""
    return wrapped(text, shutil.get_terminal_size().columns, hang) if stream.isatty() else text


def cells(text: str) -> int:
    """Columns of a terminal that a text takes: Chinese characters take two."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(one) else 2 if east_asian_width(one) in "WF" else 1 for one in text)
