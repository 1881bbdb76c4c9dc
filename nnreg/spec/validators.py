"""Validators of JSON objects with the fields of a dataclass.

pydantic-core validates by a schema of the fields. pydantic makes one of any annotation, but its
import and its models were an eighth of `nnreg predict`. So the schemas of the few annotations that
built-in components have are made here, as pydantic makes them, and it is imported for others alone.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Annotated, Any, Final, Literal, Union, cast

from annotated_types import Ge, Gt, Interval, Le, Len, Lt, MaxLen, MinLen
from pydantic_core import CoreConfig, CoreSchema, SchemaValidator, core_schema

from nnreg.interfaces.annotations import SchemaAnnotation
from nnreg.interfaces.component import Configurable
from nnreg.spec.option_fields import Validate, options_of

SCALARS: Final[Mapping[Any, Callable[[], CoreSchema]]] = {
    bool: core_schema.bool_schema,
    int: core_schema.int_schema,
    float: core_schema.float_schema,
    str: core_schema.str_schema,
    Any: core_schema.any_schema,
}
LIMITS: Final = (
    ((Ge, Gt, Le, Lt, Interval), ("int", "float"), ("gt", "ge", "lt", "le")),
    ((Len, MinLen, MaxLen), ("str", "tuple", "dict"), ("min_length", "max_length")),
)
"""Annotations, the types of schemas that take them, and the names of their limits."""


@functools.cache
def validator(cls: Hashable, *, with_learned: bool = False) -> Validate:
    """Return the validator of a dataclass.

    Fields that an encoder learned are omitted, or required, unless older checkpoints lack them.
    Raises `PluginError` if an annotation, such as one of a plugin, is not supported.
    """
    config = CoreConfig(strict=True, allow_inf_nan=False)
    try:
        schema = core_schema.typed_dict_schema({
            field.name: core_schema.typed_dict_field(schema_of(hint), required=needed)
            for field, hint, needed in options_of(cls, with_learned=with_learned)
        }, extra_behavior="forbid", config=config)  # fmt: skip
    except OtherAnnotationError:
        from nnreg.spec.pydantic_models import validator_of_model

        return validator_of_model(cls, with_learned=with_learned)
    validate = SchemaValidator(schema).validate_json
    return lambda text, context: cast(dict[str, Any], validate(text, context=context))


class OtherAnnotationError(Exception):
    """An annotation that built-in components do not have."""


def schema_of(hint: Any) -> CoreSchema:
    """Return the schema of an annotation. Raises `OtherAnnotationError`."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is None and hint in SCALARS:
        return SCALARS[hint]()
    if isinstance(hint, type) and issubclass(hint, Configurable):
        return cast(CoreSchema, hint.__get_pydantic_core_schema__(hint, None))
    if origin is Annotated:
        return _annotated(inner[0], inner[1:])
    if origin is Literal and all(type(one) in (str, int) for one in inner):
        return core_schema.literal_schema(list(inner))
    if origin in (Union, types.UnionType):
        choices = [schema_of(one) for one in inner if one is not type(None)]
        schema = choices[0] if len(choices) == 1 else core_schema.union_schema([*choices])
        return core_schema.nullable_schema(schema) if type(None) in inner else schema
    if origin is tuple:
        items = [schema_of(one) for one in inner if one is not ...]
        return core_schema.tuple_schema(items, variadic_item_index=0 if ... in inner else None)
    if origin is list:
        return core_schema.list_schema(schema_of(inner[0]))
    if origin in (dict, Mapping):
        strict = None if origin is dict else False
        return core_schema.dict_schema(*map(schema_of, inner), strict=strict)
    raise OtherAnnotationError


def _annotated(hint: Any, annotations: Iterable[Any]) -> CoreSchema:
    """Return the schema of a type with bounds, a length, or another annotation of nnreg."""
    schema: dict[str, Any] = dict(schema_of(hint))
    for one in annotations:
        if isinstance(one, SchemaAnnotation):
            schema = dict(one.change(cast(CoreSchema, schema), hint, schema_of))
            continue
        for kinds, types_, names in LIMITS:
            if isinstance(one, kinds) and schema["type"] in types_:
                found = {name: getattr(one, name, None) for name in names}
                schema |= {name: limit for name, limit in found.items() if limit is not None}
                break
        else:
            raise OtherAnnotationError
    return cast(CoreSchema, schema)
