"""A starter spec from a data file: what to predict, from which columns, and with what network."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnreg import jsonc
from nnreg.assembly import with_data
from nnreg.composing import literal, replace_texts
from nnreg.data.loading import divide, read_table
from nnreg.data.survey import Column, markers, survey
from nnreg.data.tables import times
from nnreg.errors import DataError, UsageError, nearest
from nnreg.interfaces import Shape, Source, Table
from nnreg.model import Model
from nnreg.registry import Registry, installed
from nnreg.schema import Reader, read
from nnreg.spec import read_spec

DELIMITERS = ",;\t|"

TARGETS = (
    "target", "label", "labels", "class", "classes", "y", "species", "category", "digit", "outcome",
    "diagnosis", "survived", "churn", "result", "response", "quality", "price",
)  # fmt: skip
"""Names that a column to be predicted often has, the surest first."""

UNEVEN = 2
"""A class that has less than one in so many of its even share of the rows is rare."""

NAMELESS = "the column without a name"

MOST_NAMED = 6
"""The most columns that a comment names."""


@dataclass(frozen=True)
class Proposal:
    """A spec, and why it is as it is: comments by the path of what they are about.

    `target` is the column that it predicts, and `why` says how that was chosen; `columns` are all
    there are, `inputs` those it predicts from, and `left_out` says why the others are no inputs.
    """

    tree: dict[str, Any]
    comments: dict[str, str]
    target: str
    why: str
    columns: Mapping[str, Column]
    inputs: tuple[str, ...]
    left_out: Mapping[str, str]

    def text(self) -> str:
        """Return the spec as a file with comments."""
        tree = replace_texts(self.tree, lambda _, text: literal(text))
        return jsonc.dumps(tree, self.comments)


def propose(
    data: str | os.PathLike[str],
    target: str | None = None,
    *,
    folder: str | os.PathLike[str] = ".",
    registry: Registry | None = None,
) -> Proposal:
    """Return a spec that runs as it is, for a data file, to lie in `folder`.

    Without a `target` the column is guessed, by its name or because it is the last one. Raises
    `DataError` for a file that cannot be read or in which there is nothing to learn, `UsageError`
    for a target that is no column.
    """
    path, registry = Path(data), registry or installed()
    source, table = _read(path, registry)
    columns = survey(table)
    found, why = _target(columns, target, table.origin)
    if found.missing:
        raise DataError(
            f"{path}: the target {found.name!r} is missing in {found.missing:,} of {found.rows:,} "
            "rows; remove these, or choose another column with --target"
        )
    left_out = _left_out(columns, found)
    inputs = tuple(name for name in columns if name != found.name and name not in left_out)
    if not inputs:
        reasons = "; ".join(f"{name!r} {reason}" for name, reason in left_out.items())
        raise DataError(f"{path}: no column is left to predict {found.name!r} from: {reasons}")
    named = os.path.relpath(path, folder)
    chosen = [columns[name] for name in inputs]
    draft = _Draft(found, chosen, left_out, _moments(table, columns))
    for split in draft.splits():
        tree = draft.tree(source, named, split)
        if _runs(tree, table, registry):
            break
    size = f"{_counted(found.rows, 'row')} and {_counted(len(columns), 'column')}"
    comments = {"$": f"{path.name} has {size}. `nnreg show NAME` explains what is named here."}
    comments |= draft.comments(tree, why)
    return Proposal(tree, comments, found.name, why, columns, inputs, left_out)


def _read(path: Path, registry: Registry) -> tuple[Any, Table]:
    """Return a file's source as a spec names it, and its table, in which markers are missing."""
    name = _source(path, registry)
    options: dict[str, Any] = {"type": name}
    if name == "csv" and (delimiter := _delimiter(path)) != ",":
        options["delimiter"] = delimiter
    source = read(Source, options, Reader(registry))
    table = read_table(source, path)
    words = getattr(source, "missing", None)  # only text has any
    if words is not None and (found := markers(survey(table))):
        options["missing"] = [*words, *found]
        table = read_table(read(Source, options, Reader(registry)), path)
    return options if len(options) > 1 else name, table


def _source(path: Path, registry: Registry) -> str:
    """Return the name of the source for files that are called so."""
    sources = {one.name: one.cls for one in registry if issubclass(one.cls, Source)}
    name = "/" if path.is_dir() else path.name.lower().removesuffix(".gz")
    for known, cls in sources.items():
        if name.endswith(cls.suffixes):
            return known
    endings = ", ".join(sorted(suffix for cls in sources.values() for suffix in cls.suffixes))
    raise UsageError(f"{path}: no source is known for files of such a name; expected {endings}")


def _delimiter(path: Path) -> str:
    """Return the delimiter that the first line of a file has most of."""
    try:
        opened = gzip.open if path.suffix.lower() == ".gz" else open
        with opened(path, "rt", encoding="latin-1") as file:
            line = file.readline(100_000)
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot read the data: {reason}") from error
    return max(DELIMITERS, key=line.count)


