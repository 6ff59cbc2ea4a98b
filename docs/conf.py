"""How Sphinx builds the documentation: `make docs`. Nothing is fetched, and no notebook is run."""

import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT)]

from bench import __version__  # noqa: E402

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = "bench"
author = PROJECT["authors"][0]["name"]
copyright = f"{author}, {PROJECT['license']}"
version = release = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "generated"]
exclude_patterns = ["_build"]
nitpicky = False  # types of torch and pandas have no page here to link to
smartquotes = False  # quotes and dashes of commands stay as they are typed
highlight_language = "text"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # a notebook is shown as it was stored; a test of the night runs it

add_module_names = False  # the headings say how each is called
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"bench {release}"
html_copy_source = False
html_show_sphinx = False
html_extra_path = ["../reports/reference/report.html", "../reports/reference/report.pdf"]
html_theme_options = {
    "source_repository": PROJECT["urls"]["Source"],
    "source_branch": "main",
    "source_directory": "docs/",
}
