"""Answers that were given last, kept as long as they take little memory: a volume is asked for slice by slice."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import wraps
from threading import Lock
from typing import TypeVar

import numpy as np

MOST = 1 << 30  # bytes of what one function keeps beside its last answer

Function = TypeVar("Function", bound=Callable[..., "np.ndarray | list[np.ndarray]"])


def recent(count: int) -> Callable[[Function], Function]:
    """Keep the last answers of a function of arrays, at most `count`, and of large ones fewer. Its callers lock it."""

    def decorate(function: Function) -> Function:
        kept: OrderedDict[Hashable, np.ndarray | list[np.ndarray]] = OrderedDict()
        lock = Lock()

        @wraps(function)
        def asked(*key: Hashable) -> np.ndarray | list[np.ndarray]:
            with lock:
                if key in kept:
                    kept.move_to_end(key)
                    return kept[key]
            value = function(*key)
            with lock:
                kept[key] = value
                while len(kept) > 1 and (len(kept) > count or sum(map(_bytes_of, kept.values())) > MOST):
                    kept.popitem(last=False)
            return value

        return asked  # type: ignore[return-value]  # the same arguments, by their place

    return decorate


def _bytes_of(value: np.ndarray | list[np.ndarray]) -> int:
    return value.nbytes if isinstance(value, np.ndarray) else sum(one.nbytes for one in value)
