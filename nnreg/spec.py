"""The spec: its sections, and reading it from a file with `--set` changes."""

from __future__ import annotations

import copy
import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from annotated_types import Ge, Gt, Interval, Len

from nnreg import jsonc, requirements, schema
from nnreg.builtin.schedules import Constant
from nnreg.errors import Problem, SpecError, UsageError
from nnreg.interfaces import (
    Configurable,
    Count,
    Layer,
    Loss,
    Metric,
    Optimizer,
    Schedule,
    Source,
)
from nnreg.registry import Entry, Registry, installed
from nnreg.trainer import EarlyStopping, Train

Share: TypeAlias = Annotated[float, Interval(gt=0, lt=1)]
Text: TypeAlias = Annotated[str, Len(1)]
SpecSource: TypeAlias = "str | Path | Mapping[str, Any] | Document"


@dataclass(frozen=True)
class Split(Configurable):
    """Which rows are held out: a share of them, or a file of their own.

    Validation steers the training (early stopping, best weights); the test part is looked at once,
    at the end. `stratify` keeps the shares of the classes. The rows are drawn from the seed.
    """

    validation: Share | Text | None = None
    test: Share | Text | None = None
    stratify: bool = False

    def __post_init__(self) -> None:
        shares = [part for part in (self.validation, self.test) if isinstance(part, float)]
        if sum(shares) >= 1:
            raise ValueError("validation and test together leave nothing to train on")


@dataclass(frozen=True, kw_only=True)
class Columns(Configurable):
    """How columns become numbers.

    `inputs` are all columns but the target and those in `exclude`, unless given. `columns` says of
    a column that it holds `number` or `words` where its values do not tell. `missing` values are
    refused or imputed: the mean of a number, the most frequent word. `unseen` words, met after
    training, are refused or ignored. `standard` scaling subtracts the mean and divides by the
    standard deviation, both of the training part.
    """

    inputs: Annotated[tuple[Text, ...], Len(1)] | None = None
    exclude: tuple[Text, ...] = ()
    columns: dict[str, Literal["number", "words"]] = field(default_factory=dict)
    missing: Literal["refuse", "impute"] = "refuse"
    unseen: Literal["refuse", "ignore"] = "refuse"
    scaling: Literal["standard", "none"] = "standard"
    target_scaling: Literal["standard", "none"] = "none"


@dataclass(frozen=True, kw_only=True)
class Data(Columns):
    """Where the examples are: a file, its format, the column or columns to predict.

    The other options are those of `Columns`.
    """

    source: Source
    path: Text
    target: Text | Annotated[tuple[Text, ...], Len(1)]
    split: Split = Split()

    @property
    def targets(self) -> tuple[str, ...]:
        """The target columns, one or several."""
        return (self.target,) if isinstance(self.target, str) else self.target


@dataclass(frozen=True)
class Model(Configurable):
    """The layers, from the input to the output, and the precision of their arithmetic."""

    layers: Annotated[tuple[Layer, ...], Len(1)]
    dtype: Literal["float32", "float64"] = "float32"


@dataclass(frozen=True)
class Checkpoint(Configurable):
    """When a run is saved, in mid-epoch too, and what is kept.

    After every so many epochs, steps or seconds, each where it is given. Without any of them, as
    often as saving takes 3 % of the time, and within epochs every ten seconds at most. The end is
    always saved. `keep` is the number of earlier checkpoints that stay beside the last and the
    best; they are named by epoch and step.
    """

    every_epochs: Count | None = None
    every_steps: Count | None = None
    every_seconds: Annotated[float, Gt(0)] | None = None
    keep: Annotated[int, Ge(0)] = 0


@dataclass(frozen=True)
class Spec(Configurable):
    """A whole training run.

    `schedule` gives from step to step what the optimizer's learning rate is multiplied by. It goes
    by the epochs that are planned in `train.epochs`; what is trained after them has the factor of
    their last step. `requires` names distributions as `pip install` takes them, such as
    `nnreg-mish>=1.2`; a spec whose requirements are not met is not read further.
    """

    model: Model
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule = Constant()
    data: Data | None = None
    metrics: tuple[Metric, ...] = ()
    train: Train = Train()
    checkpoint: Checkpoint = Checkpoint()
    seed: Annotated[int, Interval(ge=0, lt=2**64)] = 0
    requires: tuple[Text, ...] = ()


SECTIONS = (Split, Data, Model, Train, EarlyStopping, Checkpoint)
"""The classes that `Spec` is made of."""


