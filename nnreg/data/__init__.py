"""From raw rows to arrays: the data section of a spec, splits, preprocessing and weights."""

from __future__ import annotations
