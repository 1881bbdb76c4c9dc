"""The sections of a spec as dataclasses, collected from the packages that they configure."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from annotated_types import Ge, Gt, Len

from nnreg.builtin.schedules import Constant
from nnreg.data.settings import Data, Sequences, Split
from nnreg.data.window_settings import Window
from nnreg.errors import Problem, SpecError
from nnreg.interfaces.annotations import Tagged
from nnreg.interfaces.component import Configurable, Count, Seed, Text
from nnreg.interfaces.layer import Layer
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.metric import Metric
from nnreg.interfaces.optimizer import Optimizer
from nnreg.interfaces.outputs import OutputLoss, OutputSpec, output_specs
from nnreg.interfaces.schedule import Schedule
from nnreg.training.settings import EarlyStopping, StartFrom, Train


@dataclass(frozen=True)
class Model(Configurable):
    """The layers, from the input to the output, and the precision of their arithmetic.

    `outputs` are names of entries that are predicted without a loss.

    `members` is the number of networks of these layers in an ensemble, which are trained on the
    same batches, each from initial weights of its own. The ensemble predicts the mean of what they
    predict: of probabilities, or of numbers. Lakshminarayanan et al. 2017.
    """

    layers: Annotated[tuple[Layer, ...], Len(1)]
    outputs: tuple[Text, ...] = ()
    members: Count = 1
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


def _kind_of_loss(value: Any) -> str:
    """Return the tag of a loss, or of an object with the losses of several outputs."""
    entries = value.values() if isinstance(value, dict) and "type" not in value else ()
    return _SEVERAL if any(isinstance(entry, str | dict) for entry in entries) else _ONE


_ONE, _SEVERAL = "one loss", "losses of outputs"
Losses: TypeAlias = Annotated[Loss | dict[str, OutputLoss], Tagged(_kind_of_loss, (_ONE, _SEVERAL))]


@dataclass(frozen=True)
class Spec(Configurable):
    """A complete training run.

    `loss` is that of the network's output, or for several outputs an object with the loss of each
    by its name; such a loss may have a `weight` in their sum, and a `target` of `data.target` if
    that has another name. `metrics` is then an object with a list for each output.

    `schedule` gives for each step the factor of the optimizer's learning rate. It is planned over
    `train.epochs`; training beyond them keeps the factor of their last step, and if they are raised
    on resuming, the longer plan applies from there on.

    `seed` is that of all that is drawn at random: the split, unless `data.split.seed` is given, the
    initial weights, the order of the rows, dropout and augmentations.

    `requires` names distributions as `pip install` takes them, such as `nnreg-mish>=1.2`; a spec
    whose requirements are not met is not read further. Their components precede built-in ones of
    the same name.
    """

    model: Model
    loss: Losses
    optimizer: Optimizer
    schedule: Schedule = Constant()
    data: Data | None = None
    metrics: tuple[Metric, ...] | dict[str, tuple[Metric, ...]] = ()
    train: Train = Train()
    checkpoint: Checkpoint = Checkpoint()
    seed: Seed = 0
    requires: tuple[Text, ...] = ()

    def __post_init__(self) -> None:
        _ = self.outputs  # raises SpecError
        if self.data and self.data.split.member_folds and self.model.members < 2:
            problem = (
                "each member of an ensemble holds out a fold of its own; set model.members to 2 or "
                'more, or use "validation" instead'
            )
            raise SpecError([Problem("$.data.split.member_folds", problem)])

    @functools.cached_property
    def outputs(self) -> tuple[OutputSpec, ...]:
        """The outputs with their losses and metrics; the name of a single one is empty."""
        return tuple(output_specs(self.loss, self.metrics, self.model.outputs))

    @property
    def several(self) -> dict[str, str] | None:
        """The places in the spec of several outputs, by their names; None if there is one."""
        if isinstance(self.loss, Loss):
            return None
        return {output.name: output.loss_path for output in self.outputs}


SECTIONS = (Split, Sequences, Window, Data, Model, Train, EarlyStopping, StartFrom, Checkpoint)
"""The classes of the sections of `Spec`."""
