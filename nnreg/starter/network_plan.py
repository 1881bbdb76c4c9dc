"""The network of a starter spec and its training, by the number of rows and of inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from nnreg._types import Shape

T = TypeVar("T")

UNITS = {200: (256, 256), 0: (128, 128)}
MEMBERS = {200_000: 1, 2_000: 4, 0: 8}
EPOCHS = {200_000: 10, 50_000: 20, 6_000: 40, 2_000: 60, 300: 100, 0: 200}
BATCH_SIZES = {200_000: 512, 50_000: 256, 4_000: 128, 1_300: 64, 300: 32, 0: 16}
"""Those of tables, by the minimum number of rows for which they are used."""

ARRAY_UNITS = {10_000: (128, 64), 1_000: (64, 32), 200: (32,), 0: (16,)}
ARRAY_EPOCHS = {20_000: 30, 1_000: 60, 0: 200}
ARRAY_BATCH_SIZES = {20_000: 128, 2_000: 64, 300: 32, 0: 16}
"""Those of arrays, such as images."""

SERIES_MEMBERS = 5
"""The networks of a time series, as in `benchmarks.real_series`."""

WIDE_UNITS, MIN_WIDE = (64, 64), 50
"""A table is wide if it has more inputs than that, and more than half as many as rows."""

MAX_INPUTS = 2_000, 4_000
"""With more inputs from numbers of 16 bins each, they have 8 bins, or none."""


@dataclass(frozen=True)
class NetworkPlan:
    """The hidden layers, how numbers are encoded for them, and how they are trained.

    `numbers` is `data.numbers`, None for standardized numbers alone. `dropout` follows each hidden
    layer. `ema` is None for the weights themselves.
    """

    units: tuple[int, ...]
    epochs: int
    batch_size: int
    patience: int
    learning_rate: float = 0.003
    activation: str = "silu"
    numbers: Any = None
    ema: float | None = 0.98
    members: int = 1
    dropout: float = 0.0
    weight_decay: float = 0.0

    @property
    def hidden(self) -> list[dict[str, Any]]:
        """The hidden layers."""
        layers: list[dict[str, Any]] = []
        for units in self.units:
            layers.append({"type": "dense", "units": units, "activation": self.activation})
            if self.dropout:
                layers.append({"type": "dropout", "rate": self.dropout})
        return layers

    @property
    def optimizer(self) -> dict[str, Any]:
        """The section `optimizer`."""
        if self.weight_decay:
            decay = {"weight_decay": self.weight_decay}
            return {"type": "adamw", "learning_rate": self.learning_rate, **decay}
        return {"type": "adam", "learning_rate": self.learning_rate}

    def train(self, held_out: bool) -> dict[str, Any]:
        """Return the section `train`; with rows `held_out`, the best epoch is found on these."""
        train: dict[str, Any] = {"epochs": self.epochs, "batch_size": self.batch_size}
        if self.ema is not None:
            train["ema"] = self.ema
        if held_out:
            train["early_stopping"] = {"patience": self.patience}
        return train

    def alternatives(self) -> dict[str, NetworkPlan]:
        """Return plans to compare with this one, by a name of what differs."""
        small = tuple(max(units // 4, 8) for units in self.units[:1])
        found = {
            "a smaller network": replace(self, units=small),
            "dropout and weight decay": replace(self, dropout=0.15, weight_decay=0.05),
        }
        if self.numbers is not None:
            found["standardized numbers"] = replace(self, numbers=None, activation="relu")
        return found


def plan_for_table(rows: int, numbers: int, inputs: int, *, texts: bool) -> NetworkPlan:
    """Return the plan for a table with a number of columns of numbers, and inputs without bins."""
    epochs = by_rows(EPOCHS, rows)
    plan = NetworkPlan(
        by_rows(UNITS, rows),
        epochs,
        by_rows(BATCH_SIZES, rows),
        patience=epochs // 4,
        members=by_rows(MEMBERS, rows),
    )
    if texts or is_wide(rows, inputs):
        return replace(plan, units=WIDE_UNITS, activation="relu", dropout=0.2, weight_decay=0.05)
    few, none = (17 * numbers > limit for limit in MAX_INPUTS)
    if none:
        return replace(plan, activation="relu")
    if numbers:
        bins = {"type": "piecewise_linear", "bins": 8} if few else "piecewise_linear"
        return replace(plan, numbers=bins)
    return plan


def is_wide(rows: int, inputs: int) -> bool:
    """Return whether a table has enough inputs for a network to tell each row by them."""
    return inputs > max(MIN_WIDE, rows / 2)


def plan_for_series(rows: int) -> NetworkPlan:
    """Return the plan for windows of a time series, whose layers are those of the proposal."""
    epochs = by_rows(ARRAY_EPOCHS, rows)
    return NetworkPlan(
        (),
        epochs,
        by_rows(ARRAY_BATCH_SIZES, rows),
        patience=epochs // 4,
        learning_rate=0.005,
        members=SERIES_MEMBERS,
        weight_decay=0.1,
        ema=None,
    )


def plan_for_arrays(rows: int, *, images: bool) -> NetworkPlan:
    """Return the plan for examples that are arrays; convolutions do most of the work for images."""
    epochs = by_rows(ARRAY_EPOCHS, rows)
    units = by_rows(ARRAY_UNITS, rows)
    return NetworkPlan(
        units[:1] if images else units,
        epochs,
        by_rows(ARRAY_BATCH_SIZES, rows),
        patience=max(epochs // 6, min(epochs // 4, 15)),
        learning_rate=0.001 if images else 0.003,
        activation="relu",
        ema=None,
    )


def convolutions(shape: Shape, rows: int) -> list[dict[str, Any]]:
    """Return the layers before the dense ones for images of a shape."""
    layers: list[dict[str, Any]] = []
    side = min(shape[:2])
    for filters in (16, 32, 64):
        padded = {"kernel": 3, "padding": "same", "activation": "relu"}
        layers.append({"type": "conv2d", "filters": filters, **padded})
        if side >= 16 or (filters > 16 and side >= 4):
            layers.append({"type": "max_pool2d", "size": 2})
            side //= 2
        if side < 8 and filters > 16:
            break
    layers.append({"type": "flatten"})
    if rows >= 1000:  # never on raw inputs, where it hides values from the network
        layers.append({"type": "dropout", "rate": 0.2})
    return layers


def by_rows(choices: Mapping[int, T], rows: int) -> T:
    """Return the choice for a number of rows, of choices by their minimum number, descending."""
    return next(choice for least, choice in choices.items() if rows >= least)
