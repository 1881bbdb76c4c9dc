"""The `data` section of a spec: source, columns, preprocessing and splits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Final, Literal, TypeAlias

from annotated_types import Ge, Interval, Len

from nnreg.builtin.encoders.scaling import Scaling, TargetScaling
from nnreg.data.window_settings import Window
from nnreg.interfaces.annotations import Tagged
from nnreg.interfaces.component import Configurable, NonNegative, Seed, Text
from nnreg.interfaces.encoder import Encoder
from nnreg.interfaces.graph import unsuitable
from nnreg.interfaces.source import Source

Fraction: TypeAlias = Annotated[float, Interval(gt=0, lt=1)]
Names: TypeAlias = Annotated[tuple[Text, ...], Len(1)]
INPUTS: Final = "inputs"
"""The target of an autoencoder: all input columns, unless the file has a column of that name."""
Missing: TypeAlias = Literal["refuse", "impute", "indicate"]
"""What becomes of missing values of the inputs."""
NumericClasses: TypeAlias = Literal["none", "single", "all"]
"""Which targets of numbers are classes: none, those of one column, or arrays of several too."""


@dataclass(frozen=True)
class Split(Configurable):
    """Which rows are held out: a fraction of them, or a file of their own.

    The validation split decides on early stopping and the best weights; the test split is used
    once, at the end. The rows are drawn at random from `seed`, by default that of the spec, from
    which everything else is drawn: with a seed for the split, runs with other seeds have other
    weights and the same rows. `stratify` keeps the class proportions of the target, the first with
    classes if there are several. `group` names a column: rows with the same value in it, such as
    those of a patient, stay in the same split. `order` draws nothing: training has the earliest
    rows by a numeric column or one of dates, which are ISO dates unless `columns` has a `date` for
    it, or with `true` the first rows of the file; validation follows, then test. The columns of
    `group` and `order` are not inputs unless `inputs` has them.

    With `member_folds`, no rows are set apart for validation: each member of an ensemble holds out
    a fold of its own of the training rows, and trains on the others. The folds are drawn as those
    of `train.folds`. The validation metrics are out of fold: each training row is predicted by the
    member that did not train on it. The ensemble is usually a little better than that, as each row
    is judged by one member.
    """

    validation: Fraction | Text | None = None
    test: Fraction | Text | None = None
    stratify: bool = False
    group: Text | None = None
    order: Text | bool = False
    member_folds: bool = False
    seed: Seed | None = None

    def __post_init__(self) -> None:
        if self.member_folds and self.validation is not None:
            raise ValueError(
                "'member_folds' already validates each member on training rows; remove 'validation'"
            )
        if self.member_folds and self.order:
            raise ValueError(
                "'member_folds' draws rows at random, so that members train on later ones than "
                "those they hold out; remove it, or 'order'"
            )
        others = {"stratify": self.stratify, "group": self.group, "seed": self.seed is not None}
        if self.order and (given := [name for name, value in others.items() if value]):
            raise ValueError(f"'order' already determines the held-out rows; remove {given[0]!r}")
        fractions = [split for split in (self.validation, self.test) if isinstance(split, float)]
        if sum(fractions) >= 1:
            raise ValueError("validation and test leave nothing to train on; lower their fractions")


@dataclass(frozen=True)
class Sequences(Configurable):
    """How a table has sequences of different lengths. Lists in cells need no such setting.

    With `group`, a column, each row of the file is a step, and rows with the same value in it are a
    sequence, in their order in the file. Arrays `(rows, steps, ...)` have steps of padding after
    the last real one: `lengths` names the column with the number of real steps of each row, or
    `padding` is the value of the steps after them. All columns that are used are sequences, except
    those in `constant`, which have one value per sequence, and columns of one value per row.
    """

    group: Text | None = None
    lengths: Text | None = None
    padding: float | str | None = None
    constant: tuple[Text, ...] = ()

    @property
    def problem(self) -> str:
        """What is wrong with the setting; empty if nothing is."""
        given = [n for n in ("group", "lengths", "padding") if getattr(self, n) is not None]
        if len(given) == 1:
            return ""
        found = " and ".join(map(repr, given)) or "none"
        return f"expected one of 'group', 'lengths' and 'padding', found {found}"

    @property
    def column(self) -> str | None:
        """The column that says which steps are real, if any."""
        return self.lengths if self.group is None else self.group


def _kind_of_sequences(value: Any) -> str:
    """Return the tag of a setting, or of an object with the settings of several inputs."""
    entries = value.values() if isinstance(value, dict) else ()
    return _SEVERAL if any(isinstance(entry, dict) for entry in entries) else _ONE


_ONE, _SEVERAL = "one setting", "settings of inputs"
SequencesOf: TypeAlias = Annotated[
    Sequences | dict[str, Sequences], Tagged(_kind_of_sequences, (_ONE, _SEVERAL))
]


@dataclass(frozen=True, kw_only=True)
class Columns(Configurable):
    """How columns become numbers.

    By default, `inputs` are all columns except the target and those in `exclude`. An object gives
    the network several inputs, each of one or more columns, which its layers read by name; all of
    them are in memory. `columns` gives the encoder of a column, such as `number` or `category`,
    instead of inferring it from the values. Of columns that it does not list, numbers have the
    encoder `numbers`, such as `piecewise_linear`, and texts the encoder `categories`, such as
    `index`, except for arrays and for integers of a network that takes integers; by default,
    these are `number` and `category`.

    By default, `missing` values are refused in the training split, and imputed in other rows, with
    a warning: they are replaced by the mean or the most frequent category of the training split.
    `refuse` refuses them everywhere, `impute` imputes them everywhere; with `indicate`, missing is
    a category of its own, and a number has a second input that is 1 where it is missing, in columns
    with missing values in the training split. In the windows of a series, an imputed value is
    instead the last one before it in its group, if there is one. Rows with a `missing_target`
    are refused or dropped. `unseen` categories, which do not occur in the training split, are
    refused or ignored. `max_categories` keeps that many of a column, the most frequent ones in the
    training split; all others, unseen ones too, are one more category.

    `scaling` is that of numbers whose encoder has none of its own, one of those of the encoder
    `number`; `standard` subtracts the mean and divides by the standard deviation, both of the
    training split. `target_scaling` is that of targets that are numbers. The loss is that of scaled
    targets; predictions and metrics are in the target's own units. With `log`, `power` and
    `quantile`, a prediction is within the range of the training split, or as far again beyond it
    with the first two; they are for losses whose outputs are values of the target.

    In training, all examples have the same weight unless weights are given. `sample_weights` names
    a column of weights >= 0, which is never an input. `class_weights` gives a weight per class, 1
    where none is given, or is `balanced`: the weights of each class have the same sum. An example's
    weights are multiplied, then divided by their mean: the loss of an epoch is Σ w · loss / Σ w.
    They count for the loss of every output; `class_weights` is for one target.
    Metrics and held-out splits are unweighted.

    `sequences` says how rows are grouped to sequences, or arrays padded; an object gives such a
    setting for each of several inputs by its name, and for a target by that of its column.
    `window` makes examples of consecutive rows of a time series, to predict what comes next.
    """

    inputs: Text | Names | dict[str, Text | Names] | None = None
    exclude: tuple[Text, ...] = ()
    columns: dict[str, Encoder] = field(default_factory=dict)
    numbers: Encoder | None = None
    categories: Encoder | None = None
    missing: Missing | None = None
    missing_target: Literal["refuse", "drop"] = "refuse"
    unseen: Literal["refuse", "ignore"] = "refuse"
    max_categories: Annotated[int, Ge(1)] | None = None
    scaling: Scaling = "standard"
    target_scaling: TargetScaling = "none"
    class_weights: Literal["balanced"] | dict[str, NonNegative] | None = None
    sample_weights: Text | None = None
    sequences: SequencesOf | None = None
    window: Window | None = None

    def __post_init__(self) -> None:
        if self.inputs == {}:
            raise ValueError("'inputs' is empty; omit it for all columns")
        for name in self.groups:
            if why := unsuitable(name):
                raise ValueError(f"the name {name!r} of an input {why}; give it another name")
        unused = [name for name in self.listed or () if self.groups and name in self.exclude]
        if unused:
            raise ValueError(f"{unused[0]!r} is an input and in 'exclude'; remove one of them")
        self._check_encoders()
        if self.sample_weights in (self.listed or ()):
            raise ValueError(
                f"{self.sample_weights!r} is used as sample_weights and cannot be an input; "
                "remove it from 'inputs'"
            )
        self._check_sequences()
        if self.window is not None:
            self._check_window()

    def _check_window(self) -> None:
        for name in ("sequences", "sample_weights"):
            if getattr(self, name) is not None:
                raise ValueError(f"'window' makes examples of several rows; remove {name!r}")
        assert self.window is not None  # asked of windows
        for name in self.window.known:
            if name not in self.groups or len(self.groups) == len({*self.window.known}):
                raise ValueError(
                    f"window.known: {name!r} is not one of several inputs; give the columns that "
                    "are known in advance an input of their own, beside one of the past: "
                    '"inputs": {"past": […], "known": […]}'
                )

    @property
    def windows(self) -> Window | None:
        """The setting of windows, with the column by which rows are sorted."""
        return self.window

    def _check_encoders(self) -> None:
        for key, encoder, takes in (
            ("numbers", self.numbers, "numbers"),
            ("categories", self.categories, "text"),
        ):
            if encoder is not None and encoder.takes != takes:
                raise ValueError(
                    f"{key}: its encoder takes {encoder.takes}, but these columns have {takes}; "
                    "choose another one, or list single columns in 'columns'"
                )

    def _check_sequences(self) -> None:
        several = self.sequences if isinstance(self.sequences, dict) else {}
        for one in self._all_sequences or ([Sequences()] if self.sequences == {} else []):
            if one.problem:
                raise ValueError(f"sequences: {one.problem}")
        for name, one in several.items():
            if one.group is not None:
                raise ValueError(
                    f"sequences.{name}: rows are grouped for all columns; write "
                    f'"sequences": {{"group": "{one.group}"}}'
                )
        if used := [name for name in self.sequence_columns if name in (self.listed or ())]:
            raise ValueError(
                f"{used[0]!r} is used by 'sequences' and cannot be an input; remove it from "
                "'inputs'"
            )

    @property
    def _all_sequences(self) -> list[Sequences]:
        if isinstance(self.sequences, dict):
            return list(self.sequences.values())
        return [] if self.sequences is None else [self.sequences]

    @property
    def sequence_columns(self) -> tuple[str, ...]:
        """The columns that group rows, or have the lengths of sequences."""
        names = [one.column for one in self._all_sequences]
        return tuple(dict.fromkeys(name for name in names if name is not None))

    @property
    def constant_columns(self) -> tuple[str, ...]:
        """The columns that have one value per sequence."""
        return tuple(name for one in self._all_sequences for name in one.constant)

    @property
    def list_columns(self) -> tuple[str, ...]:
        """The columns whose encoders take lists."""
        return tuple(name for name, encoder in self.columns.items() if encoder.takes_lists)

    @property
    def array_columns(self) -> tuple[str, ...]:
        """The columns whose encoders take arrays."""
        return tuple(name for name, encoder in self.columns.items() if encoder.takes == "arrays")

    @property
    def grouped(self) -> bool:
        """Whether each row of the file is a step of a sequence."""
        return isinstance(self.sequences, Sequences) and self.sequences.group is not None

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """The columns of each of several inputs, by name; empty if there is one input."""
        if not isinstance(self.inputs, dict):
            return {}
        return {name: _tuple(columns) for name, columns in self.inputs.items()}

    @property
    def listed(self) -> tuple[str, ...] | None:
        """All input columns that are listed; None if they are those without another use."""
        if isinstance(self.inputs, dict):
            return tuple(name for columns in self.groups.values() for name in columns)
        return None if self.inputs is None else _tuple(self.inputs)


def _tuple(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


@dataclass(frozen=True, kw_only=True)
class Data(Columns):
    """Where the examples are: a file, its format, and the column or columns to predict.

    `target` may be an object with the targets of several outputs by their names. `"inputs"` stands
    for all input columns, which an autoencoder reproduces. Without a loss that takes a target,
    there is none. A target of text is classes. One column of numbers is classes if the loss, a
    metric or `"units": "classes"` takes classes. An array with several numbers per row, such as a 0
    or 1 for each of several labels, is numbers, unless `"units": "classes"` or `columns` says
    otherwise.

    The other options are those of `Columns`.
    """

    source: Source
    path: Text
    target: Text | Names | dict[str, Text | Names] | None = None
    split: Split = Split()

    def _check_window(self) -> None:
        super()._check_window()
        for name in ("stratify", "group", "member_folds", "seed"):
            if getattr(self.split, name) != getattr(Split(), name):
                raise ValueError(f"'window' splits by time, so that 'split' cannot have {name!r}")
        assert self.window is not None  # asked of windows
        if self.split.order not in (False, self.window.order) and self.window.order is not None:
            raise ValueError(
                f"'window' sorts rows by {self.window.order!r}; remove 'order' from 'split'"
            )

    @property
    def windows(self) -> Window | None:
        """The setting of windows; rows are sorted by the column of the split unless it has one."""
        order = self.split.order
        if self.window is None or self.window.order is not None or not isinstance(order, str):
            return self.window
        return replace(self.window, order=order)

    @property
    def targets(self) -> tuple[str, ...]:
        """All target columns."""
        if not isinstance(self.target, dict):
            return () if self.target is None else _tuple(self.target)
        return tuple(dict.fromkeys(n for names in self.target_groups.values() for n in names))

    @property
    def target_groups(self) -> dict[str, tuple[str, ...]]:
        """The columns of each of several targets, by name; empty if there is one."""
        if not isinstance(self.target, dict):
            return {}
        return {name: _tuple(columns) for name, columns in self.target.items()}
