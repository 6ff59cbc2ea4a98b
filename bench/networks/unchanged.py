"""Runs a stranger's code and puts back what it changed of this process: folder, arguments, random states, switches."""

import logging
import multiprocessing
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch


def _set_environment(value: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(value)


def _set_cudnn(name: str, value: bool) -> None:
    setattr(torch.backends.cudnn, name, value)


def _set_streams(*streams: Any) -> None:
    sys.stdout, sys.stderr = streams


def _logging() -> tuple[list[logging.Handler], int, int]:
    return list(logging.root.handlers), logging.root.level, logging.root.manager.disable


def _set_logging(value: tuple[list[logging.Handler], int, int]) -> None:
    logging.root.handlers[:], level, disabled = value
    logging.root.setLevel(level)
    logging.disable(disabled)


# What code may change of a process when it is imported, as functions that give and set it.
SETTINGS: tuple[tuple[Callable[[], Any], Callable[[Any], object]], ...] = (
    (Path.cwd, os.chdir),
    (lambda: dict(os.environ), _set_environment),
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_default_device, lambda value: torch.set_default_device(None if value.type == "cpu" else value)),
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    *(
        (lambda name=name: getattr(torch.backends.cudnn, name), lambda value, name=name: _set_cudnn(name, value))
        for name in ("enabled", "benchmark", "deterministic", "allow_tf32")
    ),
    (sys.getrecursionlimit, sys.setrecursionlimit),
    (lambda: (sys.stdout, sys.stderr), lambda value: _set_streams(*value)),
    (_logging, _set_logging),
    (
        lambda: multiprocessing.get_start_method(allow_none=True),
        lambda value: multiprocessing.set_start_method(value, force=True),
    ),
    *(
        (lambda one=one: signal.getsignal(one), lambda value, one=one: signal.signal(one, value))
        for one in (signal.SIGINT, signal.SIGTERM)
    ),
)


@contextmanager
def unchanged(argument: str, seeded: bool = False, draws: bool = False) -> Iterator[None]:
    """Run the block as a program `argument` without arguments; put back afterwards what it changed of this process.

    Random states are put back too, unless the block `draws` what is to depend on them. If `seeded`, those of Python and
    numpy follow from torch's seed meanwhile, so that weights that are drawn with them depend on it. Folders that the
    block puts on the path for imports stay, at its end.
    """
    states, settings = [] if draws else _random_states(), [(_safely(get), put) for get, put in SETTINGS]
    arguments, path, writes = sys.argv, list(sys.path), sys.dont_write_bytecode
    if seeded:
        random.seed(torch.initial_seed())
        np.random.seed(torch.initial_seed() % 2**32)
    sys.argv, sys.dont_write_bytecode = [argument], True  # a stranger's folder may be under version control
    try:
        with warnings.catch_warnings():
            yield
    finally:
        sys.argv, sys.dont_write_bytecode = arguments, writes
        sys.path[:] = path + [one for one in sys.path if one not in path]
        for (value, put), (get, _) in zip(settings, SETTINGS, strict=True):
            if not isinstance(value, Exception) and _safely(get) != value:
                put(value)
        for state, put_state in states:
            put_state(state)


def _random_states() -> list[tuple[Any, Callable[[Any], object]]]:
    states: list[tuple[Any, Callable[[Any], object]]] = [
        (random.getstate(), random.setstate),
        (np.random.get_state(), np.random.set_state),
        (torch.get_rng_state(), torch.set_rng_state),
    ]
    if torch.cuda.is_initialized():
        states.append((torch.cuda.get_rng_state_all(), torch.cuda.set_rng_state_all))
    return states


def _safely(get: Callable[[], Any]) -> Any:
    """The value, or the error where there is none: of a removed working directory, or a switch that was set otherwise.

    torch has an old and a new way to set TF32, and refuses to tell by the old one what was set by the new one.
    """
    try:
        return get()
    except (OSError, RuntimeError) as error:
        return error
