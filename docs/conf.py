"""Configuration of Sphinx: `sphinx-build -W --keep-going -n docs docs/_build`."""

import logging
import sys
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

from nnreg import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))  # the extensions below

logging.getLogger("nnreg").setLevel(logging.WARNING)  # another library logs everything to stderr

project = "nnreg"
version = release = __version__
project_copyright = "the nnreg authors"

extensions = ["myst_parser", "mathml", "reference", "commands", "api", "gallery", "terms"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["attrs_block", "dollarmath"]
myst_heading_anchors = 4

smartquotes = False

html_theme = "furo"
html_title = f"nnreg {version}"
html_static_path = ["_static"]
html_css_files = ["nnreg.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sphinx = False


def setup(app: Sphinx) -> None:
    """Register a lexer for CSV, which Pygments does not have."""
    app.add_lexer("csv", TextLexer)
