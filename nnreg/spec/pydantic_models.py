"""pydantic's models of dataclasses: for JSON Schema, and for annotations that only plugins have."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Hashable
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from nnreg.spec.option_fields import Validate, annotations_of, options_of


@functools.cache
def model_of(cls: Hashable, *, with_learned: bool = False) -> type[BaseModel]:
    """Return the pydantic model with the fields of a dataclass; see `validators.validator`."""
    fields: dict[str, Any] = {}
    for field, hint, required in options_of(cls, with_learned=with_learned):
        settings: dict[str, Any] = {"alias": field.name}
        if not required and field.default is not dataclasses.MISSING:
            settings["default"] = field.default
        elif not required:
            settings["default_factory"] = field.default_factory
        fields[_attribute(field.name)] = (hint, Field(**settings))
    config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())
    with annotations_of(cls):
        return create_model(getattr(cls, "__name__", "options"), __config__=config, **fields)


# When pydantic is first used, it searches the entry points of all distributions for plugins of its
# own, and stops at damaged metadata of any of them. It does so only once.
with suppress(Exception):
    create_model("First")


def validator_of_model(cls: Hashable, *, with_learned: bool = False) -> Validate:
    """Return a validator of a dataclass with any annotations that pydantic supports."""
    model = model_of(cls, with_learned=with_learned)
    fields = [field.name for field, *_ in options_of(cls, with_learned=with_learned)]

    def validate(text: str, context: object) -> dict[str, Any]:
        found = model.model_validate_json(text, context=context)
        given = found.model_fields_set
        return {
            name: getattr(found, _attribute(name)) for name in fields if _attribute(name) in given
        }

    return validate


def _attribute(name: str) -> str:
    """Return the name of a model's attribute, which cannot clash with pydantic's own."""
    return f"option_{name}"
