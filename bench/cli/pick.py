"""`bench pick`: which network under this budget?"""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli.app import Json, app
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.judge.pick import Candidate
    from bench.read.sections import Section

SUFFIXES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}


@app.command()
def pick(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Folders of records. [default: those in results/ that exist]")
    ] = None,
    max_latency_ms: Annotated[float | None, typer.Option(min=0, help="Of one image, in milliseconds.")] = None,
    max_params: Annotated[str, typer.Option(help="Parameters, such as 10M.")] = "",
    max_macs: Annotated[str, typer.Option(help="Multiply-adds of one image, such as 5G.")] = "",
    max_memory_mib: Annotated[float | None, typer.Option(min=0, help="Peak of one forward pass, in MiB.")] = None,
    min_dice: Annotated[float | None, typer.Option(min=0, max=1, help="0 to 1.")] = None,
    dataset: Annotated[str, typer.Option(help="Whose Dice. [default: the only one]")] = "",
    device: Annotated[str, typer.Option(help="Where it is to run: cpu or cuda. [default: any]")] = "",
    as_json: Json = False,
) -> None:
    """Tell which network to use under a budget, and why, from stored records.

    Exit code 1 where none fits.

    Example: bench pick --max-latency-ms 100 --max-params 10M --dataset isic2017
    """
    from bench.judge.pick import choose_section
    from bench.judge.pick import pick as picked
    from bench.machine import environment
    from bench.read.sections import sections

    bounds = {
        "latency": None if max_latency_ms is None else max_latency_ms / 1e3,
        "parameters": _amount("--max-params", max_params),
        "multiply-adds": _amount("--max-macs", max_macs),
        "memory": None if max_memory_mib is None else max_memory_mib * 2**20,
        "dice": min_dice,
    }
    given = {name: bound for name, bound in bounds.items() if bound is not None}
    if device not in ("", "cpu", "cuda"):
        raise UserError(f"--device takes cpu or cuda, got '{device}'")
    section = choose_section(sections(_records(folders or [])), dataset, device, environment().fingerprint)
    candidates = picked(section, given)
    if as_json:
        typer.echo(json.dumps([_facts(candidate) for candidate in candidates], indent=1, allow_nan=False))
    else:
        typer.echo(_told(section, candidates))
    if not candidates[0].fits:
        raise typer.Exit(1)


def _records(folders: list[Path]) -> list[Any]:
    from bench.run.store import load, record_folders

    loaded = load(folders or record_folders(Path("results")))
    for problem in loaded.problems:
        typer.echo(f"left out: {problem}", err=True)
    if not loaded.records:
        where = ", ".join(map(str, folders)) or "results"
        raise UserError(f"no records in {where}; make some with `bench run --all`, or name another folder")
    return loaded.records


def _amount(option: str, text: str) -> float | None:
    """ "10M" is 10 million."""
    if not text:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kMG]?)", text.strip())
    if not found:
        raise UserError(f"{option} takes a number, with k, M or G if you like, such as 10M; got '{text}'")
    return float(found[1]) * SUFFIXES[found[2]]


def _told(section: "Section", candidates: "list[Candidate]") -> str:
    """The choice in a sentence, then a line a network."""
    from bench.report.sentences import candidate_line, pick_reason

    lines = [f"{'✓' if candidate.fits else '✗'} {candidate_line(candidate)}" for candidate in candidates]
    return "\n".join([pick_reason(section, candidates), "", *lines])


def _facts(candidate: "Candidate") -> dict[str, Any]:
    from bench.judge.pick import LIMITS, number

    return {
        "network": candidate.row.network, "fits": candidate.fits,
        **{limit.name: number(limit.value(candidate.row)) for limit in LIMITS.values()},
        "breaks": [{"limit": b.limit.name, "bound": b.bound, "value": b.value} for b in candidate.broken],
        "rivals": [row.network for row in candidate.rivals],
        "records": [record.id for record in candidate.row.records],
    }  # fmt: skip
