"""The checkpoint format's version, and what files of older versions become.

A file says its version in its first lines. A version that a release has written never changes: any
change to what is in the document, to the names, types or meaning of arrays, or to the layout of the
file raises `FORMAT`, and comes with a step

    def migrate_3_to_4(document: dict[str, Any], arrays: dict[str, Array]) -> None:
        '''Add the key that version 4 has and version 3 does not.'''
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

FORMAT = 3
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


def migrate_2_to_3(document: dict[str, Any], arrays: dict[str, Array]) -> None:
    """Multiply Adam's m and v by 1 - beta1 and 1 - beta2, by which they were divided."""
    options = _get(document.get("spec"), "optimizer")
    if isinstance(options, str):
        options = {"type": options}
    name = _get(options, "type")
    if name not in ("adam", "adamw") or not _built_in(document.get("components"), name):
        return
    for state, option, default in (("m", "beta1", 0.9), ("v", "beta2", 0.999)):
        beta, key = options.get(option, default), f"optimizer/{state}"
        floats = key in arrays and arrays[key].dtype.kind == "f"
        if floats and isinstance(beta, (int, float)) and 0 <= beta < 1:
            arrays[key] = arrays[key] * (1 - beta)


def _built_in(components: Any, optimizer: str) -> bool:
    """Return True if these records have nnreg's own optimizer of this name, not a plugin's."""
    records = components if isinstance(components, list) else []
    own = {"kind": "optimizer", "name": optimizer, "distribution": "nnreg"}
    return any(all(_get(one, key) == value for key, value in own.items()) for one in records)


STEPS: Mapping[int, Step] = {1: migrate_1_to_2, 2: migrate_2_to_3}
"""For each older version the step to the next one."""


def migrate(version: int, document: dict[str, Any], arrays: dict[str, Array]) -> None:
    """Turn the content of a file of an older version into that of `FORMAT`, in place.

    Raises `FormatError` where the content is not of that version.
    """
    for step in range(version, FORMAT):
        STEPS[step](document, arrays)
