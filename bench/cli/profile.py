"""`bench profile`: where a network's cost is."""

import json
import os
import warnings
from typing import Annotated

import typer

from bench.cli.app import Arg, DeviceChoice, Json, app, device_of
from bench.errors import UserError


@app.command()
def profile(
    network: Annotated[str, typer.Argument(help="A name from `bench list networks`, or file.py:Name.")],
    arg: Arg = None,
    size: Annotated[int, typer.Option(help="Pixels a side.", min=32)] = 224,
    batch: Annotated[int, typer.Option(help="Images in a batch.", min=1)] = 1,
    depth: Annotated[int, typer.Option(help="Levels of modules to show.", min=0)] = 2,
    device: Annotated[DeviceChoice, typer.Option(help="Where to time.")] = DeviceChoice.auto,
    as_json: Json = False,
) -> None:
    """Show where a network's parameters, multiply-adds, activations and time are, module by module. Nothing is kept.

    Example: bench profile mdsa_unet --depth 3
    """
    from bench.networks import find_network, with_arguments
    from bench.networks.names import pairs

    found = find_network(with_arguments(network, pairs(arg or [])))
    where = device_of(device)

    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler logs on standard error that there is no GPU
    warnings.filterwarnings(
        "ignore", message=".*torch.jit.script. is deprecated"
    )  # fvcore scripts a loss when imported
    import torch

    from bench.cli.display import console
    from bench.cli.tree import following, show
    from bench.machine import environment
    from bench.measure.profile import profile as measure
    from bench.quantities import ProfileSpec

    machine = environment()
    asked = ProfileSpec(machine=machine.fingerprint, device=where, threads=machine.cores, size=size, batch=batch)
    try:
        with following(console(), f"profiling {found.title}") as tell:
            torch.manual_seed(0)
            profiled = measure(found.build(asked.channels, asked.classes, size), asked, tell)
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, MemoryError) and not any(words in str(error) for words in OUT_OF_MEMORY):
            raise
        raise UserError(
            f"{network} with a batch of {batch} at {size}x{size} does not fit in the memory of the {where}; "
            "give a smaller --batch or --size"
        ) from error
    if as_json:
        typer.echo(
            json.dumps(
                {"network": network, "conditions": asked.model_dump(), **profiled.model_dump()},
                indent=1,
                allow_nan=False,
            )
        )
    else:
        show(console(stderr=False), found.title, asked, profiled, depth)


OUT_OF_MEMORY = ("out of memory", "can't allocate memory")
