"""A spec with every default filled in, to be run from another folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from nnreg.spec.compose import FILE_PATHS, literal, replace_texts
from nnreg.spec.document import Document
from nnreg.spec.validation import to_json


def resolved(document: Document, directory: Path) -> dict[str, Any]:
    """Return the JSON of a spec that trains to the same bits when it lies in `folder`.

    Relative paths in it start there, and lead to the same files.
    """

    def moved(path: str, text: str) -> str:
        return literal(_from(directory, document.directory / text) if path in FILE_PATHS else text)

    tree: dict[str, Any] = replace_texts(to_json(document.spec, document.registry), moved)
    return tree


def _from(directory: Path, path: Path) -> str:
    """Return a path as it is written in `folder`."""
    try:
        return Path(os.path.relpath(path, directory.resolve())).as_posix()
    except ValueError:  # on another drive of Windows
        return str(path)
