"""The draft of a starter spec: split, network, training, and the reasons as comments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnreg._types import Shape
from nnreg._utils import json_text
from nnreg._utils.formatting import counted
from nnreg.starter.column_summary import MAX_CATEGORIES, ColumnFacts

HIDDEN_UNITS = {10_000: (128, 64), 1_000: (64, 32), 200: (32,), 0: (16,)}
EPOCHS = {20_000: 30, 1_000: 60, 0: 200}
BATCH_SIZES = {20_000: 128, 2_000: 64, 300: 32, 0: 16}
"""Sizes by the minimum number of rows for which they are used."""

IMBALANCE_RATIO = 2
"""A class with fewer than `1 / IMBALANCE_RATIO` of the mean rows per class is rare."""

NAMELESS = "the column without a name"

MAX_NAMED = 6
"""The maximum number of columns named in a comment."""


@dataclass(frozen=True)
class SpecDraft:
    """The target and inputs of a starter spec, from which its sections follow.

    `excluded` has the reasons why other columns are not inputs. `time_column` is a column with the
    time of each row, if there is one.
    """

    target: ColumnFacts
    inputs: Sequence[ColumnFacts]
    excluded: Mapping[str, str]
    time_column: str

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.target.rows

    @property
    def imbalanced(self) -> bool:
        """Whether some classes are much rarer than others."""
        return self.target.smallest * self.target.distinct * IMBALANCE_RATIO < self.rows

    @property
    def shape(self) -> Shape:
        """The shape of an example, as the network receives it."""
        if self.inputs[0].kind == "arrays":
            return self.inputs[0].shape
        return (sum(one.width for one in self.inputs if one.kind != "texts"),)

    @property
    def _texts(self) -> list[str]:
        return [one.name for one in self.inputs if one.kind == "texts"]

    @property
    def images(self) -> bool:
        """Whether examples are images: two sides of similar length, and optionally channels."""
        sides, channels = self.shape[:2], self.shape[2:]
        if len(sides) < 2 or channels not in ((), (1,), (2,), (3,), (4,)):
            return False
        return min(sides) >= 4 and max(sides) <= 4 * min(sides)

    def splits(self) -> Iterable[dict[str, Any]]:
        """Return candidate splits, the best first; the last one holds out no rows."""
        stratify = {"stratify": True} if self.target.classification else {}
        for least, fractions in (
            (40, {"validation": 0.15, "test": 0.2}),
            (10, {"validation": 0.2}),
        ):
            if self.rows >= least:
                yield {**fractions, **stratify}
                yield fractions
        yield {}

    def tree(self, source: Any, path: str, split: Mapping[str, Any]) -> dict[str, Any]:
        """Return the spec."""
        classes = self.target.classification
        output = {"units": "classes", "activation": "softmax"} if classes else {"units": 1}
        metrics = ["accuracy", "f1"] if self.imbalanced else ["accuracy"]
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
        if self.inputs[0].kind == "arrays" or "" in self.excluded:  # a spec cannot name it
            data["inputs"] = [one.name for one in self.inputs]
        elif self.excluded:
            data["exclude"] = list(self.excluded)
        if any(one.missing for one in self.inputs):
            data["missing"] = "indicate"
        if any(one.kind == "categories" for one in self.inputs):
            data["unseen"] = "ignore"
        if any(one.many_categories for one in self.inputs):
            data["max_categories"] = MAX_CATEGORIES
        if encoders := self._encoders():
            data["columns"] = encoders
        if not self.target.classification:
            data["target_scaling"] = "standard"
        return {**data, "split": dict(split)} if split else data

    def _encoders(self) -> dict[str, Any]:
        """Return the encoders of columns that are not inferred."""
        written = {one.name: one.format for one in (*self.inputs, self.target) if one.format}
        numbers = {name: {"type": "number", "format": one} for name, one in written.items()}
        return {**dict.fromkeys(self._texts, "tf_idf"), **numbers}

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
        units = next(units for least, units in HIDDEN_UNITS.items() if self.rows >= least)
        if self.images:
            units = units[:1]  # the convolutions do most of the work
            if self.rows >= 1000:  # never on raw inputs, where it hides values from the network
                layers.append({"type": "dropout", "rate": 0.2})
        return [*layers, *({"type": "dense", "units": count, **relu} for count in units)]

    def _train(self, held_out: bool) -> dict[str, Any]:
        """Return the section `train`: with more rows, larger batches and fewer epochs."""
        epochs = next(epochs for least, epochs in EPOCHS.items() if self.rows >= least)
        batch = next(batch for least, batch in BATCH_SIZES.items() if self.rows >= least)
        train: dict[str, Any] = {"epochs": epochs, "batch_size": batch}
        if held_out:
            train["early_stopping"] = {"patience": max(epochs // 6, min(epochs // 4, 15))}
        return train

    def comments(self, tree: Mapping[str, Any], why: str) -> dict[str, str]:
        """Return the reasons for the spec's values, by JSON path."""
        target, data = self.target, tree["data"]
        if target.classification:
            kind = f"{target.distinct:,} classes, the rarest in {counted(target.smallest, 'row')}"
        else:
            kind = f"Numeric, {target.distinct:,} distinct values"
        missing = sum(one.missing for one in self.inputs)
        found = {
            "$.data.target": f"{kind}. Chosen because {why}.",
            "$.data.inputs": _listed(self.excluded),
            "$.data.exclude": _listed(self.excluded),
            "$.data.columns": _encoders_comment((*self.inputs, target)),
            "$.data.missing": f"{counted(missing, 'missing value')}: a category of its own; a "
            "number is imputed with the mean, and a second input says that it was missing.",
            "$.data.max_categories": _many(self.inputs),
            "$.data.unseen": "An unknown category, one not seen in training, is not an error.",
            "$.data.target_scaling": "The target is standardized for training; predictions are "
            "in its own units.",
            "$.data.split": self._describe_split(data.get("split", {})),
            "$.model": self._describe_example(),
            "$.metrics": "Some classes are rare: f1 weights each class equally, accuracy each row. "
            'To weight classes equally in training: "class_weights": "balanced" in data.',
            "$.train": "Stops when the validation loss has not fallen for `patience` epochs.",
        }
        present = {"$.data.target", "$.model", *(f"$.data.{key}" for key in data)}
        present |= {"$.metrics"} if "f1" in tree["metrics"] else set()
        present |= {"$.train"} if "early_stopping" in tree["train"] else set()
        return {path: text for path, text in found.items() if path in present and text}

    def _describe_example(self) -> str:
        parts = [f"the frequencies of words in {name}" for name in self._texts]
        if len(parts) < len(self.inputs):
            parts.append(_shape_text(self.shape))
        if any(one.kind == "categories" for one in self.inputs):
            parts[-1] += ", with categories one-hot encoded"
        return f"An example is {' and '.join(parts)}."

    def _describe_split(self, split: Mapping[str, Any]) -> str:
        text = "Validation decides when to stop; the test split is evaluated once, at the end."
        if "test" not in split:
            text = "Validation decides when to stop."
        if "stratify" in split:
            text = f"{text} Each split has the classes in proportion."
        if self.time_column:
            order = json_text.dumps({key: split[key] for key in split if key != "stratify"})
            name = json_text.dumps(self.time_column, ensure_ascii=False)
            text += f'\nTo hold out the latest rows instead: {order[:-1]}, "order": {name}}}'
        return text


