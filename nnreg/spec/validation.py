"""Conversion of JSON to components and back.

A pydantic model is created from the fields of each frozen dataclass. If a field is itself a
component, pydantic calls the `Reader` in its validation context, which has the registry; the
errors of all levels are raised together, each with its path.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
import typing
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import Enum
from typing import Any, Final, Literal, TypeAlias, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import InitErrorDetails, PydanticCustomError, to_jsonable_python

from nnreg._utils.suggestions import suggest
from nnreg.errors import ComponentError, PluginError, Problem, SpecError
from nnreg.interfaces.component import Component, Configurable
from nnreg.interfaces.graph import ENTRY_KEYS, EntryKeys
from nnreg.interfaces.layer import Layer, LayerEntry
from nnreg.interfaces.metric import NAME, NamedMetric
from nnreg.interfaces.outputs import OutputLoss
from nnreg.registry.checks import unannotated
from nnreg.registry.kinds import KINDS
from nnreg.registry.loading import BUILT_IN
from nnreg.registry.names import Entry
from nnreg.registry.registry import Registry

T = TypeVar("T")


@functools.cache
def _model(cls: Hashable) -> type[BaseModel]:
    """Return the pydantic model with the fields of a dataclass.

    Raises `PluginError` if an annotation, such as one of a plugin, is not supported.
    """
    with _annotations_of(cls):
        hints = typing.get_type_hints(cls, include_extras=True)
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(cast(Any, cls)):
        settings: dict[str, Any] = {"alias": field.name}
        if field.default is not dataclasses.MISSING:
            settings["default"] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            settings["default_factory"] = field.default_factory
        fields[_attribute(field.name)] = (hints[field.name], Field(**settings))
    config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())
    with _annotations_of(cls):
        return create_model(getattr(cls, "__name__", "options"), __config__=config, **fields)


# When pydantic is first used, it searches the entry points of all distributions for plugins of its
# own, and stops at damaged metadata of any of them. It does so only once.
with suppress(Exception):
    create_model("First")


@contextmanager
def _annotations_of(cls: Hashable) -> Iterator[None]:
    """Raise `PluginError` for any exception: a plugin's annotations are arbitrary expressions."""
    try:
        yield
    except Exception as error:
        first = str(error).splitlines()[0] if str(error) else ""
        raise PluginError(
            f"the options of {getattr(cls, '__qualname__', cls)} cannot be read from JSON: "
            f"{type(error).__name__}: {first}"
        ) from error


def _attribute(name: str) -> str:
    """Return the name of a model's attribute, which cannot clash with pydantic's own."""
    return f"option_{name}"


MAX_PROBLEMS = 1_000
MAX_HINTS = 100
"""The maximum number of problems listed per section, and of unknown names with a suggestion: an
untrusted spec may contain any number."""


