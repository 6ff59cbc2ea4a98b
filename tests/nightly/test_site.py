"""The site of docs/: it builds without a warning, can be searched, and needs nothing of the web to be read."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent.parent / "docs"
NEEDED = ("sphinx", "myst_nb", "furo")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not all(map(find_spec, NEEDED)), reason="Sphinx is not installed; `make docs` installs it"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built as `make docs` builds it, in a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    options = ["--builder", "html", "--fail-on-warning", "--keep-going", "--quiet"]
    command = [sys.executable, "-m", "sphinx", *options, "--doctree-dir", folder / "trees", DOCS, folder / "html"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=DOCS.parent)
    assert done.returncode == 0, done.stderr[-5000:]
    return folder / "html"


def test_every_page_is_there_and_can_be_searched(site):
    pages = {page.stem for page in DOCS.glob("*.md")}
    assert pages <= {page.stem for page in site.glob("*.html")}
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    assert all(f'"{page}"' in index for page in pages)


def test_pages_fetch_nothing_from_the_web(site):
    text = "\n".join(page.read_text(encoding="utf-8") for page in site.glob("*.html") if page.stem != "report")
    fetched = re.findall(
        r'<(?:script|img|iframe)[^>]*src="(https?:[^"]*)"|<link[^>]*rel="(?:stylesheet|preload)"[^>]*https?:', text
    )
    assert fetched == []


def test_the_commands_and_the_report_are_on_the_site(site):
    commands = (site / "commands.html").read_text(encoding="utf-8")
    assert 'id="cmdoption-bench-run-budget"' in commands
    assert "<!-- commands -->" not in commands
    report = DOCS.parent / "reports" / "reference" / "report.html"
    assert (site / "report.html").read_bytes() == report.read_bytes()
    assert 'href="report.html"' in (site / "results.html").read_text(encoding="utf-8")
