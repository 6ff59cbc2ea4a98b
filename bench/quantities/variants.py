"""The ways a network is deployed, by name: each changes some conditions of a latency, and `+` joins several.

Two that change the same condition exclude each other, but for the form: what is folded can be compiled, say, too.
"""

from functools import cache

from bench.errors import UserError, unknown
from bench.quantities import LatencySpec

PLAIN, FOLDED = "eager", "folded"
VARIANTS: dict[str, dict[str, str]] = {
    "eager": {},
    "channels_last": {"memory_format": "channels_last"},
    "folded": {"form": "folded"},
    "bfloat16": {"precision": "bfloat16"},
    "float16": {"precision": "float16"},
    "compiled": {"form": "compiled"},
    "cuda_graph": {"form": "cuda_graph"},
    "onnx": {"form": "onnx"},
}


def conditions(name: str) -> dict[str, str]:
    """What a variant changes: "folded+bfloat16" is both. UserError for a name that is unknown, or two that exclude.

    >>> conditions("compiled+folded+channels_last")
    {'form': 'folded+compiled', 'memory_format': 'channels_last'}
    """
    found: dict[str, str] = {}
    for part in dict.fromkeys(name.split("+")):
        if part not in VARIANTS:
            raise unknown("variant", part, VARIANTS)
        for field, value in VARIANTS[part].items():
            before = found.setdefault(field, value)
            if before == value:
                continue
            if FOLDED not in (before, value):
                raise UserError(
                    f"variant '{name}' asks for both {before} and {value}, which exclude each other; give one"
                )
            found[field] = f"{FOLDED}+{value if before == FOLDED else before}"
    return found


def ordered(name: str) -> str:
    """The same variant as `name_of` says it: each part once, in the order of the table. UserError as `conditions`."""
    conditions(name)
    given = name.split("+")
    return "+".join(part for part, changes in VARIANTS.items() if changes and part in given) or PLAIN


def name_of(spec: LatencySpec) -> str:
    """The variant that a latency was measured in, its parts in the order of the table."""
    return _name(spec.form, spec.precision, spec.memory_format)


@cache  # a report asks tens of thousands of times
def _name(form: str, precision: str, memory_format: str) -> str:
    given = {"form": form.split("+"), "precision": [precision], "memory_format": [memory_format]}
    parts = [name for name, new in VARIANTS.items() if any(new[field] in given[field] for field in new)]
    return "+".join(parts) or PLAIN
