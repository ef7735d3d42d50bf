"""How the documentation is built: `python -m sphinx -W docs docs/_build/html`."""

from __future__ import annotations

import os
import re
import shutil
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent

project = "Recon3D"
author = "The Recon3D developers"
copyright = "2026, The Recon3D developers"
version = release = re.search(
    r'__version__ = "(.+)"', (ROOT / "recon3d/__init__.py").read_text("utf-8")
)[1]

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx.ext.mathjax",
]
exclude_patterns = ["_build", "images"]
nitpicky = False
autosummary_generate = True
autodoc_typehints = "signature"
numpydoc_show_class_members = False
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["mystnb.unknown_mime_type"]

nb_execution_mode = os.environ.get("RECON3D_DOCS_NOTEBOOKS", "cache")
"""`off` leaves the notebooks as they are, for a quick look at the pages."""
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_execution_cache_path = str(HERE / "_build" / "notebooks")

html_theme = "pydata_sphinx_theme"
html_title = "Recon3D"
html_theme_options = {
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
}

# Only the notebooks and the API have pages below them: elsewhere the sidebar would be empty.
html_sidebars = {page.stem: [] for page in HERE.glob("*.md") if page.stem not in ("api", "walk")}


def list_names(package: str) -> str:
    """A table of a package's public names, for autosummary."""
    names = [name for name in import_module(package).__all__ if not name.startswith("__")]
    rows = "\n".join(f"   {name}" for name in names)
    head = f".. currentmodule:: {package}\n\n.. autosummary::\n"
    head += "   :toctree: _api\n   :nosignatures:\n\n"
    return f"## {package}\n\n```{{eval-rst}}\n{head}{rows}\n```\n"


# What is public stands in the packages themselves.
PUBLIC = ("recon3d", "recon3d.analysis", "recon3d.plot", "recon3d.simulate", "recon3d.widgets")
(HERE / "api.md").write_text(
    "# API reference\n\nNames are loaded when they are first used: `import recon3d as r3`.\n\n"
    + "\n".join(
        list_names(package) for package in PUBLIC if hasattr(import_module(package), "__all__")
    ),
    "utf-8",
)

# The notebooks stand at the top of the repository, for people; here they are pages.
lessons = HERE / "notebooks"
lessons.mkdir(exist_ok=True)
for notebook in (ROOT / "notebooks").glob("*.ipynb"):
    shutil.copy2(notebook, lessons)
