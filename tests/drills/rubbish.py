"""Makes rubbish of a valid input: of its bytes, of the numbers and words in its text, of the values in its JSON."""

import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

Change = Callable[[bytes, random.Random], bytes]
INTEGERS = (0, 1, -1, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, -(2**31), 2**32 - 1, 2**62, 2**63 - 1, -(2**63))
WORDS = (
    "", "NaN", "-Infinity", "1e999", "1" * 5000, "-1", "0", "null", "true", "[]", "{}", '"', "\\ud800", "\0",
    "\x1b[31m", "\u202e", "../../etc/passwd", "/dev/zero", "$(id)",
    "`id`", "%s%n", "<b>", "=1+1", "é" * 300, "\U0001f600", "=", ",",
    "[" * 3000, '{"a":' * 3000, "\r", "\n\n", "\ufeff", "__class__", "nan", "1_000", "0x10", "１２", "{0}",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 1.5, -0.0, 1e308, 10**30, 2**63, float("nan"), float("inf"), "", "x", "\0", "\ud800",
    "../x", "a" * 5000, [], {}, [[]], [None], {"": None}, [0] * 200, "nan", "1", "2020-01-01", "\u202e",
)  # fmt: skip


def flip(content: bytes, chance: random.Random) -> bytes:
    """Some bits are flipped."""
    found = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 8, 40))):
        if found:
            found[_place(found, chance)] ^= 1 << chance.randrange(8)
    return bytes(found)


def write_over(content: bytes, chance: random.Random) -> bytes:
    """A number of 1, 2, 4 or 8 bytes in the place of some bytes."""
    width, found = chance.choice((1, 2, 4, 8)), bytearray(content)
    at, number = _place(found, chance), chance.choice(INTEGERS) % (1 << 8 * width)
    found[at : at + width] = number.to_bytes(width, chance.choice(("little", "big")))
    return bytes(found)


def cut(content: bytes, chance: random.Random) -> bytes:
    """The end is missing."""
    return content[: chance.randrange(len(content) + 1)]


def take_out(content: bytes, chance: random.Random) -> bytes:
    """A piece is missing."""
    start, end = _piece(content, chance)
    return content[:start] + content[end:]


def repeat(content: bytes, chance: random.Random) -> bytes:
    """A piece is there twice, or many times."""
    start, end = _piece(content, chance)
    return content[:end] + content[start:end] * chance.choice((1, 1, 2, 30)) + content[end:]


def swap(content: bytes, chance: random.Random) -> bytes:
    """Two pieces change places."""
    (a, b), (c, d) = sorted((_piece(content, chance), _piece(content, chance)))
    c, d = max(b, c), max(b, d)
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def insert(content: bytes, chance: random.Random) -> bytes:
    """Something else is put in."""
    at = _place(content, chance)
    word = chance.choice(WORDS).encode(errors="surrogatepass")
    new = chance.choice((chance.randbytes(chance.randrange(1, 40)), word))
    return content[:at] + new + content[at:]


def empty(content: bytes, chance: random.Random) -> bytes:
    """Nothing, zeros, or random bytes."""
    return chance.choice((b"", bytes(len(content)), chance.randbytes(min(len(content), 200))))


def other_word(content: bytes, chance: random.Random) -> bytes:
    """A number or a word of the text is another one."""
    words = [*re.finditer(rb"-?\d[\d.eE+-]*|[A-Za-z_]+|\"[^\"\n]*\"", content[:200_000])]
    if not words:
        return insert(content, chance)
    word = chance.choice(words)
    new = chance.choice((*WORDS, chance.choice(words)[0].decode(errors="replace")))
    return content[: word.start()] + new.encode(errors="surrogatepass") + content[word.end() :]


def other_line(content: bytes, chance: random.Random) -> bytes:
    """Lines are missing, doubled or in another order."""
    lines = content.splitlines(keepends=True)
    if not lines:
        return b""
    at = chance.randrange(len(lines))
    how = chance.randrange(3)
    if how == 0:
        del lines[at]
    elif how == 1:
        lines.insert(chance.randrange(len(lines)), lines[at])
    else:
        chance.shuffle(lines)
    return b"".join(lines)


def other_value(content: bytes, chance: random.Random) -> bytes:
    """A value of the JSON is another one, is missing, or is under another name."""
    try:
        whole = json.loads(content)
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            whole = _changed(whole, chance)
        return json.dumps(whole).encode()
    except (ValueError, RecursionError):  # it is rubbish already
        return other_word(content, chance)


def _changed(whole: Any, chance: random.Random) -> Any:
    at, key = None, None
    inside = whole
    while isinstance(inside, dict | list) and inside and (at is None or chance.random() < 0.8):
        at, key = inside, chance.choice([*inside]) if isinstance(inside, dict) else chance.randrange(len(inside))
        inside = at[key]
    if at is None:
        return chance.choice(VALUES)
    how = chance.random()
    if how < 0.15:
        del at[key]
    elif how < 0.25 and isinstance(at, dict):
        at[chance.choice(("", "x", "digest", "schema_version", "result", key + "x"))] = at.pop(key)
    elif how < 0.3 and isinstance(at, list):
        at.append(inside)
    else:
        at[key] = chance.choice(VALUES)
    return whole


BYTES: Sequence[Change] = (flip, flip, flip, write_over, write_over, cut, take_out, repeat, swap, insert, empty)
TEXT: Sequence[Change] = (*BYTES, *[other_word] * 6, *[other_line] * 2)
JSON: Sequence[Change] = (*TEXT, *[other_value] * 14)


def _place(content: bytes | bytearray, chance: random.Random) -> int:
    """A place in it; half of the time near its beginning, where the headers are."""
    most = min(len(content), 400) if chance.random() < 0.5 else len(content)
    return chance.randrange(max(1, most))


def _piece(content: bytes, chance: random.Random) -> tuple[int, int]:
    start = _place(content, chance)
    return start, min(len(content), start + chance.choice((1, 2, 4, 16, 100, 1000)))
