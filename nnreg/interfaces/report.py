"""What a plugin adds to a report, and the view of a run that it makes this from.

A section has text and numbers only: nnreg escapes the text and draws the charts, so that no plugin
can put HTML or a script into the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from nnreg._types import Array


@dataclass(frozen=True)
class ReportTable:
    """A table; each row has a value for each name of the head, and the first names the row."""

    head: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class ReportChart:
    """A chart of curves, and of points if there are any.

    `description` is its caption. `curves` are x and y by the name in the legend, `points` x and y;
    each is a vector.
    """

    description: str
    x_label: str
    y_label: str
    curves: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    points: tuple[Any, Any] | None = None


Content: TypeAlias = "str | ReportTable | ReportChart"


@dataclass(frozen=True)
class Section:
    """A section of a report: its title, and paragraphs of text, tables and charts in order."""

    title: str
    content: Sequence[Content]


@dataclass(frozen=True)
class HeldOut:
    """Predictions and true values of the test split, else of validation, else of training.

    `true_values` and `predictions` are indices of `classes`, `(n,)`, or without classes numbers
    `(n, targets)`; the values of arrays, such as images, are one target. `confidence` is the
    probability, or else the score, of each predicted class. The arrays are read-only.
    """

    split: str
    classes: tuple[str, ...] | None
    targets: tuple[str, ...]
    true_values: Array
    predictions: Array
    confidence: Array | None


class ReportView(Protocol):
    """A read-only view of the run that a report is about."""

    @property
    def name(self) -> str:
        """The name of the run directory, such as `penguins-001`."""

    @property
    def directory(self) -> Path:
        """The run directory."""

    @property
    def spec(self) -> Mapping[str, Any]:
        """The spec with all defaults, as JSON."""

    @property
    def history(self) -> Sequence[Mapping[str, float]]:
        """The record of each epoch."""

    @property
    def summary(self) -> Mapping[str, Any]:
        """The content of `summary.json`; empty until the run has ended."""

    @property
    def model(self) -> Any:
        """The `nnreg.Model` with the best weights; None if plugins or data are missing."""

    @property
    def held_out(self) -> HeldOut | None:
        """The predictions on the held-out rows; None if plugins or data are missing.

        Of several outputs, they are those of the first that predicts a target.
        """

    @property
    def outputs(self) -> Mapping[str, HeldOut]:
        """Those of each output that predicts a target, by its name, empty for a single one."""