class Reader:
    """Reads components and sections of a spec, and records in `used` what each name means.

    `written_by` has the versions of the components' distributions when the JSON was written, as far
    as they are known: options are migrated from these. `migrated` is True if any option changed.
    """

    def __init__(
        self, registry: Registry, written_by: Mapping[tuple[str, str], str] | None = None
    ) -> None:
        self.registry = registry
        self.written_by = written_by or {}
        self.used: dict[tuple[str, str], Entry] = {}
        self.unknown = 0
        self.migrated = False

    def read(self, cls: type[T], value: Any) -> T:
        """Return the dataclass that a JSON value describes. Raises pydantic's ValidationError."""
        if isinstance(value, cls):
            return value
        if cls is OutputLoss:
            return cast(T, self._output_loss(value))
        kind = vars(cls).get("kind")
        if kind in KINDS:
            return cast(T, self._component(str(kind), value))
        return self._fields(cls, value)

    def _component(self, kind: str, value: Any) -> Any:
        options = {"type": value} if isinstance(value, str) else value
        if kind == "layer" and isinstance(value, dict) and not value.keys().isdisjoint(ENTRY_KEYS):
            return self._entry(value)
        if kind == "metric" and isinstance(value, dict) and NAME in value:
            return self._named_metric(value)
        if not isinstance(options, dict) or not isinstance(options.get("type"), str):
            raise _error(
                f'must be the name of {_article(kind)} or {{"type": NAME, …}}, found {_show(value)}'
            )
        name = options["type"]
        try:
            entry = self.registry.find(kind, name)
        except PluginError as error:
            raise _error(str(error)) from error
        if entry is None:
            self.unknown += 1
            raise _error(self.registry.unknown(kind, name, hint=self.unknown <= MAX_HINTS))
        self.used[kind, name] = entry
        config = {key: option for key, option in options.items() if key != "type"}
        version = self.written_by.get((kind, name), entry.version)
        try:
            component = self._fields(entry.cls, self._migrate(entry, config, version), entry)
            if entry.plugin != BUILT_IN:
                self._require_json(component)
            return component
        except ComponentError:
            raise
        except PluginError as error:
            raise _error(f"{entry.provider}: {error}") from error

    def _output_loss(self, value: Any) -> OutputLoss:
        """Return the loss of an output, whose entry may have keys besides those of the loss."""
        if not isinstance(value, dict) or "type" not in value:
            return OutputLoss(self._component("loss", value))
        given = {key: option for key, option in value.items() if key in ("weight", "target")}
        others = {key: option for key, option in value.items() if key not in given}
        return self._fields(OutputLoss, {"loss": others, **given})

    def _entry(self, value: dict[str, Any]) -> LayerEntry:
        """Return an entry of a list of layers that has keys besides those of its layer."""
        given = {key: option for key, option in value.items() if key in ENTRY_KEYS}
        others = {key: option for key, option in value.items() if key not in ENTRY_KEYS}
        keys = self._fields(EntryKeys, given)
        if keys.use is None:
            return LayerEntry(self._component("layer", others), keys)
        if others:
            raise _error(f"'use' takes an earlier layer as it is; remove {', '.join(others)}")
        return LayerEntry(None, keys)

    def _named_metric(self, value: dict[str, Any]) -> NamedMetric:
        """Return an entry of the list of metrics that has a name."""
        name = value[NAME]
        if not isinstance(name, str):
            raise _error(f"'{NAME}' must be a valid string, found {_show(name)}")
        others = {key: option for key, option in value.items() if key != NAME}
        metric = self._component("metric", others)
        try:
            return NamedMetric(metric, name)
        except ValueError as error:
            raise _error(str(error)) from error

    def _require_json(self, component: Component) -> None:
        """Raise `PluginError` for an option of a plugin whose value JSON cannot represent.

        The output files of a run and its checkpoints have every option as JSON.
        """
        for name, value in vars(component).items():
            try:
                to_strict_json(value, self.registry)
            except (TypeError, ValueError) as error:
                raise PluginError(
                    f"the option {name!r} of {type(component).__qualname__} is {value!r}, which "
                    "JSON cannot represent; use a number, text, a list or an Enum of these"
                ) from error

    def _migrate(self, entry: Entry, config: dict[str, Any], version: str) -> dict[str, Any]:
        """Return options of a version, migrated to the installed version of a component."""
        if version == entry.version:
            return config
        try:
            migrated = entry.cls.migrate(copy.deepcopy(config), version)
            if not isinstance(migrated, dict):
                raise TypeError(f"migrate returned {type(migrated).__name__}, not dict")
            json.dumps(migrated, allow_nan=False)
        except Exception as error:
            raise _error(
                f"{entry.name} of {entry.provider} cannot migrate the options of {version}: "
                f"{type(error).__name__}: {error}"
            ) from error
        self.migrated = self.migrated or migrated != config
        return migrated

    def _fields(self, cls: type[T], value: Any, entry: Entry | None = None) -> T:
        """Return a section, or the component of an entry, with these options."""
        model = _model(cast(Hashable, cls))
        try:
            # As JSON: strict validation of Python values rejects a list for a tuple, and also text
            # for a path or a date, which options of plugins may be.
            validated = model.model_validate_json(json.dumps(value), context=self)
        except ValidationError as error:
            if error.error_count() > MAX_PROBLEMS:
                raise _error(f"{error.error_count():,} problems are too many to list") from None
            raise ValidationError.from_exception_data(
                cls.__name__, list(_lines(error, cls, value))
            ) from None
        names = {field.name for field in dataclasses.fields(cast(Any, cls))}
        options = {name: getattr(validated, _attribute(name)) for name in names & set(value)}
        try:
            return cls(**options)
        except ValueError as error:
            raise _error(str(error)) from error
        except Exception as error:
            if entry is None:
                raise
            raise ComponentError(
                f"{entry.kind} {entry.name!r} of {entry.provider} failed on the options "
                f"{_show(value)}: {error!r}"
            ) from error


def read(cls: type[T], value: Any, reader: Reader, where: str = "spec") -> T:
    """Return the dataclass that a JSON tree describes. Raises `SpecError` with every problem."""
    try:
        return reader.read(cls, value)
    except ValidationError as error:
        problems = [
            Problem(_path(line["loc"]), line["msg"], line["type"] == UNKNOWN)
            for line in error.errors()
        ]
    except PydanticCustomError as error:
        problems = [Problem("$", error.message())]
    raise SpecError(problems, where)


MISSING: Final = "nnreg_missing"
"""The type of an error whose location ends with a missing key."""

UNKNOWN: Final = "nnreg_unknown"
"""The type of an error about a key, not about its value."""

ErrorType: TypeAlias = Literal["nnreg", "nnreg_missing", "nnreg_unknown"]


