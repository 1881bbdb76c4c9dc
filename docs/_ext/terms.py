"""Index entries from the table "By term" of the how-to index.

The search of Sphinx lists the pages of index entries first.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

TABLE = "howto/index"
LINK = re.compile(r"\]\(([^)#]+)\.md(?:#([^)]+))?\)")


def rows(text: str) -> Iterator[tuple[list[str], list[tuple[str, str]]]]:
    """Yield the terms of each row of the table, and its links: document and anchor, or ""."""
    table = text.partition("\n## By term\n")[2].partition("\n## ")[0]
    for terms, links in re.findall(r"^\| (\w[^|]*) \| (.*) \|$", table, re.M):
        found = [(document(path), anchor) for path, anchor in LINK.findall(links)]
        yield terms.split(", "), found


def document(path: str) -> str:
    """Return the name of the document to which the table links by a relative path."""
    directory = PurePosixPath(TABLE).parent
    while path.startswith("../"):
        directory, path = directory.parent, path.removeprefix("../")
    return str(directory / path)


def add_entries(app: Sphinx, doctree: nodes.document) -> None:
    """Add the index entries of a document; for the first link of a row, they are the main ones."""
    source = app.env.doc2path(TABLE)
    app.env.note_dependency(source)
    for terms, links in rows(source.read_text(encoding="utf-8")):
        for number, (name, anchor) in enumerate(links):
            if name != app.env.docname:
                continue
            section = next(
                one
                for one in doctree.findall(nodes.section)
                if not anchor or anchor in (*one["ids"], one.get("slug"))
            )
            main = "main" if number == 0 else ""
            entries = [("single", term, section["ids"][0], main, None) for term in terms]
            doctree.insert(0, addnodes.index(entries=entries))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("doctree-read", add_entries)
    return {"parallel_read_safe": True}
