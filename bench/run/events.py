"""What a worker tells while it works: lines of JSON on a pipe, each one of three kinds.

The network's code runs in the worker too, so that anything may come through the pipe, of any length.
"""

import math
import os
import select
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationError

from bench.errors import LONG, clean

Line = Annotated[str, AfterValidator(lambda text: clean(text, LONG))]
LONGEST = 64 * 1024  # bytes of an event; one of bench has at most a tenth of it
LOOK_S = 2.0  # between two looks at what else there is to see to


class Strange(Exception):
    """Something came through the pipe that is no event. The text is how it begins, in one clean line."""


class Silent(Exception):
    """Nothing came through the pipe for too long."""


class _Event(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Doing(_Event):
    """What is done now, and how much of it is done, if that is counted."""

    doing: Line
    done: int = 0
    of: int = 0


class Step(_Event):
    """A step of a training, which of several it is, and the validation Dice where one is known."""

    step: int
    steps: int
    loss: float
    val_dice: float | None
    doing: Line = ""


class End(_Event):
    """The last event: what came of the job, and the reason where that is no result."""

    end: Literal[
        "ok", "lost", "stop", "unusable", "refused", "crashed", "out_of_memory", "timed_out", "diverged", "paused"
    ]
    error: Line = ""


EVENTS: TypeAdapter[Doing | Step | End] = TypeAdapter(Doing | Step | End)


def events(
    pipe: int, silence_s: float = math.inf, look: Callable[[], object] = lambda: None
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Yield what comes through a pipe until its other end is closed. `look` is called now and then.

    Raises Strange at the first line that is no event, and Silent if nothing comes for `silence_s` seconds. No more than
    one event is kept in memory.
    """
    begun, until = b"", time.monotonic() + silence_s  # an incomplete line
    while (left := until - time.monotonic()) > 0:
        ready = select.select([pipe], [], [], min(left, LOOK_S))[0]
        look()
        if not ready:
            continue
        if not (part := os.read(pipe, LONGEST)):
            return
        *lines, begun = (begun + part).split(b"\n")
        yield from map(_event, lines)
        if len(begun) > LONGEST:
            raise Strange(_shown(begun))
        until = time.monotonic() + silence_s
    raise Silent


def _event(line: bytes) -> dict[str, Any]:
    try:
        return EVENTS.validate_json(line).model_dump(exclude_unset=True)
    except ValidationError:
        raise Strange(_shown(line)) from None


def _shown(line: bytes) -> str:
    return clean(line[:LONGEST].decode(errors="replace"), 80)