def _target(columns: Mapping[str, Column], asked: str | None, origin: str) -> tuple[Column, str]:
    """Return the column to predict, and why it is this one."""
    if asked is not None:
        if asked not in columns:
            raise UsageError(f"{origin}: no column {asked!r}{nearest(asked, columns)}")
        if problem := columns[asked].unpredictable:
            raise DataError(f"{origin}: {asked!r} cannot be predicted: it {problem}")
        return columns[asked], "it was asked for"
    fitting = [one for one in columns.values() if not one.unpredictable and not one.missing]
    if not fitting:
        raise UsageError(f"{origin}: no column looks like a target; choose one with --target")
    for name in TARGETS:
        for one in fitting:
            if one.name.lower() == name:
                return one, "its name is that of a target"
    return fitting[-1], "it is the last column that can be predicted"


def _moments(table: Table, columns: Mapping[str, Column]) -> str:
    """Return the first column that says when a row was, as a split can go by it; or nothing."""
    for one in columns.values():
        with suppress(DataError):
            if one.dates and len(times(table, one.name)):
                return one.name
    return ""


def _left_out(columns: Mapping[str, Column], target: Column) -> dict[str, str]:
    """Return the columns that are no inputs, each with the reason."""
    others = [one for one in columns.values() if one.name != target.name]
    arrays = [one for one in others if one.kind == "arrays"]
    if arrays:
        image = max(arrays, key=lambda one: len(one.shape))
        reason = f"cannot go together with the arrays of {image.name!r}"
        return {one.name: reason for one in others if one is not image}
    return {one.name: one.unfit for one in others if one.unfit}


def _runs(tree: Mapping[str, Any], table: Table, registry: Registry) -> bool:
    """Tell whether the rows can be divided so, and used: a rare class may be in one part only."""
    document = read_spec(tree, registry=registry)
    data, spec = document.spec.data, document.spec
    assert data is not None  # a proposal has it
    of_classes, integer = spec.loss.of_classes or spec.loss.takes_labels, False
    try:
        preprocessing, parts = divide(
            table, data.targets, data, data.split, spec.seed,
            of_classes=of_classes, integer_input=integer,
        )  # fmt: skip
        with_data(Model(document, preprocessing), parts)
    except DataError:
        return False
    return True


