"""Conversion of JSON to components and back.

The fields of each frozen dataclass have a validator. If a field is itself a component, the
validator calls the `Reader` in its validation context, which has the registry; the errors of all
levels are raised together, each with its path.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Hashable, Mapping
from enum import Enum
from typing import Any, TypeVar, cast

from pydantic_core import PydanticCustomError, ValidationError, to_jsonable_python

from nnreg._utils.formatting import with_article
from nnreg.data.input_columns import ColumnKeys, InputColumn
from nnreg.errors import ComponentError, PluginError, Problem, SpecError
from nnreg.interfaces.component import Component, Configurable
from nnreg.interfaces.encoder import COLUMN_KEYS, Encoder, learned_fields
from nnreg.interfaces.graph import ENTRY_KEYS, EntryKeys
from nnreg.interfaces.layer import LayerEntry
from nnreg.interfaces.metric import NAME, NamedMetric
from nnreg.interfaces.outputs import OutputLoss
from nnreg.registry.kinds import KINDS
from nnreg.registry.loading import BUILT_IN
from nnreg.registry.names import Entry, split
from nnreg.registry.registry import Registry
from nnreg.spec.problems import UNKNOWN, json_path, problem, problem_lines, shown
from nnreg.spec.validators import validator

T = TypeVar("T")


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
        if cls is InputColumn:
            return cast(T, self._input_column(value))
        kind = vars(cls).get("kind")
        if kind in KINDS:
            return cast(T, self._component(str(kind), value))
        return self._fields(cls, value)

    def _component(self, kind: str, value: Any, *, with_learned: bool = False) -> Any:
        options = {"type": value} if isinstance(value, str) else value
        if kind == "layer" and isinstance(value, dict) and not value.keys().isdisjoint(ENTRY_KEYS):
            return self._entry(value)
        if kind == "metric" and isinstance(value, dict) and NAME in value:
            return self._named_metric(value)
        if not isinstance(options, dict) or not isinstance(options.get("type"), str):
            raise problem(
                f'must be the name of {with_article(kind)} or {{"type": NAME, …}}, '
                f"found {shown(value)}"
            )
        name = options["type"]
        try:
            entry = self.registry.find(kind, name)
            cls = entry.cls if entry else None
        except PluginError as error:
            raise problem(str(error)) from error
        if entry is None or cls is None:
            self.unknown += 1
            raise problem(self.registry.unknown(kind, name, hint=self.unknown <= MAX_HINTS))
        self.used[kind, name] = entry
        config = {key: option for key, option in options.items() if key != "type"}
        version = self.written_by.get((kind, name), entry.version)
        try:
            options = self._migrate(entry, config, version)
            component = self._fields(cls, options, entry, with_learned=with_learned)
            if entry.plugin != BUILT_IN:
                self._require_json(component)
            return component
        except ComponentError:
            raise
        except PluginError as error:
            raise problem(f"{entry.provider}: {error}") from error

    def _output_loss(self, value: Any) -> OutputLoss:
        """Return the loss of an output, whose entry may have keys besides those of the loss."""
        if not isinstance(value, dict) or "type" not in value:
            return OutputLoss(self._component("loss", value))
        given = {key: option for key, option in value.items() if key in ("weight", "target")}
        others = {key: option for key, option in value.items() if key not in given}
        return self._fields(OutputLoss, {"loss": others, **given})

    def _input_column(self, value: Any) -> InputColumn:
        """Return a column of a checkpoint, which has keys besides those of its encoder."""
        if not isinstance(value, dict):
            raise problem(f"must be an object with a name and an encoder, found {shown(value)}")
        others = {key: option for key, option in value.items() if key not in COLUMN_KEYS}
        given = {key: option for key, option in value.items() if key in COLUMN_KEYS}
        encoder = self._component("encoder", others, with_learned=True)
        keys = self._fields(ColumnKeys, given)
        try:
            return InputColumn(keys.name, encoder, keys.fill, keys.indicator, keys.summary)
        except ValueError as error:
            raise problem(str(error)) from error

    def _entry(self, value: dict[str, Any]) -> LayerEntry:
        """Return an entry of a list of layers that has keys besides those of its layer."""
        given = {key: option for key, option in value.items() if key in ENTRY_KEYS}
        others = {key: option for key, option in value.items() if key not in ENTRY_KEYS}
        keys = self._fields(EntryKeys, given)
        if keys.use is None:
            return LayerEntry(self._component("layer", others), keys)
        if others:
            raise problem(f"'use' takes an earlier layer as it is; remove {', '.join(others)}")
        return LayerEntry(None, keys)

    def _named_metric(self, value: dict[str, Any]) -> NamedMetric:
        """Return an entry of the list of metrics that has a name."""
        name = value[NAME]
        if not isinstance(name, str):
            raise problem(f"'{NAME}' must be a valid string, found {shown(name)}")
        others = {key: option for key, option in value.items() if key != NAME}
        metric = self._component("metric", others)
        try:
            return NamedMetric(metric, name)
        except ValueError as error:
            raise problem(str(error)) from error

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
            raise problem(
                f"{entry.name} of {entry.provider} cannot migrate the options of {version}: "
                f"{type(error).__name__}: {error}"
            ) from error
        self.migrated = self.migrated or migrated != config
        return migrated

    def _fields(
        self,
        cls: type[T],
        value: Any,
        entry: Entry | None = None,
        *,
        with_learned: bool = False,
    ) -> T:
        """Return a section, or the component of an entry, with these options."""
        validate = validator(cast(Hashable, cls), with_learned=with_learned)
        try:
            # As JSON: strict validation of Python values rejects a list for a tuple, and also text
            # for a path or a date, which options of plugins may be.
            options = validate(json.dumps(value), self)
        except ValidationError as error:
            if error.error_count() > MAX_PROBLEMS:
                raise problem(f"{error.error_count():,} problems are too many to list") from None
            raise ValidationError.from_exception_data(
                cls.__name__, list(problem_lines(error, cls, value))
            ) from None
        try:
            return cls(**options)
        except ValueError as error:
            raise problem(str(error)) from error
        except Exception as error:
            if entry is None:
                raise
            raise ComponentError(
                f"{entry.kind} {entry.name!r} of {entry.provider} failed on the options "
                f"{shown(value)}: {error!r}"
            ) from error


def read(cls: type[T], value: Any, reader: Reader, where: str = "spec") -> T:
    """Return the dataclass that a JSON tree describes. Raises `SpecError` with every problem."""
    try:
        return reader.read(cls, value)
    except ValidationError as error:
        problems = [
            Problem(json_path(line["loc"]), line["msg"], line["type"] == UNKNOWN)
            for line in error.errors()
        ]
    except PydanticCustomError as error:
        problems = [Problem("$", error.message())]
    raise SpecError(problems, where)


def to_strict_json(value: Any, registry: Registry) -> Any:
    """Return what `to_json` returns. Raises TypeError or ValueError if that is not JSON."""
    tree = to_json(value, registry)
    json.dumps(tree, allow_nan=False)
    return tree


def _encoder_name(encoder: Encoder, registry: Registry) -> str:
    """Return the name that a spec has for an encoder; else the one that means it in a checkpoint.

    A checkpoint records what the names in its spec mean, so that the same ones mean the same.
    """
    entry, recorded = registry.entry_of(encoder), registry.preferences.recorded
    for (kind, name), distribution in recorded.items():
        if kind == entry.kind and split(name)[1] == entry.name and entry.is_of(distribution):
            return name
    taken = entry.plugin != BUILT_IN or (entry.kind, entry.name) in recorded
    return entry.qualified if taken else entry.name


def to_json(value: Any, registry: Registry, *, with_learned: bool = False) -> Any:
    """Return the JSON that describes a component or a section, with every option filled in."""
    if isinstance(value, InputColumn):
        encoder = to_json(value.encoder, registry, with_learned=True)
        keys = {key: to_json(getattr(value, key), registry) for key in COLUMN_KEYS}
        if value.summary is None:  # as in older files
            del keys["summary"]
        options = {} if isinstance(encoder, str) else encoder
        return {**options, "type": _encoder_name(value.encoder, registry), **keys}
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
        learned = () if with_learned else learned_fields(type(value))
        options = {
            field.name: to_json(getattr(value, field.name), registry)
            for field in dataclasses.fields(value)
            if field.name not in learned
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
