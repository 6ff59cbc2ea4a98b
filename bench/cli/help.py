"""The help of a command: its options by what they are about, in lines that break no word and no command."""

import inspect
import re
import textwrap
from typing import Any

from typer.core import TyperCommand, TyperGroup

from bench.errors import unknown

# Where each option is listed, whatever command has it. The groups stand in this order.
PANELS = {
    "Networks": "--all --group --arg --pretrained --against",
    "What to measure": "--measure --budget --size --batch --variant",
    "Data": "--dataset --test-on --data-root --classes --foreground --levels --images --masks --patient --split-file "
            "--split --fold --folds --trained-on --unit --tolerance --protocol",
    "Training": "--steps --epochs --train-batch --lr --weight-decay --warmup --loss-weights --augmentation --seeds "
                "--devices --precision --patience --weights",
    "Measuring": "--device --threads --tf32 --cudnn-benchmark --timeout --quick --repeat",
    "Claims": "--claims --only --measure-missing",
    "Limits": "--max-latency-ms --max-params --max-macs --max-memory-mib --min-dice",
    "Where it runs": "--on --gpus --detach --study --save-study",
    "Records": "--out --records --pseudonyms",
    "Output": "--reports --to --format --fail-on --count --all-classes --depth --show-plan --quiet --json --help",
}  # fmt: skip
ARGUMENTS, OTHERS = "Arguments", "Other options"
PLACES = {option: panel for panel, options in PANELS.items() for option in options.split()}
MOST = 26  # characters of an option and its type with the description beside them; longer ones have a line
GAP = 2  # between both, and before either
TOGETHER = "\N{NO-BREAK SPACE}"  # where a short bracket with a default value would be broken


class Command(TyperCommand):
    """A command whose help lists its options by `PANELS`."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        for paragraph in inspect.cleandoc(self.help or "").split("\n\n"):
            own = len(paragraph) - len(paragraph.lstrip())
            formatter.write("\n" + _filled(paragraph, formatter.width, GAP + own))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        found: dict[str, list[tuple[str, str]]] = {}
        for one in sorted(self.get_params(ctx), key=_order):
            panel = ARGUMENTS if one.param_type_name == "argument" else PLACES.get(one.opts[0], OTHERS)
            if record := one.get_help_record(ctx):
                found.setdefault(panel, []).append(record)
        names = [name for rows in found.values() for name, _ in rows if len(name) <= MOST]
        column = max(map(len, names), default=0) + 2 * GAP
        for panel in (ARGUMENTS, *PANELS, OTHERS):
            if panel in found:
                rows = (_row(name, told, column, formatter.width) for name, told in found[panel])
                formatter.write(f"\n{panel}:\n{''.join(rows)}")


class Commands(TyperGroup):
    """Commands below a name, listed by what each does. One that does not exist is told as any other unknown name."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        column = max(map(len, self.commands)) + 2 * GAP
        rows = (_row(name, _first_sentence(one.help), column, formatter.width) for name, one in self.commands.items())
        formatter.write(f"\nCommands:\n{''.join(rows)}")

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in self.commands and not (args[0].startswith("-") or ctx.resilient_parsing):
            raise unknown("command", args[0], self.commands)
        return super().resolve_command(ctx, args)


def _first_sentence(text: str | None) -> str:
    """The first sentence of a help."""
    return re.split(r"(?<=\.)\s", inspect.cleandoc(text or ""), maxsplit=1)[0]


def _order(one: Any) -> int:
    """The place of an option in `PANELS`; arguments, and options that it lacks, stay in their order before these."""
    return [*PLACES].index(one.opts[0]) if one.opts[0] in PLACES else -1


def _row(name: str, told: str, column: int, width: int) -> str:
    """An option, its type and what it does, which begins in a `column`."""
    told = re.sub(r"([\d.]+)<=x<=([\d.]+)", r"\1 to \2", re.sub(r"\bx>=([\d.]+)", r"\1 or more", told))
    beside, first = _filled(told, width, column), f"{' ' * GAP}{name}"
    return f"{first}\n{beside}" if len(first) + GAP > column else first + beside[len(first) :]


def _filled(text: str, width: int, indent: int) -> str:
    """A paragraph in lines of at most `width` characters. A line that is a command is left whole, to be copied."""
    if text.lstrip().startswith("bench "):
        return f"{' ' * indent}{text.strip()}\n"
    kept = re.sub(r"\[[^]]{,24}]", lambda short: short[0].replace(" ", TOGETHER), " ".join(text.split()))
    lines = textwrap.wrap(kept, width - indent, break_long_words=False, break_on_hyphens=False)
    return "".join(f"{' ' * indent}{line}\n" for line in lines).replace(TOGETHER, " ")
