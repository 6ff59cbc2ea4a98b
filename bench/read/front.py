"""The Pareto front: the networks that no other beats at both cost and accuracy."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def front(points: Sequence[tuple[float, float, T]]) -> list[tuple[float, float, T]]:
    """Of (cost, accuracy, thing) those for which nothing costs no more and is as accurate, cheapest first.

    Of two that are equal in both, both stay.

    >>> front([(1, 0.5, "a"), (2, 0.4, "b"), (3, 0.9, "c")])
    [(1, 0.5, 'a'), (3, 0.9, 'c')]
    """
    kept = [one for one in points if not any(_beats(other, one) for other in points)]
    return sorted(kept, key=lambda point: point[:2])


def _beats(one: tuple[float, float, T], other: tuple[float, float, T]) -> bool:
    return one[0] <= other[0] and one[1] >= other[1] and one[:2] != other[:2]
