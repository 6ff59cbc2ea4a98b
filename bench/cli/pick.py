"""`bench pick`: which network under this budget?"""

import re
from typing import Annotated

from typer import Exit, Option, echo

from bench.cli.options import Folders, Json, command, print_json, records_of
from bench.errors import UserError

SUFFIXES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}


@command()
def pick(
    folders: Folders = None,
    max_latency_ms: Annotated[float | None, Option(min=0, help="Of one image, in milliseconds.")] = None,
    max_params: Annotated[str, Option(help="Parameters, such as 10M.")] = "",
    max_macs: Annotated[str, Option(help="Multiply-adds of one image, such as 5G.")] = "",
    max_memory_mib: Annotated[float | None, Option(min=0, help="Peak of one forward pass, in MiB.")] = None,
    min_dice: Annotated[float | None, Option(min=0, max=1, help="0 to 1.")] = None,
    dataset: Annotated[str, Option(help="Whose Dice. [default: the only one]")] = "",
    device: Annotated[str, Option(help="Where it is to run: cpu or cuda. [default: any]")] = "",
    as_json: Json = False,
) -> None:
    """Tell which network to use under a budget, and why, from stored records.

    Exit code 1 where none fits.

    Example: bench pick --max-latency-ms 100 --max-params 10M --dataset isic2017
    """
    from bench.judge import pick as picking
    from bench.machine import this_machine
    from bench.read.sections import sections
    from bench.report.sentences import candidate_line, pick_reason

    bounds = {
        "latency": max_latency_ms and max_latency_ms / 1e3, "parameters": _amount("--max-params", max_params),
        "multiply-adds": _amount("--max-macs", max_macs), "memory": max_memory_mib and max_memory_mib * 2**20,
        "dice": min_dice,
    }  # fmt: skip
    if device not in ("", "cpu", "cuda"):
        raise UserError(f"--device takes cpu or cuda, got '{device}'")
    records = records_of(folders or [])
    section = picking.choose_section(sections(records), dataset, device, this_machine().fingerprint)
    candidates = picking.pick(section, {name: bound for name, bound in bounds.items() if bound is not None})
    if as_json:
        limits = picking.LIMITS.values()
        print_json([{
            "network": one.row.network, "fits": one.fits,
            **{limit.name: limit.value(one.row) for limit in limits},
            "breaks": [{"limit": b.limit.name, "bound": b.bound, "value": b.value} for b in one.broken],
            "rivals": [row.network for row in one.rivals], "records": [record.id for record in one.row.records],
        } for one in candidates])  # fmt: skip
    else:
        lines = [f"{'✓' if candidate.fits else '✗'} {candidate_line(candidate)}" for candidate in candidates]
        echo("\n".join([pick_reason(section, candidates), "", *lines]))
    if not candidates[0].fits:
        raise Exit(1)


def _amount(option: str, text: str) -> float | None:
    """ "10M" is 10 million."""
    if not text:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kMG]?)", text.strip())
    if not found:
        raise UserError(f"{option} takes a number, with k, M or G if you like, such as 10M; got '{text}'")
    return float(found[1]) * SUFFIXES[found[2]]
