"""The fields of a dataclass that a JSON object has as options."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias, cast

from nnreg.errors import PluginError
from nnreg.interfaces.encoder import learned_fields

Validate: TypeAlias = Callable[[str, object], dict[str, Any]]
"""Returns the given options in a text of JSON; the `context` is what reads components. Raises
pydantic's `ValidationError`."""


def options_of(
    cls: Hashable, *, with_learned: bool = False
) -> Iterator[tuple[dataclasses.Field[Any], Any, bool]]:
    """Yield the fields of a dataclass that JSON has, their types, and whether they are required.

    Raises `PluginError` if a type cannot be found.
    """
    with annotations_of(cls):
        hints = typing.get_type_hints(cls, include_extras=True)
    learned = learned_fields(cast(Any, cls))
    for field in dataclasses.fields(cast(Any, cls)):
        if with_learned or field.name not in learned:
            missing = dataclasses.MISSING
            default = field.default is not missing or field.default_factory is not missing
            yield field, hints[field.name], bool(learned.get(field.name)) or not default


@contextmanager
def annotations_of(cls: Hashable) -> Iterator[None]:
    """Raise `PluginError` for any exception: a plugin's annotations are arbitrary expressions."""
    try:
        yield
    except Exception as error:
        first = str(error).splitlines()[0] if str(error) else ""
        raise PluginError(
            f"the options of {getattr(cls, '__qualname__', cls)} cannot be read from JSON: "
            f"{type(error).__name__}: {first}"
        ) from error
