"""Exporters with one mistake each."""

from dataclasses import dataclass

from nnreg import Exporter
from tests.conformance.broken.drift import DRIFT

KNOWN = frozenset(
    (
        "input", "add", "subtract", "divide", "matmul", "where",
        "maximum", "exp", "max", "sum", "is_nan", "lookup",
        "equal", "as_type", "concatenate", "reshape", "greater_equal",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Lists(Exporter):
    """The names of the operations; it is run by the program itself."""

    suffix = ".txt"

    def unsupported(self, operation):
        return "" if operation.name in KNOWN else "unknown"

    def contents(self, program):
        return {"": "\n".join(one.name for one in program.operations).encode()}

    def run(self, program, path, columns):
        return {one or "prediction": y for one, y in program.run(columns).items()}


@dataclass(frozen=True)
class OtherAnswers(Lists):
    """The names of the operations, but its answers are others."""

    def run(self, program, path, columns):
        return {one: 1.01 * y for one, y in super().run(program, path, columns).items()}


@dataclass(frozen=True)
class AnswersUnknownRows(Lists):
    """The names of the operations, but rows with an unknown text have an answer."""

    def run(self, program, path, columns):
        known = columns | {"level": ["low", "high", "high", "high"]}
        return super().run(program, path, known)


@dataclass(frozen=True)
class Counts(Lists):
    """The names of the operations, and how often it was written."""

    def contents(self, program):
        return {"": str(next(DRIFT)).encode()}


@dataclass(frozen=True)
class SupportsAll(Lists):
    """The names of the operations, as if it knew each."""

    def unsupported(self, operation):
        return ""


BROKEN = {
    "answers": [OtherAnswers, AnswersUnknownRows],
    "same bytes": [Counts],
    "refuses": [SupportsAll],
}
