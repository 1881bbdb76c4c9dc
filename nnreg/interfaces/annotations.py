"""Annotations of options that say how pydantic-core validates them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, get_args

if TYPE_CHECKING:
    from pydantic_core import CoreSchema


class SchemaAnnotation:
    """An annotation that changes the schema of a type."""

    def change(
        self, schema: CoreSchema, annotated: Any, schema_of: Callable[[Any], CoreSchema]
    ) -> CoreSchema:
        """Return the changed schema of the annotated type; `schema_of` returns that of others."""
        raise NotImplementedError

    def __get_pydantic_core_schema__(self, annotated: Any, handler: Any) -> CoreSchema:
        """Return the same schema to pydantic, which makes the JSON Schema of it."""
        return self.change(handler(annotated), annotated, handler.generate_schema)


@dataclass(frozen=True)
class Tagged(SchemaAnnotation):
    """Chooses the type of a union by the JSON value, so that errors are those of that type alone.

    `tag_of` returns the tag of a value; `tags` are those of the types, in their order. `otherwise`
    is the message for any other tag.
    """

    tag_of: Callable[[Any], Any]
    tags: tuple[str, ...]
    otherwise: str | None = None

    def change(
        self, schema: CoreSchema, annotated: Any, schema_of: Callable[[Any], CoreSchema]
    ) -> CoreSchema:
        """Return the schema of a union of which one type is tried."""
        from pydantic_core import core_schema  # only when a spec is read

        return core_schema.tagged_union_schema(
            {tag: schema_of(one) for tag, one in zip(self.tags, get_args(annotated), strict=True)},
            self.tag_of,
            custom_error_type="nnreg" if self.otherwise else None,
            custom_error_message=self.otherwise,
        )


class StopAtFirst(SchemaAnnotation):
    """Ends at the first wrong item of a tuple: an untrusted file may have very many."""

    def change(
        self, schema: CoreSchema, annotated: Any, schema_of: Callable[[Any], CoreSchema]
    ) -> CoreSchema:
        """Return the schema of the tuple."""
        return cast("CoreSchema", {**schema, "fail_fast": True})
