"""Finds a network by name: in the table, in a library, in a file or in an installed package."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from bench.errors import UserError, unknown
from bench.networks.code import place_of
from bench.networks.foreign import ForeignNetwork, from_file, from_package, plug_ins
from bench.networks.imported import kept_code
from bench.networks.names import PRETRAINED, WEIGHTS, Name, parse
from bench.networks.smp import PREFIX, from_spec
from bench.networks.table import NETWORKS, Network

FORMS = "smp:Unet/resnet34, path/to/file.py:Name, package.module:Name"


def find_network(text: str) -> Network:
    """Return the network of a name. Raises UserError, with the nearest name, or with the fault of a file or spec."""
    name = parse(text)
    if name.base in NETWORKS:
        if name.arguments:
            given = ", ".join(f"{key}={value}" for key, value in sorted(name.arguments.items()))
            as_published = f"'{name.base}' is built as in its paper and takes no arguments"
            raise UserError(f"{as_published}, got {given}; leave them out")
        return NETWORKS[name.base]
    if name.base.startswith(PREFIX):
        return from_spec(name)
    if _is_file(name.base):
        return from_file(name)
    if ":" in name.base or name.base in plug_ins():
        return from_package(name, plug_ins().get(name.base, name.base))
    raise UserError(f"{unknown('network', name.base, [*NETWORKS, *plug_ins()])}; or a network from elsewhere: {FORMS}")


def network_on_record(text: str) -> Network | None:
    """The network that a record names, for what its code is: nothing that the record names is opened or run.

    None for a name that nothing has, and for one outside this repository whose code nobody asked for since it was last
    edited. Never raises, for anybody may have written the record.
    """
    try:
        name = parse(text)
        if name.base in NETWORKS:
            return None if name.arguments else NETWORKS[name.base]
        if name.base.startswith(PREFIX):
            return from_spec(name)
        path, _, attribute = name.base.rpartition(":")
        file = Path(path) if path.endswith(".py") else place_of(plug_ins().get(name.base, name.base).partition(":")[0])
        code = kept_code(str(name), file)
    except (UserError, ImportError, ValueError, OSError, RuntimeError):  # a loop of links, a name no file can have
        return None
    if code is None:
        return None
    return ForeignNetwork(
        str(name), attribute or name.base, builder=_never, arguments={}, file=str(file), code=lambda: code,
        is_strange=True,
    )  # fmt: skip


def _never() -> Callable[..., Any]:
    raise UserError("what a record names is not run")


def title_of(name: str) -> str:
    """A network's name as in its paper, else as it was typed, without the folders of a file.

    Never raises, because the file of a stored record may no longer exist.

    >>> title_of("swin_unet"), title_of("nets/mine.py:Net?width=8"), title_of("smp:FPN/resnet18?pretrained=true")
    ('Swin-UNet', 'mine.py:Net (width=8)', 'FPN/resnet18 (pre-trained)')
    """
    if name in NETWORKS:
        return NETWORKS[name].title
    base, _, rest = name.partition("?")
    short = base.rpartition("/")[2] if _is_file(base) else base.removeprefix(PREFIX)
    shown = ["pre-trained"] if is_pretrained(name) else []
    shown += [pair for pair in rest.split("&") if pair and not pair.startswith((f"{PRETRAINED}=", f"{WEIGHTS}="))]
    return f"{short} ({', '.join(shown)})" if shown else short


def titles(names: Iterable[str]) -> dict[str, str]:
    """The titles of several networks by their names, no two of them alike.

    Files of one name have before it the shortest part of their paths that tells them apart.

    >>> list(titles(["unet", "a/mine.py:Net", "b/mine.py:Net?width=8", "b/mine.py:Net"]).values())
    ['U-Net', 'a/mine.py:Net', 'mine.py:Net (width=8)', 'b/mine.py:Net']
    """
    found = {name: title_of(name) for name in names}
    alike: dict[str, list[str]] = {}
    for name, title in found.items():
        alike.setdefault(title, []).append(name)
    for title, some in alike.items():
        if len(some) > 1:
            found |= _told_apart(title, some)
    return found


def _told_apart(title: str, names: Sequence[str]) -> dict[str, str]:
    """Titles for networks that share one: with folders of their files, else their names as they were typed."""
    paths = {name: name.partition("?")[0].split("/") for name in names}
    for parts in range(2, 1 + max(map(len, paths.values()))):
        told = {n: "/".join(path[-parts:]) + title.removeprefix(path[-1]) for n, path in paths.items()}
        if all(map(_is_file, names)) and len({*told.values()}) == len(names):
            return told
    return {name: name for name in names}


@cache  # a report asks it tens of thousands of times
def is_pretrained(name: str) -> bool:
    """Whether a network starts from pre-trained weights. It is then compared only with others that do."""
    try:
        return parse(name).pretrained
    except UserError:
        return False  # not a name of this program


def with_arguments(name: str, arguments: Mapping[str, str], pretrained: bool = False) -> str:
    """The canonical name with more arguments. Existing arguments are kept.

    Networks of the table take no arguments and are returned unchanged.
    """
    parsed = parse(name)
    if parsed.base in NETWORKS:
        return str(parsed)
    more = {**arguments, **({PRETRAINED: "true"} if pretrained else {})}
    return str(Name(parsed.base, {**more, **parsed.arguments}))


def _is_file(base: str) -> bool:
    return base.endswith(".py") or ".py:" in base
