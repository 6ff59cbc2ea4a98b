"""The ways a network is deployed, by name: each changes some conditions of a latency, and `+` joins several."""

from functools import cache

from bench.errors import UserError, unknown
from bench.quantities import LatencySpec

PLAIN = "eager"
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

    >>> conditions("folded+channels_last")
    {'form': 'folded', 'memory_format': 'channels_last'}
    """
    found: dict[str, str] = {}
    for part in name.split("+"):
        if part not in VARIANTS:
            raise unknown("variant", part, VARIANTS)
        clash = next((found[field] for field in VARIANTS[part] if field in found), None)
        if clash:
            raise UserError(f"variant '{name}' asks for both {clash} and {part}, which exclude each other; give one")
        found |= VARIANTS[part]
    return found


def name_of(spec: LatencySpec) -> str:
    """The variant that a latency was measured in, its parts in the order of the table."""
    return _name(spec.form, spec.precision, spec.memory_format)


@cache  # a report asks tens of thousands of times
def _name(form: str, precision: str, memory_format: str) -> str:
    spec = {"form": form, "precision": precision, "memory_format": memory_format}
    return "+".join(name for name, changes in VARIANTS.items() if changes and changes.items() <= spec.items()) or PLAIN
