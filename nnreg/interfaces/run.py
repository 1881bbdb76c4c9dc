"""The view of a run that event hooks receive."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol


class RunView(Protocol):
    """A read-only view of a run; its arrays are those being trained and must not be modified."""

    @property
    def name(self) -> str:
        """The name of the directory, such as `penguins-001`, or else of the spec, `penguins`.

        A fold of a cross-validation is `penguins-001/fold-2`.
        """

    @property
    def directory(self) -> Path | None:
        """The directory of the run's files; None for a run in Python that writes none.

        A plugin writes its own files into a subdirectory of its own.
        """

    @property
    def spec(self) -> Mapping[str, Any]:
        """The spec as JSON, with overrides."""

    @property
    def settings(self) -> Mapping[str, str | float | bool | None]:
        """The values of the spec by path, such as `optimizer.learning_rate`."""

    @property
    def model(self) -> Any:
        """The `nnreg.Model`: `parameters`, `buffers`, `history`, `spec`, `classes`, `summary()`."""

    @property
    def summary(self) -> Mapping[str, Any]:
        """The content of `summary.json`; empty until the run has ended."""
