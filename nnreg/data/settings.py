"""The `data` section of a spec: source, columns, preprocessing and splits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

from annotated_types import Interval, Len

from nnreg.interfaces.component import Configurable, NonNegative
from nnreg.interfaces.source import Source

Share: TypeAlias = Annotated[float, Interval(gt=0, lt=1)]
Text: TypeAlias = Annotated[str, Len(1)]


@dataclass(frozen=True)
class Split(Configurable):
    """Which rows are held out: a share of them, or a file of their own.

    Validation steers the training (early stopping, best weights); the test part is looked at once,
    at the end. The rows are drawn from the seed. `stratify` keeps the shares of the classes, and
    `group` together the rows that have the same value in a column, such as those of a patient.
    `order` draws nothing: the training part has the earliest rows by a column of numbers or ISO
    dates, or with `true` the first in the file; then comes validation, then test. Neither column is
    an input unless `inputs` has it.
    """

    validation: Share | Text | None = None
    test: Share | Text | None = None
    stratify: bool = False
    group: Text | None = None
    order: Text | bool = False

    def __post_init__(self) -> None:
        if self.order and (self.stratify or self.group):
            other = "stratify" if self.stratify else "group"
            raise ValueError(f"the order settles which rows are held out; leave out {other!r}")
        shares = [part for part in (self.validation, self.test) if isinstance(part, float)]
        if sum(shares) >= 1:
            raise ValueError("validation and test together leave nothing to train on")


@dataclass(frozen=True, kw_only=True)
class Columns(Configurable):
    """How columns become numbers.

    `inputs` are all columns but the target and those in `exclude`, unless given. `columns` says of
    a column that it holds `number` or `words` where its values do not tell. `missing` values are
    refused or imputed: the mean of a number, the most frequent word. `unseen` words, met after
    training, are refused or ignored. `standard` scaling subtracts the mean and divides by the
    standard deviation, both of the training part.

    Examples count the same in training unless they have weights: `sample_weights` is the column of
    them, numbers from 0, and never an input; `class_weights` gives those of the classes, 1 for one
    that it leaves out, or is `balanced`: all classes have the same sum. The weights multiply, and
    are divided by their mean, so that the loss of an epoch is Σ w · loss / Σ w. What is measured,
    held-out parts and metrics, counts every row once.
    """

    inputs: Annotated[tuple[Text, ...], Len(1)] | None = None
    exclude: tuple[Text, ...] = ()
    columns: dict[str, Literal["number", "words"]] = field(default_factory=dict)
    missing: Literal["refuse", "impute"] = "refuse"
    unseen: Literal["refuse", "ignore"] = "refuse"
    scaling: Literal["standard", "none"] = "standard"
    target_scaling: Literal["standard", "none"] = "none"
    class_weights: Literal["balanced"] | dict[str, NonNegative] | None = None
    sample_weights: Text | None = None

    def __post_init__(self) -> None:
        if self.sample_weights in (self.inputs or ()):
            raise ValueError(f"the weights in {self.sample_weights!r} cannot be an input too")


@dataclass(frozen=True, kw_only=True)
class Data(Columns):
    """Where the examples are: a file, its format, the column or columns to predict.

    The other options are those of `Columns`.
    """

    source: Source
    path: Text
    target: Text | Annotated[tuple[Text, ...], Len(1)]
    split: Split = Split()

    @property
    def targets(self) -> tuple[str, ...]:
        """The target columns, one or several."""
        return (self.target,) if isinstance(self.target, str) else self.target
