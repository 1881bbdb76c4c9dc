"""The checkpoint format's version, and what files of older versions become.

A file says its version in its first lines. A version that a release has written never changes: any
change to what is in the document, to the names, types or meaning of arrays, or to the layout of the
file raises `FORMAT`, and comes with a step

    def migrate_2_to_3(document: dict[str, Any], arrays: dict[str, Array]) -> None:
        '''Add the key that version 3 has and version 2 does not.'''
        document["new"] = ...

that changes both in place, listed in `STEPS`, and a directory of the new version in
`tests/checkpoint/golden`. A step raises `FormatError` for content that it cannot take, which may be
anything: only the file's digest was checked. A step works on plain data and calls nothing else of
nnreg, which will change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from nnreg._types import Array
from nnreg.errors import FormatError

Step: TypeAlias = Callable[[dict[str, Any], dict[str, Array]], None]

FORMAT = 2
"""The version that is written. Until the first release, what is added to it is optional instead."""


def migrate_1_to_2(document: dict[str, Any], arrays: dict[str, Array]) -> None:
    """Remove the key `random`, rename `folder` and the column type "words".

    `random` repeated the spec's seed and the epoch, and nothing read it. `folder` is now
    `directory`, and "words" is "category", in the spec's `data.columns` and in `preprocessing`.
    """
    for key in ("random", "folder"):
        if document.get(key) is None:
            raise FormatError(f"its document lacks {key!r}, which version 1 has")
    del document["random"]
    document["directory"] = document.pop("folder")
    columns = _get(_get(_get(document, "spec"), "data"), "columns")
    if isinstance(columns, dict):
        _rename_column_type(columns, *columns)
    inputs = _get(_get(document, "preprocessing"), "inputs")
    for column in inputs if isinstance(inputs, list) else ():
        _rename_column_type(column, "type")


def _get(tree: Any, key: str) -> Any:
    """Return the value of a key; None for what is not an object or lacks the key."""
    return tree.get(key) if isinstance(tree, dict) else None


def _rename_column_type(tree: Any, *keys: str) -> None:
    for key in keys:
        if _get(tree, key) == "words":
            tree[key] = "category"


STEPS: Mapping[int, Step] = {1: migrate_1_to_2}
"""For each older version the step to the next one."""


def migrate(version: int, document: dict[str, Any], arrays: dict[str, Array]) -> None:
    """Turn the content of a file of an older version into that of `FORMAT`, in place.

    Raises `FormatError` where the content is not of that version.
    """
    for step in range(version, FORMAT):
        STEPS[step](document, arrays)
