"""A spec with every default filled in, to be run from another folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from nnreg.schema import to_json
from nnreg.spec import Document

FILES = (("data", "path"), ("data", "split", "validation"), ("data", "split", "test"))
"""Where a spec may name files, by the keys that lead there."""


def resolved(document: Document, folder: Path) -> dict[str, Any]:
    """Return the JSON of a spec that trains to the same bits when it lies in `folder`.

    Relative paths in it start there, and lead to the same files.
    """
    tree: dict[str, Any] = to_json(document.spec, document.registry)
    for *above, name in FILES:
        place: Any = tree
        for key in above:
            place = (place or {}).get(key)
        if place and isinstance(place[name], str):
            place[name] = _from(folder, document.folder / place[name])
    return tree


def _from(folder: Path, path: Path) -> str:
    """Return a path as it is written in `folder`."""
    try:
        return Path(os.path.relpath(path, folder.resolve())).as_posix()
    except ValueError:  # on another drive of Windows
        return str(path)
