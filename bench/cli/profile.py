"""`bench profile`: the cost of each module of a network."""

import os
import warnings
from typing import Annotated

from typer import Argument, Option

from bench.cli.options import LARGEST, Arguments, DeviceOption, Json, Size, command, print_json
from bench.errors import UserError, is_out_of_memory


@command()
def profile(
    network: Annotated[str, Argument(help="A name from `bench list networks`, or file.py:Name.")],
    arg: Arguments = None,
    size: Size = 224,
    batch: Annotated[int, Option(help="Images in a batch.", min=1, max=LARGEST)] = 1,
    depth: Annotated[int, Option(help="Levels of modules to show.", min=0)] = 2,
    device: Annotated[DeviceOption, Option(help="Where to time.")] = "auto",
    as_json: Json = False,
) -> None:
    """Show where a network's parameters, multiply-adds, activations and time are, module by module. Nothing is stored.

    Example: bench profile mdsa_unet --depth 3
    """
    from bench.networks import find_network, with_arguments
    from bench.networks.names import pairs
    from bench.run.asked import device_of

    found = find_network(with_arguments(network, pairs(arg or [])))
    where = device_of(device)

    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler logs on standard error that there is no GPU
    warnings.filterwarnings("ignore", message=".*torch.jit.script. is deprecated")  # by fvcore when it is imported
    import torch

    from bench.cli.terminal import Status, console, say
    from bench.cli.tree import show
    from bench.locks import machine_lock
    from bench.machine import pretended, this_machine
    from bench.measure.profile import profile as measure
    from bench.quantities import ProfileSpec

    here = this_machine()
    asked = ProfileSpec(machine=here.fingerprint, device=where, threads=here.cores, size=size, batch=batch)
    try:
        with Status(console(), transient=True) as status:
            torch.manual_seed(0)
            built, title = found.build(asked.channels, asked.classes, size), f"profiling {found.title}"
            with machine_lock(exclusive=True, tell=status.show):
                profiled = measure(built, asked, lambda doing, *counts: status.count(f"{title}: {doing}", *counts))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        too_large = f"{network} with a batch of {batch} at {size}x{size} does not fit in the memory of the {where}"
        raise UserError(f"{too_large}; give a smaller --batch or --size") from error
    if as_json:
        print_json({"network": network, "conditions": asked.model_dump(), **profiled.model_dump()})
    else:
        show(console(stderr=False), found.title, asked, profiled, depth)
        for why in pretended(here, where):
            say(console(stderr=False), f"Beware: {why}.")
