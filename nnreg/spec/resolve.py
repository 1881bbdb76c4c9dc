"""A spec with every default filled in, to be run from another directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from nnreg._utils.secret_text import START
from nnreg.spec.compose import FILE_PATHS, literal, replace_texts
from nnreg.spec.document import Document
from nnreg.spec.validation import to_json


def resolved(document: Document, directory: Path) -> dict[str, Any]:
    """Return the JSON of a spec that gives a bit-identical run from a file in `directory`.

    Relative paths in it start there, and refer to the same files. Secrets are not in it: their
    references are, and a path that begins with one is absolute.
    """

    def relocate(path: str, text: str) -> str:
        is_file = path in FILE_PATHS and not text.startswith(START)
        return literal(_relative(document.directory / text, directory) if is_file else text)

    tree: dict[str, Any] = replace_texts(to_json(document.spec, document.registry), relocate)
    return tree


def _relative(path: Path, directory: Path) -> str:
    """Return a path relative to `directory`, where possible."""
    try:
        return Path(os.path.relpath(path, directory.resolve())).as_posix()
    except ValueError:  # on another drive of Windows
        return str(path)
