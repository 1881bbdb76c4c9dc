"""Types that every package uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Shape: TypeAlias = tuple[int, ...]
Shapes: TypeAlias = Shape | Mapping[str, Shape]
"""The shape of one value, or those of several by name."""
