"""Overrides of values of a spec, as `--set` and programs give them, and the paths of values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from nnreg.errors import Override, UsageError

Overrides: TypeAlias = Iterable[str] | Mapping[str, Any]
"""Values such as `train.epochs=5`, one of them as text, or a mapping as `{"train.epochs": 5}`."""


def as_tuple(overrides: Overrides) -> tuple[str, ...]:
    """Return overrides in the form of `--set`, whose values are JSON.

    Raises `UsageError` for a value that JSON cannot have, and for what is not an override.
    """
    if isinstance(overrides, Mapping):
        return tuple(_as_text(path, value) for path, value in overrides.items())
    if isinstance(overrides, str):
        return (overrides,)
    given = tuple(overrides) if isinstance(overrides, Iterable) else (overrides,)
    for one in given:
        if not isinstance(one, str):
            raise UsageError(f"overrides: {one!r} is not a text such as 'train.epochs=5'")
    return given


def _as_text(path: Any, value: Any) -> str:
    if not isinstance(path, str) or "=" in path:
        raise UsageError(f"overrides: {path!r} is not a path; give one such as 'train.epochs'")
    try:
        return f"{path}={json.dumps(value, allow_nan=False)}"
    except (TypeError, ValueError, RecursionError) as error:
        override = Override(f"{path}={value!r}")
        raise UsageError(f"{override}: not expressible as JSON: {error}") from error


def set_options(overrides: Iterable[str]) -> list[str]:
    """Return the command line options of these overrides."""
    return [argument for override in overrides for argument in ("--set", override)]


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of a JSON tree with their paths, as in `model.layers.0.units`."""
    if not isinstance(tree, dict | list):
        yield path, tree
        return
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield from leaves(value, f"{path}.{key}" if path else str(key))
