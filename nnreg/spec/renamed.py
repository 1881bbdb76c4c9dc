"""Values of a spec that were renamed: the old ones are still read, with a warning."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from nnreg.errors import NnregWarning, Problem
from nnreg.spec.compose import Origins
from nnreg.spec.source_text import child

COLUMN_TYPES: Mapping[str, str] = {"words": "category"}
"""Old values in `data.columns`, and what each is now."""


def replace_renamed(tree: dict[str, Any], origins: Origins, where: str) -> None:
    """Replace old values in a spec's tree, in place, each with a warning that names the new one."""
    data = tree.get("data")
    columns = data.get("columns") if isinstance(data, dict) else None
    if not isinstance(columns, dict):
        return
    for name, old in columns.items():
        if not isinstance(old, str) or old not in COLUMN_TYPES:
            continue
        columns[name] = new = COLUMN_TYPES[old]
        path = child("$.data.columns", name)
        problem = origins.with_location(Problem(path, f'"{old}" was renamed; write "{new}"'))
        text = str(problem) if problem.location else f"{where}: {problem}"
        warnings.warn(text, NnregWarning, stacklevel=3)
