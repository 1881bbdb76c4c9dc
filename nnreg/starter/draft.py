"""The draft of a starter spec: its data, split, network and training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnreg._types import Shape
from nnreg.starter.column_facts import ColumnFacts
from nnreg.starter.network_plan import (
    NetworkPlan,
    convolutions,
    plan_for_arrays,
    plan_for_series,
    plan_for_table,
)
from nnreg.starter.series import SeriesProposal

IMBALANCE_RATIO = 2
"""A class with fewer than `1 / IMBALANCE_RATIO` of the mean rows per class is rare."""

RARE = 0.2
"""Of two classes, the rarer one is rare below this fraction of the rows."""

EMBEDDING_UNITS = 8
"""The length of the vector of a category."""

MIN_HELD_OUT = 10
"""With fewer rows, none are held out."""

MANY_ROWS = 20_000
"""With as many, a test split costs little."""


@dataclass(frozen=True)
class SpecDraft:
    """The target and inputs of a starter spec, from which its sections follow.

    `excluded` has the reasons why other columns are not inputs. `time_column` is a column with the
    time of each row, if there is one. Of a time series, `series` has the windows; its inputs are
    those besides the past of the target.
    """

    target: ColumnFacts
    inputs: Sequence[ColumnFacts]
    excluded: Mapping[str, str]
    time_column: str
    series: SeriesProposal | None = None

    @property
    def rows(self) -> int:
        """The number of rows with a target."""
        return self.target.rows - self.target.missing

    @property
    def imbalanced(self) -> bool:
        """Whether some classes are much rarer than others."""
        if self.target.distinct == 2:
            return self.target.smallest < RARE * self.rows
        return self.target.smallest * self.target.distinct * IMBALANCE_RATIO < self.rows

    @property
    def arrays(self) -> bool:
        """Whether an example is an array."""
        return any(one.kind == "arrays" for one in self.inputs)

    @property
    def shape(self) -> Shape:
        """The shape of an example, as the network receives it, without bins and words of texts."""
        if self.arrays:
            return self.inputs[0].shape
        return (sum(one.width for one in self.inputs),)

    @property
    def images(self) -> bool:
        """Whether examples are images: two sides of similar length, and optionally channels."""
        sides, channels = self.shape[:2], self.shape[2:]
        if len(sides) < 2 or channels not in ((), (1,), (2,), (3,), (4,)):
            return False
        return min(sides) >= 4 and max(sides) <= 4 * min(sides)

    @property
    def plan(self) -> NetworkPlan:
        """The network that suits the rows and the inputs; others are its `alternatives`."""
        if self.series:
            return plan_for_series(self.rows)
        if self.arrays:
            return plan_for_arrays(self.rows, images=self.images)
        return plan_for_table(
            self.rows,
            sum(one.kind == "numbers" and one.encoder is None for one in self.inputs),
            self.shape[0],
            texts=any(one.kind == "texts" for one in self.inputs),
        )

    def splits(self, plan: NetworkPlan) -> Iterable[dict[str, Any]]:
        """Return candidate splits for a plan, the best first; the last one holds out no rows."""
        stratify = {"stratify": True} if self.target.classification else {}
        for fractions in self._fractions(plan.members):
            yield {**fractions, **stratify}
            if stratify:
                yield fractions
        yield {}

    def _fractions(self, members: int) -> Iterable[dict[str, Any]]:
        test = {"test": 0.1} if self.rows >= MANY_ROWS else {}
        if self.series:
            yield {"validation": 0.15, "test": 0.15}
        elif self.arrays and self.rows >= 40:
            yield {"validation": 0.15, "test": 0.2}
        elif self.rows >= MIN_HELD_OUT and members > 1:
            yield {"member_folds": True, **test}
        elif self.rows >= 100:
            yield {"validation": 0.1, **test}
        if self.rows >= MIN_HELD_OUT:
            yield {"validation": 0.2}

    def tree(
        self, source: Any, path: str, split: Mapping[str, Any], plan: NetworkPlan
    ) -> dict[str, Any]:
        """Return the spec."""
        classes = self.target.classification
        output = {"units": "classes", "activation": "softmax"} if classes else {"units": 1}
        layers = [*self._first_layers(), *plan.hidden, {"type": "dense", **output}]
        layers = self.series.layers if self.series else layers
        members = {"members": plan.members} if plan.members > 1 else {}
        return {
            "seed": 0,
            "data": self._data(source, path, split, plan),
            "model": {**members, "layers": layers},
            "loss": "cross_entropy" if classes else "mean_squared_error",
            "optimizer": plan.optimizer,
            "metrics": self._metrics(),
            "train": plan.train(bool(split)),
        }

    def _first_layers(self) -> list[dict[str, Any]]:
        if self.images:
            return convolutions(self.shape, self.rows)
        if len(self.shape) > 1:
            return [{"type": "flatten"}]
        if any(one.many_categories for one in self.inputs):
            return [{"type": "column_embedding", "units": EMBEDDING_UNITS}]
        return []

    def _metrics(self) -> list[str]:
        if self.series:
            return ["mean_absolute_error"]
        if not self.target.classification:
            return ["r2", "mean_absolute_error"]
        if not self.imbalanced:
            return ["accuracy"]
        return ["accuracy", "f1", "auc"] if self.target.distinct == 2 else ["accuracy", "f1"]

    def _data(
        self, source: Any, path: str, split: Mapping[str, Any], plan: NetworkPlan
    ) -> dict[str, Any]:
        data: dict[str, Any] = {"source": source, "path": path, "target": self.target.name}
        if self.target.missing:
            data["missing_target"] = "drop"
        if self.arrays or "" in self.excluded:  # a spec cannot name it
            data["inputs"] = [one.name for one in self.inputs]
        elif self.excluded:
            data["exclude"] = list(self.excluded)
        if any(one.missing for one in self.inputs):
            data["missing"] = "indicate"
        if any(one.refuses_unseen for one in self.inputs):
            data["unseen"] = "ignore"
        if self.series:
            data["window"] = self.series.window
        if plan.numbers is not None:
            data["numbers"] = plan.numbers
        if encoders := self._encoders():
            data["columns"] = encoders
        if not self.target.classification:
            data["target_scaling"] = "standard"
        return {**data, "split": dict(split)} if split else data

    def _encoders(self) -> dict[str, Any]:
        """Return the encoders of columns that are not inferred."""
        found = {one.name: one.encoder for one in self.inputs if one.encoder is not None}
        return {**found, self.target.name: self.target.encoder} if self.target.format else found
