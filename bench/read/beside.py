"""Which records stand beside each other in a table: those of images of the same shape, under the same conditions."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from bench.quantities import QUANTITIES
from bench.quantities.base import SAME_PASS
from bench.run.store import Record

USUAL_SIZE = 224  # pixels a side


class InTable:
    """The records for the main table, found by their conditions, and the titles of their networks."""

    def __init__(self, records: Sequence[Record], called: Mapping[str, str]) -> None:
        self.called = called
        self.names: dict[str, tuple[str, ...]] = {}  # of the conditions that a quantity has
        self.found: dict[Any, list[tuple[int, Record]]] = defaultdict(list)
        self.of_shape: dict[Any, list[Record]] = defaultdict(list)
        for place, record in enumerate(records):
            spec = record.job.spec
            if stands_in_table(record):
                names = self.names.get(spec.quantity)
                if names is None:
                    names = self.names[spec.quantity] = tuple(n for n in SAME_PASS if hasattr(spec, n))
                self.found[spec.quantity, *(getattr(spec, name) for name in names)].append((place, record))
                self.of_shape[shape_of(record)].append(record)

    def shape(self, record: Record) -> tuple[int, int, int]:
        """The shape of the table in which a record stands: its own, if anything but Dice was measured for it."""
        channels, classes, size = shape_of(record)
        others = [shape[2] for shape in self.of_shape if shape[:2] == (channels, classes)]
        if size not in others and others:
            size = min(others, key=lambda one: (one != USUAL_SIZE, one))
        return channels, classes, size

    def beside(self, first: Record) -> list[Record]:
        """The records for the same row as `first`: those with equal conditions, as far as both have them."""
        theirs = first.job.spec
        keys = [(of, *(getattr(theirs, n, None) for n in names)) for of, names in self.names.items() if of != "latency"]
        return [record for _, record in sorted((one for key in keys for one in self.found.get(key, ())), key=_place)]


def _place(one: tuple[int, Record]) -> int:
    return one[0]


def stands_in_table(record: Record) -> bool:
    """Whether a record is of what the main table shows, and not of a sweep or a variant."""
    quantity = QUANTITIES[record.job.spec.quantity]
    return bool(quantity.columns) and all(getattr(record.job.spec, k) == v for k, v in quantity.beside.items())


def shape_of(record: Record) -> tuple[int, int, int]:
    """Channels of its images, classes, and pixels a side."""
    spec = record.job.spec
    return spec.channels, spec.classes, spec.size
