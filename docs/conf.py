"""Sphinx's configuration: ``make docs`` builds the pages as a site."""

import re

from sphinx.application import Sphinx

project = "nc_sigopt_strategy"
author = "The nc_sigopt_strategy authors"
extensions = ["myst_parser"]
root_doc = "index"
html_theme = "furo"
html_title = project
# As on GitHub: links to headings, and to files beside the pages, which become downloads.
myst_heading_anchors = 3


def _add_contents(app: Sphinx, page: str, source: list[str]) -> None:
    """Make each list of the index a part of the site's contents; GitHub shows the list alone."""
    if page != root_doc:
        return
    for heading in re.split(r"^(?=\*\*)", source[0], flags=re.MULTILINE)[1:]:
        name = heading[2 : heading.index("**", 2)]
        pages = "\n".join(re.findall(r"\]\((\w+/\w+)\.md\)", heading))
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {name}\n\n{pages}\n```\n"


def setup(app: Sphinx) -> None:
    """Let the contents follow from the index."""
    app.connect("source-read", _add_contents)
