"""The checkpoint format's version, and what files of older versions become.

A file says its version in its first lines. A version that a release has written never changes: any
change to what is in the document, to the names, types or meaning of arrays, or to the layout of the
file raises `FORMAT`, and comes with a step

    def migrate_2_to_3(document: dict[str, Any], arrays: dict[str, Array]) -> None:
        '''Add the key that version 3 has and version 2 does not.'''
        document["new"] = ...

that changes both in place, listed in `STEPS`, and a file of the new version in `tests/golden`.
A step works on plain data and calls nothing of the rest of nnreg, which will go on changing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from nnreg._types import Array

Step: TypeAlias = Callable[[dict[str, Any], dict[str, Array]], None]

FORMAT = 2
"""The version that is written. Until the first release, what is added to it is optional instead."""


def migrate_1_to_2(document: dict[str, Any], arrays: dict[str, Array]) -> None:
    """Remove the key `random`: it repeated the spec's seed and the epoch, and nothing read it."""
    del document["random"]


STEPS: Mapping[int, Step] = {1: migrate_1_to_2}
"""For each older version the step to the next one."""


def migrate(version: int, document: dict[str, Any], arrays: dict[str, Array]) -> None:
    """Turn the content of a file of an older version into that of `FORMAT`, in place.

    Raises KeyError, TypeError or ValueError where the content is not of that version.
    """
    for step in range(version, FORMAT):
        STEPS[step](document, arrays)
