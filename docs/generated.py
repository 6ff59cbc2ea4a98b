"""A Sphinx extension that writes what the program knows of itself: its commands, and its functions for Python.

A page holds a comment, `<!-- commands -->` or `<!-- functions -->`, in the place of which the text is put while Sphinx
reads the page. Links to files of the repository, `../FILE`, become pages of the site or addresses of the repository.
"""

import inspect
import re
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

import bench

ROOT = Path(__file__).parent.parent
# Files of the repository that are pages of the site too.
PAGES = {"SECURITY.md": "security.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
LINK = re.compile(r"(?<!!)(\[[^\]]*\])\(\.\./([^)#]+)(#[^)]*)?\)")  # of a picture it begins with !
EXAMPLES = re.compile(r"\n\s*Examples?:\s*\n?")
STARS = re.compile(r"([*|\\]|(?<=\w)_(?=\W|$))")  # what starts or ends something in reStructuredText
ITEM = re.compile(r"(\S+) {2,}(\S.*)")  # a name, and in a column beside it what it is
MARKS = re.compile(r"([\\*_\[\]<>|#$])")


def commands() -> str:
    """Every command: how it is called, its help, its examples, and its arguments and options by panel."""
    from typer.main import get_command

    from bench.cli import app

    found = dict(_walk(get_command(app), "bench"))
    lines = [f"- [`{name}`](#{name.replace(' ', '-')}): {literal(_parts(one.help)[0])}" for name, one in found.items()]
    return "\n".join([*lines, "", *(_command(name, one) for name, one in found.items())])


def _walk(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The commands of a group and of the groups in it, by what is typed."""
    for name, one in group.commands.items():
        if getattr(one, "hidden", False):
            continue
        yield from _walk(one, f"{path} {name}") if hasattr(one, "commands") else [(f"{path} {name}", one)]


def _parts(text: str | None) -> tuple[str, str, list[str]]:
    """A command's help as its first sentence, the rest, and its examples."""
    told, *examples = EXAMPLES.split(inspect.cleandoc(text or ""), maxsplit=1)
    first, _, rest = told.partition("\n\n")
    lines = [line.strip() for line in "\n".join(examples).splitlines()]
    return " ".join(first.split()), rest.strip(), [line for line in lines if line]


def _command(name: str, command: Any) -> str:
    context = command.make_context(name, [], resilient_parsing=True)
    first, rest, examples = _parts(command.help)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    lines = [f"## {name}", "", literal(first), "", "```text", usage, "```", "", literal(rest), ""]
    if examples:
        lines += ["```sh", *examples, "```", ""]
    lines += [f"```{{program}} {name}", "```", ""]
    shown = [one for one in command.params if one.get_help_record(context)]
    for panel, options in groupby(sorted(shown, key=lambda one: _order(shown, one)), key=_panel):
        lines += [f"**{literal(panel)}**", ""]
        for one in options:
            typed, told = one.get_help_record(context)
            lines += [f":::{{option}} {typed}", literal(" ".join(told.split())), ":::", ""]
    return "\n".join(lines)


def _panel(option: Any) -> str:
    given = getattr(option, "rich_help_panel", None)
    kind = "Arguments" if option.param_type_name == "argument" else "Options"
    return given if isinstance(given, str) else kind


def _order(options: list[Any], option: Any) -> int:
    """The place of the first option of its panel: panels stand in the order in which the command has them."""
    return [_panel(one) for one in options].index(_panel(option))


def literal(text: str) -> str:
    """Text that Markdown shows as it is; what stands between backticks stays code."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else MARKS.sub(r"\\\1", part) for part in parts)


def functions() -> str:
    """What `bench` offers to Python, a heading and its docstring each; empty where it offers nothing."""
    lines = []
    for name in getattr(bench, "__all__", ()):
        value = getattr(bench, name)
        if inspect.ismodule(value) and callable(value):  # `bench.run` is a folder too
            value = getattr(import_module("bench.api"), name)
        if callable(value):
            kind, members = ("class", "   :members:\n") if inspect.isclass(value) else ("function", "")
            directive = f".. auto{kind}:: {value.__module__}.{value.__qualname__}\n{members}"
            lines += [f"## bench.{name}", "", "```{eval-rst}", directive, "```", ""]
    return "\n".join(lines)


def docstring(text: str) -> str:
    """A docstring of this program as reStructuredText.

    They are written to be read as they are: backticks are code, names in a column beside what they are become a
    list, and other columns and what is indented keep their lines.
    """
    return "\n\n".join(map(_block, re.split(r"\n[ ]*\n", text.strip("\n")))) + "\n"


def _block(text: str) -> str:
    """A paragraph of a docstring: an example, a list of names with what they are, lines that stay, or prose."""
    if text.lstrip().startswith(">>>"):
        return text
    lines = textwrap.dedent(text).splitlines()
    if all(ITEM.match(line) or line.startswith("  ") for line in lines):
        return _list(lines)
    if all(line.startswith("    ") for line in text.splitlines()) or re.search(r"\S {3,}\S", text):
        return "::\n\n" + textwrap.indent(textwrap.dedent(text), "    ")
    return _prose(text)


def _list(lines: list[str]) -> str:
    """A list of definitions from lines of a name and what it is, which may go on in the lines below it."""
    items: list[list[str]] = []
    for line in lines:
        if found := ITEM.match(line):
            items.append([found[1], found[2]])
        else:
            items[-1][1] += f" {line.strip()}"
    return "\n".join(f"``{name}``\n    {_prose(told)}" for name, told in items)


def _prose(text: str) -> str:
    parts = re.split(r"`([^`]+)`", text)  # text and code in turn
    return "".join(f"``{part}``" if at % 2 else STARS.sub(r"\\\1", part) for at, part in enumerate(parts))


MADE: dict[str, Callable[[], str]] = {"commands": commands, "functions": functions}


def link(found: re.Match[str]) -> str:
    """A link from a page to a file of the repository, as the site has it."""
    text, path, anchor = found[1], found[2], found[3] or ""
    if path in PAGES:
        return f"{text}({PAGES[path]}{anchor})"
    source = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Source"]
    return f"{text}({source}/{'tree' if (ROOT / path).is_dir() else 'blob'}/main/{path.rstrip('/')}{anchor})"


def read(_app: Any, _page: str, source: list[str]) -> None:
    """Fill in a page as Sphinx reads it."""
    for name, make in MADE.items():
        mark = f"<!-- {name} -->"
        if mark in source[0]:
            source[0] = source[0].replace(mark, make())
    source[0] = LINK.sub(link, source[0])


def read_docstring(_app: Any, _what: str, _name: str, _of: Any, _options: Any, lines: list[str]) -> None:
    """Before Napoleon takes its sections apart."""
    lines[:] = docstring("\n".join(lines)).split("\n")


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx. The commands are read anew at each build: they are not files that Sphinx could watch."""
    app.connect("source-read", read)
    app.connect("autodoc-process-docstring", read_docstring, priority=400)
    app.connect("env-get-outdated", lambda *_: ["commands", "api"])
    return {"parallel_read_safe": True}
