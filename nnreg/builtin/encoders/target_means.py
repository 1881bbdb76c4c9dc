"""Encoders of categories by the targets of their rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self

import numpy as np
from annotated_types import Ge

from nnreg._types import Array, Shape
from nnreg._utils.statistics import mean_and_deviation, scale_of, standardize
from nnreg.builtin.encoders.categories import category_counts, positions_of_rows, require_distinct
from nnreg.interfaces.component import NonNegative, Positive
from nnreg.interfaces.encoder import Encoder, RawColumn, learned
from nnreg.operations.functions import gather


@dataclass(frozen=True)
class TargetMean(Encoder):
    """A category as the mean of the target over its training rows, smoothed.

    y = (w · mean of the category + (1 - w) · mean of all - center) / scale

    There is one value per target that is a number; of two classes, it is the rate of the second, of
    more there is the rate of each. Categories that are not in the training rows, and missing values
    where `data.missing` is "indicate", have the mean of all training rows.

    The rows of the training split are encoded out of fold: each with the means of the rows in the
    other folds, so that no row knows its own target. Later rows are encoded with the means of all
    training rows. The folds are drawn with a fixed seed, so that they depend on the number of rows
    alone. Micci-Barreca 2001; scikit-learn's TargetEncoder is the same with `scaling` "none".

    Options:
        smoothing: "auto" for w = n · var / (n · var + var of the category), with n the rows of the
            category and var the variance of all, so that a category of one row is not smoothed; or
            a number m for w = n / (n + m)
        folds: number of folds, >= 2
        scaling: "standard" for the mean and standard deviation of these means over the training
            rows as center and scale, "none" for 0 and 1

    Learned:
        categories: those of the training rows, sorted
        means: of each category, the smoothed means
        overall: the means of all training rows
        center: subtracted
        scale: divided by
    """

    takes = "text"
    takes_missing = True
    takes_target = True
    numeric = True

    smoothing: Literal["auto"] | NonNegative = "auto"
    folds: Annotated[int, Ge(2)] = 5
    scaling: Literal["standard", "none"] = "standard"
    categories: tuple[str, ...] = learned(())
    means: tuple[tuple[float, ...], ...] = learned(())
    overall: tuple[float, ...] = learned((0.0,))
    center: tuple[float, ...] = learned((0.0,))
    scale: tuple[Positive, ...] = learned((1.0,))

    def __post_init__(self) -> None:
        require_distinct("categories", self.categories, self.categories)
        each = (self.overall, self.center, self.scale, *self.means)
        if len({*map(len, each)}) > 1 or not self.overall:
            raise ValueError("overall: must have as many values as center, scale and each mean")
        if len(self.means) != len(self.categories):
            raise ValueError("means: must be as many as there are categories")

    @property
    def shape(self) -> Shape:
        """One value per target, or per class of more than two."""
        return (len(self.overall),)

    @property
    def known_texts(self) -> tuple[str, ...]:
        """The categories."""
        return self.categories

    def learn(self, column: RawColumn) -> Self:
        """Return the encoder with the means of the categories."""
        names = tuple(sorted(category_counts(column.categories)))
        target = column.target
        assert target is not None  # it takes one
        codes, values = _codes(column, names), _values(target, _width(target))
        means, overall = self._means(codes, values, len(names))
        center, deviation = mean_and_deviation(means[codes])
        scale = scale_of(center, deviation)
        if self.scaling == "none":
            center, scale = np.zeros_like(center), np.ones_like(scale)
        return replace(
            self,
            categories=names,
            means=tuple(map(tuple, means.tolist())),
            overall=tuple(overall.tolist()),
            center=tuple(center.tolist()),
            scale=tuple(scale.tolist()),
        )

    def encode(self, column: RawColumn) -> Array:
        """Return the means of the categories."""
        means = np.reshape(self.means, (len(self.categories), len(self.overall)))
        table = standardize(np.vstack([means, self.overall]), self.center, self.scale)
        return table[_codes(column, self.categories)]

    def infer(self, column: Any) -> Any:
        """Return the means of the categories."""
        means = np.reshape(self.means, (len(self.categories), len(self.overall)))
        table = standardize(np.vstack([means, self.overall]), self.center, self.scale)
        known = column.positions(self.categories)
        return gather(table, np.where(known < 0, len(self.categories), known))

    def encode_training(self, column: RawColumn) -> Array:
        """Return for each row the mean of its category over the rows of the other folds."""
        target, codes = column.target, _codes(column, self.categories)
        assert target is not None  # it takes one
        values = _values(target, len(self.overall))
        encoded = np.empty((len(codes), len(self.overall)))
        order = np.random.default_rng(0).permutation(len(codes))
        for held_out in np.array_split(order, self.folds):
            others = np.ones(len(codes), bool)
            others[held_out] = False
            means, overall = self._means(codes[others], values[others], len(self.categories))
            encoded[held_out] = np.vstack([means, overall])[codes[held_out]]
        return standardize(encoded, self.center, self.scale)

    def _means(self, codes: Array, values: Array, count: int) -> tuple[Array, Array]:
        """Return the smoothed means of categories, and the means of all rows."""
        if not len(values):
            overall = np.array(self.overall)
            return np.tile(overall, (count, 1)), overall
        rows = np.bincount(codes, minlength=count + 1)[:count, None]
        overall = values.mean(axis=0)
        means = _sums(codes, values, count) / np.maximum(rows, 1)
        if self.smoothing == "auto":
            variance = values.var(axis=0)
            deviations = values - np.vstack([means, overall])[codes]
            own = _sums(codes, deviations**2, count) / np.maximum(rows, 1)
            total = rows * variance + own
            weight = np.divide(rows * variance, total, out=np.zeros_like(total), where=total > 0)
        else:
            total = rows + self.smoothing
            weight = np.divide(rows, total, out=np.zeros(total.shape), where=total > 0)
        return weight * means + (1 - weight) * overall, overall


def _codes(column: RawColumn, names: tuple[str, ...]) -> Array:
    """Return the number of each row's category among these names; their count for others."""
    return positions_of_rows(column.categories, names, missing=len(names))


def _width(target: Array) -> int:
    """Return the number of values whose means are taken."""
    if target.ndim > 1 or target.dtype.kind == "f":
        return math.prod(target.shape[1:])
    classes = int(target.max(initial=1)) + 1
    return classes if classes > 2 else 1


def _values(target: Array, width: int) -> Array:
    """Return the numbers `(rows, width)` whose means are taken."""
    if target.ndim > 1 or target.dtype.kind == "f":
        return target.reshape(len(target), width).astype(np.float64)
    classes = np.arange(width) if width > 1 else np.array([1])
    found: Array = np.equal(target[:, None], classes).astype(np.float64)
    return found


def _sums(codes: Array, values: Array, count: int) -> Array:
    """Return the sum of the rows of each category, `(count, values)`."""
    columns = [np.bincount(codes, column, count + 1)[:count] for column in values.T]
    return np.stack(columns, axis=1)
