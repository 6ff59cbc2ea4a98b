"""The pages lead somewhere, fit together, and tell what the program knows of itself."""

import importlib.util
import re
import shlex
import tomllib
from fnmatch import fnmatch
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import pytest
from paging import PAGES, ROOT, blocks, lines

DOCS = ROOT / "docs"
# What a reader types beside `bench`, and what keeps that from failing unseen.
PROGRAMS = {
    "make": "its targets are looked up below",
    "git": "clones from the placeholder of an address",
    "cd": "goes to what was cloned",
    "pip": "installs; the nightly tests install the wheel",
    "python3": "makes an environment",
    ".venv/bin/pip": "installs; the nightly tests install the wheel",
    "source": "enters the environment",
    "tensorboard": "serves until it is stopped",
    "srun": "needs a Slurm; the nightly tests start one, and copies of bench in it",
}


@pytest.fixture(scope="module")
def generated() -> ModuleType:
    """The extension that fills in pages; it needs no Sphinx."""
    spec = importlib.util.spec_from_file_location("generated", DOCS / "generated.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub and the site give the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 100


def test_every_line_for_a_shell_calls_a_program_that_is_known_here():
    assert {line.words[0] for line in lines()} - {"bench", *PROGRAMS} == set()


def test_every_target_of_make_on_the_pages_is_in_the_makefile():
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"^make ([\w-]+)", text, re.MULTILINE)) | set(re.findall(r"`make ([\w-]+)`", text))
    assert named
    assert named - set(targets) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings_that_are_there(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if "://" in path:
            continue
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def test_every_page_is_in_the_contents_of_the_site():
    trees = blocks(DOCS / "index.md", "{toctree}")
    listed = [line for tree in trees for line in tree.splitlines() if line and not line.startswith(":")]
    pages = {page.stem for page in (*DOCS.glob("*.md"), *DOCS.glob("*.ipynb"))} - {"index"}
    assert {page for page in pages if sum(fnmatch(page, name) for name in listed) != 1} == set()
    assert [name for name in listed if "*" not in name and name not in pages] == []


def test_the_readmes_network_is_that_of_the_docs_and_works():
    code = blocks(ROOT / "README.md", "python")[0]
    assert code == blocks(DOCS / "networks.md", "python")[0]
    import torch

    made: dict = {}
    exec(code, made)
    assert made["TinyNet"](3, 2, width=8).eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 2, 32, 32)


def test_the_claim_that_the_docs_show_is_read(tmp_path):
    from bench.judge.claims_file import read_claims

    (tmp_path / "claims.toml").write_text(blocks(DOCS / "claims.md", "toml")[0])
    (claim,) = read_claims(tmp_path / "claims.toml")
    assert (claim.network, claim.times) == ("mdsa_unet", 0.25)


def test_other_blocks_of_toml_are_toml():
    assert [tomllib.loads(block) for page in PAGES for block in blocks(page, "toml")]


def test_the_page_of_commands_has_every_command_option_and_example(generated):
    from typer.main import get_command

    from bench.cli import app

    text = generated.commands()
    for name, command in generated._walk(get_command(app), "bench"):
        section = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        assert all(option in section for one in command.params for option in one.opts if option.startswith("-")), name
        assert f"```sh\n{name}" in section
    assert "A name from `bench list datasets`. \\[default: synthetic\\]" in text


def test_marks_of_markdown_in_help_are_shown_as_they_are(generated):
    assert generated.literal("a_b <c> `d_e` [f]") == r"a\_b \<c\> `d_e` \[f\]"


def test_options_stand_in_their_panels_in_the_order_of_the_command(generated):
    from typer import Option, Typer
    from typer.main import get_command

    app = Typer()

    @app.command()
    def run(
        a: int = Option(1, rich_help_panel="Data"),
        b: int = Option(2, rich_help_panel="Training"),
        c: int = Option(3, rich_help_panel="Data"),
    ) -> None:
        """Do it.

        More of it.

        Example: bench run --a 2
        """

    text = generated._command("bench run", get_command(app))
    assert re.findall(r"^\*\*(.+)\*\*$|\{option\} (--\w)", text, re.MULTILINE)[:5] == [
        ("Data", ""), ("", "--a"), ("", "--c"), ("Training", ""), ("", "--b"),
    ]  # fmt: skip
    assert "Do it.\n" in text
    assert "More of it.\n" in text
    assert "```sh\nbench run --a 2\n```" in text


def test_what_python_gets_is_listed_from_the_package(generated, monkeypatch):
    import bench

    monkeypatch.setattr(bench, "__all__", ["count", "Timing", "__version__"], raising=False)
    monkeypatch.setattr(bench, "count", shlex.quote, raising=False)
    monkeypatch.setattr(bench, "Timing", Fraction, raising=False)
    text = generated.functions()
    assert "## bench.count\n\n```{eval-rst}\n.. autofunction:: shlex.quote\n" in text
    assert "## bench.Timing\n\n```{eval-rst}\n.. autoclass:: fractions.Fraction\n   :members:\n" in text
    assert "__version__" not in text
    monkeypatch.setattr(bench, "__all__", [], raising=False)
    assert generated.functions() == ""


def test_docstrings_keep_their_lists_and_code(generated):
    text = 'What `a_` *does*.\n\nOne of\n\n"x"   a line\n      more\n"y"   one\n\n    run(1)\n\n>>> 2 * 1\n2'
    assert generated.docstring(text) == (
        'What ``a_`` \\*does\\*.\n\nOne of\n\n``"x"``\n    a line more\n``"y"``\n    one\n\n'
        "::\n\n    run(1)\n\n>>> 2 * 1\n2\n"
    )


def test_links_to_the_repository_become_pages_or_addresses(generated):
    source = ["[a](../SECURITY.md) [b](../results/reference) [c](../reports/reference/report.md#claims) ![d](../e.svg)"]
    generated.read(None, "page", source)
    address = "https://github.com/OWNER/REPOSITORY"
    assert source[0] == (
        f"[a](security.md) [b]({address}/tree/main/results/reference) "
        f"[c]({address}/blob/main/reports/reference/report.md#claims) ![d](../e.svg)"
    )
