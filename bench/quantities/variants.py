"""The deployment variants. Each changes some conditions of a latency; several are combined with `+`.

Two variants that change the same condition exclude each other. Folding is the exception: a folded network can also be
compiled, captured as a CUDA graph or exported.
"""

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from bench.errors import UserError, look_up

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
# The forms a network can be converted to (one module each in bench.measure.forms), alone or after folding.
_MADE = tuple(changes["form"] for name, changes in VARIANTS.items() if "form" in changes and name != FOLDED)
FORMS = (PLAIN, FOLDED, *_MADE, *(f"{FOLDED}+{form}" for form in _MADE))

# The distributions that may run a form, the first that is installed does; torch runs all other forms.
RUNTIMES = {"onnx": ("onnxruntime-gpu", "onnxruntime")}


def conditions(name: str) -> dict[str, str]:
    """The conditions that a variant changes. Raises UserError if a name is unknown or two names exclude each other.

    >>> conditions("compiled+folded+channels_last")
    {'form': 'folded+compiled', 'memory_format': 'channels_last'}
    """
    found: dict[str, str] = {}
    for part in dict.fromkeys(name.split("+")):
        for field, value in look_up("variant", part, VARIANTS).items():
            before = found.setdefault(field, value)
            if FOLDED in (before, value) and before != value:
                found[field] = f"{FOLDED}+{value if before == FOLDED else before}"
            elif before != value:
                excluded = f"{before} and {value}, which exclude each other"
                raise UserError(f"variant '{name}' asks for both {excluded}; give one")
    return found


def made_so(name: str) -> dict[str, str]:
    """The conditions that a variant changes here: also the `runtime`, so that another version is measured anew."""
    changed = conditions(name)
    used = [runtime for part in changed.get("form", PLAIN).split("+") if (runtime := _runtime(part))]
    return {**changed, "runtime": used[0]} if used else changed


def _runtime(part: str) -> str:
    """The name and version of what runs a form: "onnxruntime 1.27.0"; empty for torch, and if it is not installed."""
    for distribution in RUNTIMES.get(part, ()):
        try:
            return f"{distribution} {version(distribution)}"
        except PackageNotFoundError:
            continue
    return ""


def ordered(name: str) -> str:
    """The canonical name of a variant: each part once, in the order of the table. Raises the errors of `conditions`."""
    conditions(name)
    given = name.split("+")
    return "+".join(part for part, changes in VARIANTS.items() if changes and part in given) or PLAIN


def name_of(spec: Any) -> str:
    """The canonical name of the variant that these conditions describe; `eager` if they change nothing."""
    return _name(*(getattr(spec, name, plain) for name, plain in _PLAIN.items()))


_PLAIN = {"form": PLAIN, "precision": "float32", "memory_format": "contiguous"}


@cache  # a report calls this tens of thousands of times
def _name(form: str, precision: str, memory_format: str) -> str:
    given = {"form": form.split("+"), "precision": [precision], "memory_format": [memory_format]}
    parts = [name for name, new in VARIANTS.items() if any(new[field] in given[field] for field in new)]
    return "+".join(parts) or PLAIN
