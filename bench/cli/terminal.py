"""Terminal output. rich is imported only here.

Progress goes to standard error, results to standard output. rich handles `NO_COLOR`, pipes and the width of the
terminal. A `Part` is a text, or a text with its style; no text is ever read as markup.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Self

from rich.console import Console, Group
from rich.table import Column, Table
from rich.text import Text

from bench.cli.lines import in_parts, starts
from bench.errors import plain
from bench.units import duration

Part = str | tuple[str, str]
Screen = Console

WIDTH = 80  # characters of a line where none are told
GAP = 2  # characters between two columns
LIVE_S = 0.5  # seconds between two pictures on a terminal
HEARTBEAT_S = 30.0  # seconds between two lines where there is no terminal


def console(stderr: bool = True) -> Screen:
    """Where to draw: standard error for progress, standard output for results."""
    found = Console(stderr=stderr)
    return found if found.width > 0 else Console(stderr=stderr, width=WIDTH)  # COLUMNS=0 would show nothing


def say(to: Screen, *parts: Part, style: str = "", wrap: bool = True, hang: int = 0) -> None:
    """A text in lines that break no word and no figure; those after its first are indented by `hang` characters.

    Without `wrap`, it stays one line where there is no terminal: for what is searched with grep.
    """
    text = Text.assemble(*map(_plain, parts), style=style)
    if wrap or to.is_terminal:
        text = _broken(text, to.width, hang)
    to.print(text, soft_wrap=True)  # a longer word, a path, is left whole


def _broken(text: Text, width: int, hang: int = 0) -> Text:
    """The text in its styles with its lines ended, as `wrapped` does it with text without styles."""
    broken = []
    for line in text.split("\n", allow_blank=True):
        for number, piece in enumerate(line.divide(starts(line.plain, width, hang)[1:])):
            piece.rstrip()
            broken.append(Text(" " * hang).append_text(piece) if number else piece)
    return Text("\n").join(broken)


def key_values(to: Screen, lines: Iterable[Sequence[Part]], indent: bool = False) -> None:
    """Two columns without a header; a long value goes on below itself."""
    parts = [[Text.assemble(_plain(part)) for part in line] for line in lines]
    names = max((name.cell_len for name, _ in parts), default=0)
    room = max(1, to.width - names - GAP * (2 if indent else 1))
    columns = Column(no_wrap=True), Column(overflow="fold")
    drawn = Table(*columns, box=None, show_header=False, pad_edge=indent, padding=(0, 0, 0, GAP))
    for name, value in parts:
        drawn.add_row(name, _broken(value, room))
    to.print(drawn)


def table(
    headers: Sequence[str], lines: Iterable[Sequence[Part]], gap: int = GAP, width: int = 0, names: int | None = None,
    fold: bool = False,
) -> Table:  # fmt: skip
    """A table whose first column is of names, and the others of figures of at least `width` characters.

    A name longer than `names` characters, or than the room that is left, is cut, or folded where `fold` is given.
    """
    first = Column(Text(plain(headers[0])), max_width=names, no_wrap=not fold, overflow="fold" if fold else "ellipsis")
    others = (Column(Text(plain(header)), justify="right", no_wrap=True, min_width=width) for header in headers[1:])
    drawn = Table(first, *others, box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
    return _filled(drawn, lines)


def _filled(drawn: Table, lines: Iterable[Sequence[Part]]) -> Table:
    for line in lines:
        drawn.add_row(*(Text.assemble(_plain(part)) for part in line))
    return drawn


def _plain(part: Part) -> Part:
    """A part in which nothing is obeyed by a terminal, whoever wrote it."""
    return plain(part) if isinstance(part, str) else (plain(part[0]), part[1])


def blocks(headers: Sequence[str], lines: Sequence[Sequence[Part]], width: int) -> list[Table]:
    """The same in as many tables, one below the other, as the columns need where a line has `width` characters.

    Each begins with the names. These get half of the line at most, for the other half is the figures'.
    """
    names, *columns = zip(headers, *lines, strict=True)
    names_width = min(_width(names), max(width // 2, _width(names[:1])))
    names = tuple(in_parts(name, names_width) if isinstance(name, str) else name for name in names)
    groups: list[list[tuple[Part, ...]]] = []
    used = width
    for column in columns:
        used += GAP + _width(column)
        if used > width:
            groups.append([])
            used = names_width + GAP + _width(column)
        groups[-1].append(column)
    parts = [list(zip(names, *group, strict=True)) for group in groups]
    return [table([str(header) for header in head], body, names=names_width, fold=True) for head, *body in parts]


def _width(column: Iterable[Part]) -> int:
    return max(line.cell_len for part in column for line in Text.assemble(part).split())


class Status:
    """A context that shows the present activity: redrawn in place on a terminal, as plain lines elsewhere.

    It draws only when it is called, because nothing may run beside a network that is being timed.
    """

    def __init__(self, to: Screen, quiet: bool = False, transient: bool = False) -> None:
        self.to, self.quiet, self.shown, self.counted, self.began = to, quiet, time.monotonic(), "", 0.0
        self.tables: list[Table] = []  # above the line that says what is done now
        live = to.is_terminal and not quiet
        from rich.live import Live  # only what follows a run needs it

        self.live = Live(console=to, auto_refresh=False, transient=transient) if live else None

    def __enter__(self) -> Self:
        if self.live:
            self.live.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self.live:  # the tables stay only where the run was stopped: else they are printed after it, as its result
            self.live.update(Group(*(self.tables if kind else [])))
            self.live.stop()

    def show(
        self, doing: str, seconds: float | None = None, more: str = "", at_once: bool = True, took: float | None = None
    ) -> None:
        """Say what is done, how many seconds it `took` so far, and about how many are left, or `more` (" or more").

        What need not be said `at_once` is left out where something was said a moment ago.
        """
        pause = 0.0 if at_once else LIVE_S if self.live else HEARTBEAT_S
        if self.quiet or time.monotonic() - self.shown < pause:
            return
        self.shown = time.monotonic()
        so_far = "" if took is None else f", {duration(took)} so far"
        line = doing + so_far + ("" if seconds is None else f", about {duration(seconds)}{more} left")
        if self.live:
            gap = [Text()] if self.tables else []
            told = _broken(Text(plain(line), "cyan"), self.to.width)
            self.live.update(Group(*self.tables, *gap, told), refresh=True)
        else:
            say(self.to, line, wrap=False)

    def count(self, doing: str, done: int, total: int) -> None:
        """Say now and then how far something is, and how long the rest takes at the speed so far."""
        if doing != self.counted:
            self.counted, self.began = doing, time.monotonic()
        left = (time.monotonic() - self.began) * (total - done) / max(1, done)
        self.show(f"{doing} {done}/{total}", left, at_once=False)
