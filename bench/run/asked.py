"""From what a user asks for, on the command line or in Python, to a study: names of networks, and defaults.

Errors call a setting by its option on the command line; `bench.api` says them in Python's words.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from bench.errors import UserError, unknown
from bench.networks import NETWORKS, table, with_arguments
from bench.quantities import Device, Settings
from bench.quantities.budget import find_budget
from bench.run.study import Study, usual_measures

DeviceChoice = Literal["auto", "cpu", "cuda"]
CHOICES: tuple[str, ...] = get_args(DeviceChoice)
LARGEST_SEED = 2**32 - 1  # that numpy takes


def device_of(choice: DeviceChoice) -> Device:
    """The device that `auto` selects on this machine. Raises UserError for `cuda` if there is no GPU."""
    from bench.machine import cuda_usable

    if choice not in CHOICES:
        raise unknown("device", choice, CHOICES)
    usable = choice != "cpu" and cuda_usable()
    if choice == "cuda" and not usable:
        raise UserError("--device cuda: torch finds no CUDA device on this machine; give --device cpu, or leave it out")
    return "cuda" if usable else "cpu"


def refuse_on_cpu(device: Device, *, tf32: bool, cudnn_benchmark: bool) -> None:
    """Raise UserError where a switch of a GPU is asked for, and none is measured on."""
    for option, given in (("--tf32", tf32), ("--cudnn-benchmark", cudnn_benchmark)):
        if given and device == "cpu":
            raise UserError(f"{option} is for measuring on a GPU, and --device is cpu here; leave it out")


def named_networks(
    names: Sequence[str], groups: Sequence[str], arguments: Mapping[str, str], pretrained: bool, whole_table: bool
) -> tuple[str, ...]:  # fmt: skip
    """The names in their one spelling, each once, and then those of the groups, or the whole table.

    `arguments` are for the networks from elsewhere, as text. Raises UserError if nothing is named, or too much.
    """
    if whole_table and (names or groups):
        raise UserError(f"both --all and {', '.join((*names, *groups))} were given; give one of the two")
    if not (whole_table or names or groups):
        raise UserError(f"no network was named; name some of {', '.join(NETWORKS)}, or give --all")
    named = [with_arguments(name, arguments, pretrained) for name in names]
    refuse_idle_arguments(named, arguments, pretrained)
    return tuple(NETWORKS) if whole_table else tuple(dict.fromkeys([*named, *table.in_groups(groups)]))


def refuse_idle_arguments(named: Sequence[str], arguments: Mapping[str, str], pretrained: bool) -> None:
    """Raise UserError where arguments of networks from elsewhere are given, and none of these is named."""
    if (arguments or pretrained) and all(name in NETWORKS for name in named):
        option = "--arg" if arguments else "--pretrained"
        ours = "those of the table are built as published, from random weights"
        raise UserError(f"{option} is for networks from elsewhere, and none was named; {ours}: leave it out, "
                        "or name one such as smp:Unet/resnet34")  # fmt: skip


def asked_study(
    *, measures: Sequence[str], budget: str | None, steps: int | None, epochs: int | None, device: DeviceChoice,
    all_sizes: Sequence[int], weights: Path | None, tf32: bool, cudnn_benchmark: bool, elsewhere: bool = False,
    **others: Any,
) -> Study:  # fmt: skip
    """The study of what was asked, with what is usual on the device where nothing was.

    `others` are fields of Study. Networks are trained at the first of `all_sizes`; without one, at the size of the
    budget. With `elsewhere` it is to run on other machines, and `auto` is a GPU of theirs. Raises UserError if the
    study is not possible.
    """
    if weights and (steps or epochs):
        raise UserError(f"--weights {weights} is trained already; leave --steps and --epochs out")
    where = device_of(device) if not elsewhere else "cpu" if device == "cpu" else "cuda"
    refuse_on_cpu(where, tf32=tf32, cudnn_benchmark=cudnn_benchmark)
    found = find_budget(budget or ("paper" if where == "cuda" else "quick"), steps, epochs)
    size, *sizes = all_sizes or (Settings.size,)
    return Study(
        measures=tuple(measures) or usual_measures(where), device=where, weights=weights, budget=found,
        train_size=None if all_sizes or weights else found.train_size, size=size, sizes=tuple(sizes),
        tf32=tf32, cudnn_benchmark=cudnn_benchmark, elsewhere=elsewhere, **others,
    )  # fmt: skip
