"""Sphinx configuration."""

import sys
from pathlib import Path

from gapbench import __version__

sys.path.insert(0, str(Path(__file__).parent))

project = "gapbench"
author = "The gapbench authors"
copyright = "2026, the gapbench authors"  # noqa: A001 - Sphinx's own name
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "component_pages"]
html_theme = "furo"
html_title = "gapbench"
exclude_patterns = ["_build"]
default_role = "py:obj"  # `name` in a docstring: linked where it is known, code elsewhere
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_type_aliases = {"Float32": "Float32", "Float64": "Float64", "Int64": "Int64", "Bools": "Bools"}
napoleon_google_docstring = False
