"""What all components are: frozen dataclasses that a JSON object can describe."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from annotated_types import Ge, Gt

NonNegative: TypeAlias = Annotated[float, Ge(0)]
Positive: TypeAlias = Annotated[float, Gt(0)]
Count: TypeAlias = Annotated[int, Gt(0)]
Units: TypeAlias = Count | Literal["classes"]
"""A number of outputs, or `"classes"`: as many as the target has classes."""


class Configurable:
    """A frozen dataclass that a JSON object can describe. `nnreg.schema` reads and documents it."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Let the reader in the validation context read the value: it knows the registry."""
        from pydantic_core import core_schema  # only when a spec is read

        return core_schema.with_info_plain_validator_function(
            lambda value, info: info.context.read(cls, value)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        """Leave a mark that `nnreg.schema` replaces by a reference to the definition."""
        return {"nnreg": getattr(cls, "kind", None) or cls.__name__}


class Component(Configurable):
    """Anything that a spec calls by name. `kind` is the family, as in `activation`."""

    kind: ClassVar[str]

    @classmethod
    def examples(cls) -> Iterable[Any]:
        """Return instances for the checks of `nnreg.testing`, besides those that they draw.

        Where an option can be drawn by its author only, these are all there are. A layer gives
        pairs of an instance and the shape of an input that it takes, `(features,)`; a source gives
        pairs of an instance and the bytes of a small file that it reads.
        """
        return ()

    @classmethod
    def migrate(cls, config: dict[str, Any], from_version: str) -> dict[str, Any]:
        """Return the options of a checkpoint that another version wrote, as this version has them.

        `config` is the JSON before anything is checked, without `type`; `from_version` is that of
        the distribution then. Called on loading, never on a spec that a person writes; what is
        computed must stay the same, which the checkpoint's probes then show. Pure: no files, no
        state.
        """
        return config
