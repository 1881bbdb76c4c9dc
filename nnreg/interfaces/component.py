"""The base class of all components: frozen dataclasses that a JSON object can describe."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from annotated_types import Ge, Gt, Interval, Len

NonNegative: TypeAlias = Annotated[float, Ge(0)]
Positive: TypeAlias = Annotated[float, Gt(0)]
Fraction: TypeAlias = Annotated[float, Interval(ge=0, le=1)]
PositiveFraction: TypeAlias = Annotated[float, Interval(gt=0, le=1)]
ProperFraction: TypeAlias = Annotated[float, Interval(ge=0, lt=1)]
Count: TypeAlias = Annotated[int, Gt(0)]
Seed: TypeAlias = Annotated[int, Interval(ge=0, lt=2**64)]
Text: TypeAlias = Annotated[str, Len(1)]
Units: TypeAlias = Count | Literal["classes"]
"""A number of outputs, or `"classes"`, the number of classes of the target."""


class Configurable:
    """A frozen dataclass that a JSON object can describe; `nnreg.spec.validation` reads it."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Delegate to the reader in the validation context, which has the registry."""
        from pydantic_core import core_schema  # only when a spec is read

        return core_schema.with_info_plain_validator_function(
            lambda value, info: info.context.read(cls, value)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        """Return a marker that `nnreg.spec.json_schema` replaces by a reference to a definition."""
        return {"nnreg": getattr(cls, "kind", None) or cls.__name__}


class Component(Configurable):
    """Anything that a spec refers to by name. `kind` is, for example, `activation`."""

    kind: ClassVar[str]
    exact_gradient: ClassVar[bool] = True
    """Whether the gradient is that of the output, so that it can be checked by finite differences;
    False for a deliberate approximation, such as a straight-through estimator."""

    @classmethod
    def examples(cls) -> Iterable[Any]:
        """Return instances for the checks of `nnreg.testing`, besides those that they draw.

        If the values of an option cannot be drawn, the checks use these instances alone. A layer
        returns pairs of an instance and the shape of an input that it takes, `(features,)`; a
        source returns pairs of an instance and the bytes of a small file that it reads; an encoder
        pairs of an instance and the values of a column that it takes; a loss
        whose targets have another shape than its outputs returns triples of an instance, outputs
        and targets.
        """
        return ()

    @classmethod
    def migrate(cls, config: dict[str, Any], from_version: str) -> dict[str, Any]:
        """Return the options of a checkpoint from another version, migrated to this version.

        `config` is the JSON before validation, without `type`; `from_version` is the version of the
        distribution that wrote it. Called when a checkpoint is loaded, never on a spec that a user
        writes. The outputs must stay the same, which the fingerprints of the checkpoint verify.
        Must be pure: no files, no state.
        """
        return config
