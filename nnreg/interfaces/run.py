"""What a run shows to the event hooks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol


class RunView(Protocol):
    """What an event hook sees of a run. Only look: the arrays are those that are being trained."""

    @property
    def name(self) -> str:
        """The folder's name, such as `penguins-001`, or else the spec's, such as `penguins`.

        A fold of a cross-validation is `penguins-001/fold-2`.
        """

    @property
    def directory(self) -> Path | None:
        """Where the run's files are; None for a run in Python that writes none.

        A plugin keeps its own files in a folder of its own in it.
        """

    @property
    def spec(self) -> Mapping[str, Any]:
        """The spec as JSON, with the changes of `--set`."""

    @property
    def settings(self) -> Mapping[str, str | float | bool | None]:
        """The values in the spec by their paths, such as `optimizer.learning_rate`."""

    @property
    def model(self) -> Any:
        """The `nnreg.Model`: `parameters`, `state`, `history`, `spec`, `classes`, `summary()`."""

    @property
    def summary(self) -> Mapping[str, Any]:
        """What `summary.json` has; empty until the run ended."""