def _error(text: str, kind: ErrorType = "nnreg") -> PydanticCustomError:
    return PydanticCustomError(kind, "{text}", {"text": text})


def _lines(error: ValidationError, cls: type[Any], value: Any) -> Iterable[InitErrorDetails]:
    """Yield pydantic's errors with nnreg's messages, those of a union's branches as one."""
    by_location: dict[tuple[int | str, ...], list[Any]] = {}
    for line in error.errors(include_url=False):
        loc, absent = line["loc"], line["type"] in ("missing", MISSING)
        location = (*_within(value, loc[:-1]), loc[-1]) if absent else _within(value, loc)
        by_location.setdefault(location, []).append(line)
    known = [field.name for field in dataclasses.fields(cls)]
    known += ENTRY_KEYS if issubclass(cls, Layer) else ()
    containing = {loc[:length] for loc in by_location for length in range(len(loc))}
    for loc, lines in by_location.items():
        if loc in containing:
            continue  # a consequence of an error inside it
        line, short = lines[0], any(one["type"] == "too_short" for one in lines)
        kind: ErrorType = "nnreg"
        if line["type"] in ("nnreg", MISSING, UNKNOWN):
            text, kind = line["msg"], line["type"]
        elif line["type"] == "extra_forbidden":
            key = str(loc[-1])
            hint = _without_annotation(cls, key) or suggest(key, known) or "; there are no options"
            text, kind = f"unknown key {key!r}{hint}", UNKNOWN
        elif line["type"] == "missing":
            text, kind = "required, but not given", MISSING
        else:
            expected = [one["msg"].removeprefix("Input should be ") for one in lines]
            needed = "not be empty" if short else f"be {' or '.join(dict.fromkeys(expected))}"
            at = functools.reduce(lambda tree, key: tree[key], loc, value)
            text = f"must {needed}, found {_show(at)}"
            if "a valid array" in expected and not isinstance(at, list | dict):
                text += f"; write [{_show(at)}]"
        yield {"type": _error(text, kind), "loc": loc, "input": None}


def _without_annotation(cls: type[Any], key: str) -> str:
    """Return the reason why an attribute of a plugin's class is no option; empty for others."""
    found = unannotated(cls) if issubclass(cls, Component) else {}
    if key not in found:
        return ""
    name, value = type(found[key]).__name__, found[key]
    return (
        f"; {cls.__qualname__}.{key} has no annotation, so that it is not an option: its author "
        f"must write {key}: {name} = {value!r}"
    )


def _within(value: Any, loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Remove the names of union branches, which are not keys of the value, from a location."""
    path: list[int | str] = []
    for index, key in enumerate(loc):
        if isinstance(value, dict) and isinstance(key, str):
            if key in value:
                value = value[key]
            elif index:
                continue
            path.append(key)
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            value = value[key]
            path.append(key)
        elif isinstance(value, dict | list) and index < len(loc) - 1:
            continue
    return tuple(path)


def _path(loc: tuple[int | str, ...]) -> str:
    return "$" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in loc)


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeio" else f"a {kind}"


def to_strict_json(value: Any, registry: Registry) -> Any:
    """Return what `to_json` returns. Raises TypeError or ValueError if that is not JSON."""
    tree = to_json(value, registry)
    json.dumps(tree, allow_nan=False)
    return tree


def to_json(value: Any, registry: Registry) -> Any:
    """Return the JSON that describes a component or a section, with every option filled in."""
    if isinstance(value, LayerEntry):
        layer = {} if value.layer is None else to_json(value.layer, registry)
        return ({"type": layer} if isinstance(layer, str) else layer) | value.keys.given()
    if isinstance(value, OutputLoss):
        loss = to_json(value.loss, registry)
        keys = {"weight": value.weight} | ({"target": value.target} if value.target else {})
        return ({"type": loss} if isinstance(loss, str) else loss) | keys
    if isinstance(value, NamedMetric):
        metric = to_json(value.metric, registry)
        return ({"type": metric} if isinstance(metric, str) else metric) | {NAME: value.name}
    if isinstance(value, Configurable) and dataclasses.is_dataclass(value):
        options = {
            field.name: to_json(getattr(value, field.name), registry)
            for field in dataclasses.fields(value)
        }
        if isinstance(value, Component):
            name = registry.name_of(value)
            return {"type": name, **options} if options else name
        return options
    if isinstance(value, list | tuple):
        return [to_json(item, registry) for item in value]
    if isinstance(value, Mapping):
        return {to_json(key, registry): to_json(item, registry) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((to_json(item, registry) for item in value), key=repr)
    if value is None or (isinstance(value, str | int | float) and not isinstance(value, Enum)):
        return value
    return to_jsonable_python(value)  # an option of a plugin, such as an Enum or a path
