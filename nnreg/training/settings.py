"""How to train: the sections `train` and `train.early_stopping` of a spec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Interval, Len

from nnreg.interfaces.component import Configurable, Count, NonNegative
from nnreg.interfaces.kernels import Kernels


@dataclass(frozen=True)
class EarlyStopping(Configurable):
    """Stop when `monitor` has not improved by more than `min_delta` for `patience` epochs."""

    patience: Count = 10
    monitor: str = "val_loss"
    min_delta: NonNegative = 0.0


@dataclass(frozen=True)
class StartFrom(Configurable):
    """Begin with the weights of another checkpoint, or of the best one of a run's folder.

    Of these `layers`, by default of all, every array is copied; names and shapes must be the same.
    What the columns of the data mean is not compared. A relative path starts at the spec's folder.
    """

    checkpoint: Annotated[str, Len(1)]
    layers: Annotated[tuple[str, ...], Len(1)] | None = None


@dataclass(frozen=True)
class Train(Configurable):
    """How to train.

    `accumulate` so many batches make one step, as a batch that many times as large would.

    `l1` and `l2` add l1 · Σ|w| + l2 · Σw² over the weights (not the biases) to what is minimized,
    not to the loss that is reported. `weight_decay` takes the share learning_rate · weight_decay
    off the weights at each step, whatever the gradient and the optimizer; for plain `sgd` that is
    an `l2` of half the size. `adamw` has one of its own, of the biases too, which adds to it.
    `clip_norm` scales a longer gradient down to this length; `clip_value` then limits each of its
    values.

    `ema` is the decay of an exponential moving average of the weights, such as 0.999: that is what
    is validated, kept as the best, and predicted with. `freeze` names layers, such as `layers/0`,
    whose weights stay as they are; in training they do what they do in prediction, so that a batch
    norm keeps its running statistics. `start_from` takes first weights from another checkpoint; a
    path alone means all of its layers.

    `threads` limits the threads of matrix products; by default small networks use one. `kernels`
    are the inner loops, by default those of an installed plugin.

    `folds` asks for cross-validation: the rows are divided into so many parts, and the network is
    trained once for each of them, with that one held out; `fold` trains the one of this number
    alone. What is held out is the validation part, or the test part where the split has another
    validation.
    """

    epochs: Count = 100
    batch_size: Count = 32
    accumulate: Count = 1
    shuffle: bool = True
    early_stopping: EarlyStopping | None = None
    l1: NonNegative = 0.0
    l2: NonNegative = 0.0
    weight_decay: NonNegative = 0.0
    clip_norm: Annotated[float, Gt(0)] | None = None
    clip_value: Annotated[float, Gt(0)] | None = None
    ema: Annotated[float, Interval(gt=0, lt=1)] | None = None
    freeze: tuple[str, ...] = ()
    start_from: StartFrom | Annotated[str, Len(1)] | None = None
    threads: Count | None = None
    kernels: Kernels | None = None
    folds: Annotated[int, Ge(2)] | None = None
    fold: Count | None = None

    def __post_init__(self) -> None:
        if self.fold is not None and self.folds is None:
            raise ValueError("'fold' is one of 'folds'; say how many there are")
        if self.fold is not None and self.folds is not None and self.fold > self.folds:
            raise ValueError(f"there is no fold {self.fold} among {self.folds}")

    @property
    def start(self) -> StartFrom | None:
        """What `start_from` says, a path alone written out."""
        if isinstance(self.start_from, str):
            return StartFrom(self.start_from)
        return self.start_from

    @property
    def step_size(self) -> int:
        """How many examples a step goes by."""
        return self.batch_size * self.accumulate
