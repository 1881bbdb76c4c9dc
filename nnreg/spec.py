"""The spec: its sections, and reading it from a file with `--set` changes."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from annotated_types import Ge, Gt, Interval, Len

from nnreg import jsonc, requirements, schema
from nnreg.builtin.schedules import Constant
from nnreg.composing import EXTENDS, Composed, Origins, compose, each_of, override
from nnreg.errors import Problem, SpecError
from nnreg.interfaces import (
    Configurable,
    Count,
    Layer,
    Loss,
    Metric,
    NonNegative,
    Optimizer,
    Schedule,
    Source,
)
from nnreg.places import Text as SpecText
from nnreg.places import child
from nnreg.registry import Entry, Registry, installed
from nnreg.settings import EarlyStopping, StartFrom, Train

Share: TypeAlias = Annotated[float, Interval(gt=0, lt=1)]
Text: TypeAlias = Annotated[str, Len(1)]
SpecSource: TypeAlias = "str | Path | Mapping[str, Any] | Document"


@dataclass(frozen=True)
class Split(Configurable):
    """Which rows are held out: a share of them, or a file of their own.

    Validation steers the training (early stopping, best weights); the test part is looked at once,
    at the end. The rows are drawn from the seed. `stratify` keeps the shares of the classes, and
    `group` together the rows that have the same value in a column, such as those of a patient.
    `order` draws nothing: the training part has the earliest rows by a column of numbers or ISO
    dates, or with `true` the first in the file; then comes validation, then test. Neither column is
    an input unless `inputs` has it.
    """

    validation: Share | Text | None = None
    test: Share | Text | None = None
    stratify: bool = False
    group: Text | None = None
    order: Text | bool = False

    def __post_init__(self) -> None:
        if self.order and (self.stratify or self.group):
            other = "stratify" if self.stratify else "group"
            raise ValueError(f"the order settles which rows are held out; leave out {other!r}")
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

    Examples count the same in training unless they have weights: `sample_weights` is the column of
    them, numbers from 0, and never an input; `class_weights` gives those of the classes, 1 for one
    that it leaves out, or is `balanced`: all classes have the same sum. The weights multiply, and
    are divided by their mean, so that the loss of an epoch is Σ w · loss / Σ w. What is measured,
    held-out parts and metrics, counts every row once.
    """

    inputs: Annotated[tuple[Text, ...], Len(1)] | None = None
    exclude: tuple[Text, ...] = ()
    columns: dict[str, Literal["number", "words"]] = field(default_factory=dict)
    missing: Literal["refuse", "impute"] = "refuse"
    unseen: Literal["refuse", "ignore"] = "refuse"
    scaling: Literal["standard", "none"] = "standard"
    target_scaling: Literal["standard", "none"] = "none"
    class_weights: Literal["balanced"] | dict[str, NonNegative] | None = None
    sample_weights: Text | None = None

    def __post_init__(self) -> None:
        if self.sample_weights in (self.inputs or ()):
            raise ValueError(f"the weights in {self.sample_weights!r} cannot be an input too")


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
    their last step, and where they are raised on resuming, the longer plan counts from there on.

    `requires` names distributions as `pip install` takes them, such as `nnreg-mish>=1.2`; a spec
    whose requirements are not met is not read further.
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


SECTIONS = (Split, Data, Model, Train, EarlyStopping, StartFrom, Checkpoint)
"""The classes that `Spec` is made of."""


@dataclass(frozen=True)
class Document:
    """A spec that was read: its sections, the JSON they came from, and who provides what it names.

    `tree` is the whole spec, with what it extends, its variables and the changes of `--set`.
    Relative paths in it start at `folder`; `origin` says where it came from. `registry` is what it
    was read with, and what everything made of it asks. `texts` are the files as they were given,
    the spec's own the last, to which `changes` such as `train.epochs=5` were made; `origins` says
    which of all these gave a value.
    """

    spec: Spec
    tree: Mapping[str, Any]
    folder: Path
    origin: str
    components: tuple[Entry, ...]
    registry: Registry
    texts: tuple[SpecText, ...]
    origins: Origins
    changes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """A short name for what is made of it."""
        return Path(self.origin).stem

    @property
    def text(self) -> str:
        """The spec as it was given, to the byte."""
        return self.texts[-1].text

    def locating(self) -> AbstractContextManager[None]:
        """Say of a `SpecError` that is raised meanwhile in which line its problems are."""
        return self.origins.locating(self.origin)


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

    A file may extend others and name environment variables (see `composing`); a mapping is taken as
    it is. `overrides` are changes such as `train.epochs=5`. An `nnregfile.py` in the folder of a
    file is loaded as a plugin. `written_by` has the versions of components from which their options
    are migrated; the document then has all options, as they are now. Raises `SpecError` with every
    problem, `MissingPluginError` for what the spec requires and is not installed.
    """
    overrides = each_of(overrides)
    if isinstance(source, Document) and not (overrides or folder or registry or written_by):
        return source
    composed, base, origin, beside = _composed(source)
    earlier: tuple[str, ...] = ()
    if isinstance(source, Document):
        registry, earlier = registry or source.registry, source.changes
    if not isinstance(composed.tree, Mapping):
        raise SpecError([Problem("$", "must be a JSON object with a model, a loss, …")], origin)
    changed, origins = copy.deepcopy(dict(composed.tree)), composed.origins.copy()
    changes = each_of(overrides)
    for change in changes:
        override(changed, change, origins)
    with origins.locating(origin):
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
    used, base, changes = tuple(reader.used.values()), folder or base, (*earlier, *changes)
    return Document(spec, changed, base, origin, used, registry, composed.texts, origins, changes)


def _composed(source: SpecSource) -> tuple[Composed, Path, str, Path | None]:
    """Return a spec's tree, the folder its paths begin at, its name, and that of `nnregfile.py`."""
    if isinstance(source, Document):
        whole = Composed(source.tree, source.origins, source.texts)
        return whole, source.folder, source.origin, None
    if isinstance(source, Mapping):
        tree = _plain(source)
        text = SpecText("spec", json.dumps(tree, indent=2) + "\n")
        return Composed(tree, Origins(), (text,)), Path.cwd(), "spec", None
    name = str(source)
    if name == "-":
        return compose(name), Path.cwd(), "spec", None
    return compose(name), Path(name).resolve().parent, name, Path(name).parent


def _plain(tree: Mapping[str, Any]) -> Any:
    """Check a spec built in Python as strictly as one from a file."""
    if EXTENDS in tree:
        problem = "only a spec in a file extends others; give its name, and changes as overrides"
        raise SpecError([Problem(child("$", EXTENDS), problem)])
    try:
        return jsonc.loads(json.dumps(tree))
    except (TypeError, ValueError, RecursionError) as error:
        raise SpecError([Problem("$", f"not expressible as JSON: {error}")]) from error