@dataclass(frozen=True)
class Document:
    """A spec that was read: its sections, the JSON they came from, and who provides what it names.

    Relative paths in it start at `folder`; `origin` says where it came from. `registry` is what it
    was read with, and what everything made of it asks. `text` is the spec as it was given, to which
    `changes` such as `train.epochs=5` were made.
    """

    spec: Spec
    tree: Mapping[str, Any]
    folder: Path
    origin: str
    components: tuple[Entry, ...]
    registry: Registry
    text: str
    changes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """A short name for what is made of it."""
        return Path(self.origin).stem


def json_schema(registry: Registry | None = None) -> dict[str, Any]:
    """Return the JSON Schema of a spec, with everything that is installed now."""
    writer = schema.SchemaWriter(registry or installed())
    document: dict[str, Any] = writer.document(Spec, SECTIONS)
    return document


def read_spec(
    source: SpecSource,
    overrides: Iterable[str] = (),
    *,
    folder: Path | None = None,
    registry: Registry | None = None,
    written_by: Mapping[tuple[str, str], str] | None = None,
) -> Document:
    """Read a spec from a file (`-` for standard input) or a mapping, and validate all of it.

    `overrides` are changes such as `train.epochs=5`. An `nnregfile.py` in the folder of a file is
    loaded as a plugin. `written_by` has the versions of components from which their options are
    migrated; the document then has all options, as they are now. Raises `SpecError` with every
    problem, `MissingPluginError` for what the spec requires and is not installed.
    """
    beside: Path | None = None
    earlier: tuple[str, ...] = ()
    changes = tuple(overrides)
    if isinstance(source, Document):
        tree, base, origin, text = source.tree, source.folder, source.origin, source.text
        registry, earlier = registry or source.registry, source.changes
    elif isinstance(source, Mapping):
        tree, base, origin = _plain(source), Path.cwd(), "spec"
        text = json.dumps(tree, indent=2) + "\n"
    else:
        tree, base, origin, text = _read_file(str(source))
        beside = None if source == "-" else Path(source).parent
    if not isinstance(tree, Mapping):
        raise SpecError([Problem("$", "must be a JSON object with a model, a loss, …")], origin)
    changed = copy.deepcopy(dict(tree))
    for change in changes:
        override(changed, change)
    needed = requirements.check(changed.get("requires"), origin)
    registry = registry or installed()
    requirements.check_blocked(needed, registry, origin)
    if beside is not None:
        registry = registry.beside(beside)
    reader = schema.Reader(registry, written_by)
    body = {key: value for key, value in changed.items() if key != "$schema"}
    spec = schema.read(Spec, body, reader, origin)
    if reader.migrated:
        changed = schema.to_json(spec, registry)
    used = tuple(reader.used.values())
    base, changes = folder or base, (*earlier, *changes)
    return Document(spec, changed, base, origin, used, registry, text, changes)


def _read_file(path: str) -> tuple[Any, Path, str, str]:
    """Return the tree in a file, the folder and the name of the file, and its text."""
    if path == "-":
        text = sys.stdin.read()
        return jsonc.loads(text, "standard input"), Path.cwd(), "spec", text
    file = Path(path)
    try:
        text = file.read_bytes().decode()
    except OSError as error:
        raise UsageError(f"{path}: cannot read the spec: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: byte {error.start} is not UTF-8; save it as UTF-8") from error
    tree = jsonc.loads(text.removeprefix("\ufeff"), path)
    return tree, file.resolve().parent, path, text


def _plain(tree: Mapping[str, Any]) -> Any:
    """Check a spec built in Python as strictly as one from a file."""
    try:
        return jsonc.loads(json.dumps(tree))
    except (TypeError, ValueError, RecursionError) as error:
        raise SpecError([Problem("$", f"not expressible as JSON: {error}")]) from error


def override(tree: dict[str, Any], override: str) -> None:
    """Make one `path=value` change; the value is JSON, or else text."""
    path, equals, text = override.partition("=")
    keys = [key for key in re.split(r"[.\[\]]+", path.removeprefix("$.")) if key]
    if not equals or not keys:
        raise UsageError(f"--set {override}: expected PATH=VALUE, as in train.epochs=5")
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    node: Any = tree
    for index, key in enumerate(keys):
        last = index == len(keys) - 1
        if isinstance(node, list):
            if not key.isdigit() or int(key) >= len(node):
                raise UsageError(f"--set {override}: no item {key!r} among {len(node)}")
            place: Any = int(key)
        elif isinstance(node, dict):
            place = key
        else:
            above = ".".join(keys[:index])
            raise UsageError(f"--set {override}: {above!r} is {json.dumps(node)}, with no keys")
        if last:
            node[place] = value
        elif isinstance(node, dict):
            node = node.setdefault(place, {})
        else:
            node = node[place]
