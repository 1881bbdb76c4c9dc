"""Schemas of annotations: those made here are pydantic's."""

import dataclasses
import enum
import importlib
import pkgutil
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Gt, Len, MultipleOf
from pydantic import Field, TypeAdapter, ValidationError

import nnreg
from nnreg.interfaces.annotations import StopAtFirst, Tagged
from nnreg.interfaces.component import Configurable
from nnreg.spec.pydantic_models import validator_of_model
from nnreg.spec.validators import OtherAnnotationError, schema_of, validator
from tests.meta.test_architecture import loaded_by


def subclasses(cls):
    for one in cls.__subclasses__():
        yield one
        yield from subclasses(one)


PACKAGES = ("builtin", "data", "interfaces", "training", "checkpoint", "provenance", "sweeps")
for package in PACKAGES:
    module = importlib.import_module(f"nnreg.{package}")
    for found in pkgutil.walk_packages(module.__path__, f"nnreg.{package}."):
        if "numba" not in found.name and "worker" not in found.name:
            importlib.import_module(found.name)

OWN = [
    cls
    for cls in dict.fromkeys(subclasses(Configurable))
    if cls.__module__.startswith("nnreg.") and dataclasses.is_dataclass(cls)
]


def plain(schema):
    """Return a schema without what differs between two of the same meaning."""
    if isinstance(schema, dict):
        kept = {key: plain(value) for key, value in schema.items() if key != "metadata"}
        return {key: value for key, value in kept.items() if key != "function"}
    return [plain(one) for one in schema] if isinstance(schema, list) else schema


@pytest.mark.parametrize("cls", OWN, ids=lambda cls: f"{cls.__module__}.{cls.__qualname__}")
def test_the_schemas_of_every_option_of_nnreg_are_those_of_pydantic(cls):
    hints = typing.get_type_hints(cls, include_extras=True)
    for field in dataclasses.fields(cls):
        if hints[field.name] != set[str]:  # of kernels that no spec names
            expected = TypeAdapter(hints[field.name]).core_schema
            assert plain(schema_of(hints[field.name])) == plain(expected), field.name


class Colour(enum.Enum):
    RED = "red"


class Text(enum.StrEnum):
    A = "a"


@pytest.mark.parametrize(
    "hint",
    [Path, Colour, set[str], tuple, dict, Literal[Text.A], Annotated[int, MultipleOf(2)],
     Annotated[bool, Gt(0)], Annotated[float, Field(gt=0)], bytes, complex, tuple[Path, ...]],
    ids=str,
)  # fmt: skip
def test_other_annotations_are_left_to_pydantic(hint):
    with pytest.raises(OtherAnnotationError):
        schema_of(hint)


@dataclass(frozen=True)
class Plain(Configurable):
    number: float
    several: Annotated[tuple[int, ...], Len(1), StopAtFirst()] = (1,)
    by_name: Mapping[str, int | None] | None = None
    either: Annotated[
        Literal["a", "b"] | tuple[str, float],
        Tagged(lambda value: type(value).__name__, ("str", "list"), "must be text or a list"),
    ] = "a"
    anything: Any = None


@dataclass(frozen=True)
class WithPath(Plain):
    path: Path = Path("a")


VALUES = [
    '{"number": 1}', '{"number": 1.5, "several": [1, 2], "by_name": {"a": null}}',
    '{"number": "1"}', '{"number": NaN}', '{"number": true}', '{"number": null}', "{}", "[]", "3",
    '{"number": 1, "several": []}', '{"number": 1, "several": [1.0, "x", "y"]}',
    '{"number": 1, "several": 5}', '{"number": 1, "by_name": {"a": "b"}}',
    '{"number": 1, "either": "b"}', '{"number": 1, "either": ["b", 2]}',
    '{"number": 1, "either": ["b"]}', '{"number": 1, "either": "c"}', '{"number": 1, "either": 3}',
    '{"number": 1, "other": 2}', '{"number": 1, "anything": {"a": [1, null, 2.5]}}',
]  # fmt: skip


def outcome(validate, text):
    try:
        return validate(text, None)
    except ValidationError as error:
        return [(line["loc"], line["msg"]) for line in error.errors()]


@pytest.mark.parametrize("text", VALUES)
def test_values_and_errors_are_those_of_pydantic(text):
    expected = outcome(validator_of_model(Plain), text)
    assert outcome(validator(Plain), text) == expected


def test_a_class_with_another_annotation_is_validated_by_pydantic():
    assert outcome(validator(WithPath), '{"number": 1, "path": "b"}')["path"] == Path("b")
    assert outcome(validator(WithPath), '{"number": 1}') == {"number": 1.0}


def test_reading_a_spec_does_not_import_pydantic():
    spec = Path(nnreg.__file__).parent.parent / "models/penguins.json"
    loaded = loaded_by(f"from nnreg.spec.document import read_spec; read_spec({str(spec)!r})")
    assert "pydantic" not in loaded
