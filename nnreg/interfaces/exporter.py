"""The base class of exporters, which write a model in the format of another program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from nnreg._types import Array
from nnreg.interfaces.component import Component

if TYPE_CHECKING:
    from nnreg.operations.operation import Operation
    from nnreg.operations.program import Program


class Exporter(Component):
    """A format in which a model is written, to predict without nnreg.

    It gets the computation of the model's predictions as a `Program` of operations, whatever the
    components are that computed them.
    """

    kind = "exporter"
    suffix: ClassVar[str] = ""
    """The suffix of the file, from which `nnreg.export` knows the format; empty for a directory."""

    weights_only: ClassVar[bool] = False
    """Whether it writes `Program.weights` alone; its program has then no inputs and no outputs, and
    the computation of the model need not be one that can be recorded."""

    @classmethod
    def missing(cls) -> str:
        """Return the library that is needed and not installed, with how to install it, or ""."""
        return ""

    def unsupported(self, operation: Operation) -> str:
        """Return why the format cannot express an operation; empty if it can."""
        return ""

    def contents(self, program: Program) -> Mapping[str, bytes]:
        """Return the content of the file by the empty name, or of the files of a directory.

        The same program must give the same bytes.
        """
        raise NotImplementedError

    def run(
        self, program: Program, path: Path, columns: Mapping[str, Sequence[Any]]
    ) -> Mapping[str, Array] | None:
        """Return the outputs that what was written at `path` computes for rows, to check it.

        They are by their names, "prediction" for one without. Numbers of the columns are NaN where
        missing, texts None. A row that does not meet a requirement has NaN. None if it cannot be
        run here.
        """
        return None