def _encoders_comment(inputs: Iterable[ColumnFacts]) -> str:
    """Return why columns have the encoders that they have."""
    lines = []
    if any(one.kind == "texts" for one in inputs):
        lines.append(
            "Texts become the frequencies of their most frequent words, rare words weighted more."
        )
    if any(one.format for one in inputs):
        lines.append("Numbers in text, with a currency or a unit, or separated thousands.")
    return "\n".join(lines)


def _listed(reasons: Mapping[str, str]) -> str:
    """Return the excluded columns, grouped by reason."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    lines = []
    for reason, group in names.items():
        more = f" and {len(group) - MAX_NAMED:,} more" if len(group) > MAX_NAMED else ""
        are, it = ("is", "it") if len(group) == 1 else ("are", "each")
        listed = f"{', '.join(name or NAMELESS for name in group[:MAX_NAMED])}{more}"
        lines.append(f"{listed} {are} excluded: {it} {reason}.")
    return "\n".join(lines)


def _many(inputs: Iterable[ColumnFacts]) -> str:
    names = [one.name or NAMELESS for one in inputs if one.many_categories][:MAX_NAMED]
    return f"The rarer categories, as of {', '.join(names)}, are one more category."


def _shape_text(shape: Shape) -> str:
    return counted(shape[0], "number") if len(shape) == 1 else " x ".join(map(str, shape))
