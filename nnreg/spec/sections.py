"""The sections of a spec as dataclasses, collected from the packages that they configure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Interval, Len

from nnreg.builtin.schedules import Constant
from nnreg.data.settings import Data, Split, Text
from nnreg.interfaces.component import Configurable, Count
from nnreg.interfaces.layer import Layer
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.metric import Metric
from nnreg.interfaces.optimizer import Optimizer
from nnreg.interfaces.schedule import Schedule
from nnreg.training.settings import EarlyStopping, StartFrom, Train


@dataclass(frozen=True)
class Model(Configurable):
    """The layers, from the input to the output, and the precision of their arithmetic."""

    layers: Annotated[tuple[Layer, ...], Len(1)]
    dtype: Literal["float32", "float64"] = "float32"


@dataclass(frozen=True)
class Checkpoint(Configurable):
    """When a checkpoint is saved, also mid-epoch, and how many are retained.

    A checkpoint is saved every `every_epochs` epochs, `every_steps` steps or `every_seconds`
    seconds, for each of these that is given. Without any of them, the interval is chosen so that
    saving takes 3 % of the time, and is at least ten seconds within epochs. The end is always
    saved. `keep` is the number of earlier checkpoints to retain besides the last and the best; they
    are named by epoch and step.
    """

    every_epochs: Count | None = None
    every_steps: Count | None = None
    every_seconds: Annotated[float, Gt(0)] | None = None
    keep: Annotated[int, Ge(0)] = 0


@dataclass(frozen=True)
class Spec(Configurable):
    """A complete training run.

    `schedule` gives for each step the factor of the optimizer's learning rate. It is planned over
    `train.epochs`; training beyond them keeps the factor of their last step, and if they are raised
    on resuming, the longer plan applies from there on.

    `requires` names distributions as `pip install` takes them, such as `nnreg-mish>=1.2`; a spec
    whose requirements are not met is not read further. Their components precede built-in ones of
    the same name.
    """

    model: Model
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule = Constant()
    data: Data | None = None
    metrics: tuple[Metric, ...] = ()
    train: Train = Train()
    checkpoint: Checkpoint = Checkpoint()
    seed: Annotated[int, Interval(ge=0, lt=2**64)] = 0
    requires: tuple[Text, ...] = ()


SECTIONS = (Split, Data, Model, Train, EarlyStopping, StartFrom, Checkpoint)
"""The classes of the sections of `Spec`."""