@dataclass(frozen=True)
class _Draft:
    """What there is to learn, and how."""

    target: Column
    inputs: Sequence[Column]
    left_out: Mapping[str, str]
    moments: str

    @property
    def rows(self) -> int:
        return self.target.rows

    @property
    def uneven(self) -> bool:
        """Whether some classes are much rarer than others."""
        return self.target.least * self.target.distinct * UNEVEN < self.rows

    @property
    def shape(self) -> Shape:
        """The shape of an example, as the network takes it."""
        if self.inputs[0].kind == "arrays":
            return self.inputs[0].shape
        return (sum(one.distinct if one.kind == "words" else 1 for one in self.inputs),)

    @property
    def images(self) -> bool:
        """Whether examples are pictures: two sides of about the same size, and perhaps colours."""
        sides, colours = self.shape[:2], self.shape[2:]
        if len(sides) < 2 or colours not in ((), (1,), (2,), (3,), (4,)):
            return False
        return min(sides) >= 4 and max(sides) <= 4 * min(sides)

    def splits(self) -> Iterable[dict[str, Any]]:
        """Return how the rows may be divided, the best first; the last one holds out nothing."""
        stratify = {"stratify": True} if self.target.of_classes else {}
        for least, shares in ((40, {"validation": 0.15, "test": 0.2}), (10, {"validation": 0.2})):
            if self.rows >= least:
                yield {**shares, **stratify}
                yield shares
        yield {}

    def tree(self, source: Any, path: str, split: Mapping[str, Any]) -> dict[str, Any]:
        """Return the spec."""
        classes = self.target.of_classes
        output = {"units": "classes", "activation": "softmax"} if classes else {"units": 1}
        metrics = ["accuracy", "f1"] if self.uneven else ["accuracy"]
        return {
            "seed": 0,
            "data": self._data(source, path, split),
            "model": {"layers": [*self._hidden(), {"type": "dense", **output}]},
            "loss": "cross_entropy" if classes else "mean_squared_error",
            "optimizer": {"type": "adam", "learning_rate": 0.001 if self.images else 0.003},
            "metrics": metrics if classes else ["r2", "mean_absolute_error"],
            "train": self._train(bool(split)),
        }

    def _data(self, source: Any, path: str, split: Mapping[str, Any]) -> dict[str, Any]:
        data: dict[str, Any] = {"source": source, "path": path, "target": self.target.name}
        if self.inputs[0].kind == "arrays" or "" in self.left_out:  # which no spec can name
            data["inputs"] = [one.name for one in self.inputs]
        elif self.left_out:
            data["exclude"] = list(self.left_out)
        if any(one.missing for one in self.inputs):
            data["missing"] = "impute"
        if any(one.kind == "words" for one in self.inputs):
            data["unseen"] = "ignore"
        if not self.target.of_classes:
            data["target_scaling"] = "standard"
        return {**data, "split": dict(split)} if split else data

    def _hidden(self) -> list[dict[str, Any]]:
        """Return the layers before the last one: the more rows, the larger the network."""
        relu = {"activation": "relu"}
        layers: list[dict[str, Any]] = []
        if self.images:
            side = min(self.shape[:2])
            for filters in (16, 32, 64):
                layers.append(
                    {"type": "conv2d", "filters": filters, "kernel": 3, "padding": "same", **relu}
                )
                if side >= 16 or (filters > 16 and side >= 4):
                    layers.append({"type": "max_pool2d", "size": 2})
                    side //= 2
                if side < 8 and filters > 16:
                    break
        if len(self.shape) > 1:
            layers.append({"type": "flatten"})
        units = next(units for least, units in HIDDEN.items() if self.rows >= least)
        if self.rows >= 1000:
            layers.append({"type": "dropout", "rate": 0.2})
        return [*layers, *({"type": "dense", "units": count, **relu} for count in units)]

    def _train(self, held_out: bool) -> dict[str, Any]:
        """Return how to train: the more rows, the larger the batches and the fewer the epochs."""
        epochs = next(epochs for least, epochs in EPOCHS.items() if self.rows >= least)
        batch = next(batch for least, batch in BATCHES.items() if self.rows >= least)
        train: dict[str, Any] = {"epochs": epochs, "batch_size": batch}
        if held_out:
            train["early_stopping"] = {"patience": max(epochs // 6, 5)}
        return train

    def comments(self, tree: Mapping[str, Any], why: str) -> dict[str, str]:
        """Return why the spec is as it is, by the paths of what it is about."""
        target, data = self.target, tree["data"]
        if target.of_classes:
            kind = f"{target.distinct:,} classes, the rarest in {_counted(target.least, 'row')}"
        else:
            kind = f"Numbers, {target.distinct:,} different"
        gaps = sum(one.missing for one in self.inputs)
        words = any(one.kind == "words" for one in self.inputs)
        found = {
            "$.data.target": f"{kind}. Taken because {why}.",
            "$.data.inputs": _listed(self.left_out),
            "$.data.exclude": _listed(self.left_out),
            "$.data.missing": f"{_counted(gaps, 'missing value')}: a number is taken for the mean, "
            "a word for the most frequent one.",
            "$.data.unseen": "A word that is met for the first time after training is no error.",
            "$.data.target_scaling": "Learned in units of its own spread; predictions are in the "
            "target's own units.",
            "$.data.split": self._split_comment(data.get("split", {})),
            "$.model": f"An example is {_shape_text(self.shape)}"
            f"{', each word being one that is 0 or 1' if words else ''}.",
            "$.metrics": "Some classes are rare: f1 counts each class alike, accuracy each row. To "
            'have training do so too: "class_weights": "balanced" in data.',
            "$.train": "It stops when the loss of the validation part has not fallen for so long.",
        }
        there = {"$.data.target", "$.model", *(f"$.data.{key}" for key in data)}
        there |= {"$.metrics"} if "f1" in tree["metrics"] else set()
        there |= {"$.train"} if "early_stopping" in tree["train"] else set()
        return {path: text for path, text in found.items() if path in there and text}

    def _split_comment(self, split: Mapping[str, Any]) -> str:
        text = "Validation says when to stop, the test part is looked at once, at the end."
        if "test" not in split:
            text = "Validation says when to stop."
        if "stratify" in split:
            text = f"{text} Each has the classes in proportion."
        if self.moments:
            order = json.dumps({key: split[key] for key in split if key != "stratify"})
            name = json.dumps(self.moments, ensure_ascii=False)
            text += f'\nTo hold out the latest rows instead: {order[:-1]}, "order": {name}}}'
        return text


HIDDEN = {10_000: (128, 64), 1_000: (64, 32), 200: (32,), 0: (16,)}
EPOCHS = {20_000: 30, 1_000: 60, 0: 200}
BATCHES = {20_000: 128, 2_000: 64, 300: 32, 0: 16}
"""Sizes by the least number of rows from which on they are taken."""


def _listed(reasons: Mapping[str, str]) -> str:
    """Return columns with the reasons why they are left out, each reason once."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    lines = []
    for reason, those in names.items():
        more = f" and {len(those) - MOST_NAMED:,} more" if len(those) > MOST_NAMED else ""
        are, it = ("is", "it") if len(those) == 1 else ("are", "each")
        listed = f"{', '.join(name or NAMELESS for name in those[:MOST_NAMED])}{more}"
        lines.append(f"{listed} {are} left out: {it} {reason}.")
    return "\n".join(lines)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _shape_text(shape: Shape) -> str:
    return _counted(shape[0], "number") if len(shape) == 1 else " x ".join(map(str, shape))
