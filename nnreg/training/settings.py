"""Training settings: the sections `train` and `train.early_stopping` of a spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import Ge, Gt, Interval, Len

from nnreg.interfaces.augmentation import Augmentation
from nnreg.interfaces.component import Configurable, Count, NonNegative, Positive
from nnreg.interfaces.constraint import Constraint
from nnreg.interfaces.kernels import Kernels
from nnreg.interfaces.regularizer import Regularizer


@dataclass(frozen=True)
class EarlyStopping(Configurable):
    """Stop when `monitor` has not improved by more than `min_delta` for `patience` epochs."""

    patience: Count = 10
    monitor: str = "val_loss"
    min_delta: NonNegative = 0.0


WEIGHT_FILES = (".safetensors", ".weights.h5", ".keras")
"""The ends of the names of files of weights that are not checkpoints."""


@dataclass(frozen=True)
class StartFrom(Configurable):
    """Start from the weights of another checkpoint, or of the best one in a run directory.

    Every array of these `layers`, by default of all, is copied; names and shapes must be the same.
    The same columns in another order are refused. A path is relative to the spec's directory.

    A file whose name ends in `.safetensors`, `.weights.h5` or `.keras` has weights of PyTorch, of
    Keras, or of an export. `names` maps layers of the model to modules in it, or arrays to arrays;
    the other layers take the arrays of their shapes, several of a kind in their order.
    """

    checkpoint: Annotated[str, Len(1)]
    layers: Annotated[tuple[str, ...], Len(1)] | None = None
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def foreign(self) -> bool:
        """Whether the file is not a checkpoint of nnreg."""
        return self.checkpoint.lower().endswith(WEIGHT_FILES)


@dataclass(frozen=True)
class Train(Configurable):
    """Training settings.

    One step uses the gradient of `accumulate` batches, as a batch of their total size would. The
    last batch of an epoch has the remaining rows; batch norm needs two or more.

    `l1` and `l2` add l1 · Σ|w| + l2 · Σw² over the weights (not the biases) to what is minimized,
    not to the loss that is reported. `weight_decay` subtracts the fraction learning_rate ·
    weight_decay from the weights at each step, apart from the gradient and the optimizer; for plain
    `sgd` that equals an `l2` of half the size. `adamw` has its own, which includes the biases and
    adds to it. `clip_norm` scales a gradient with a larger norm down to this norm; `clip_value`
    then limits each of its values.

    `regularize` and `constrain` map patterns of the names of parameters, such as
    `layers/*/recurrent`, to a regularizer or a constraint, and `learning_rates` to a factor of the
    learning rate, for an optimizer that updates each value by itself. `*` stands for any text, `?`
    for any character; the last pattern that matches a parameter applies, and `null` exempts it from
    earlier ones. Penalties are added to those of `l1` and `l2`; constraints apply after each step.

    `augment` changes the inputs and the targets of training batches, as `mixup` does; a list is
    applied in its order. The recorded `loss` is then that of the changed batches, and metrics of
    training compare their outputs with the targets before the change. Rows that are held out stay
    as they are.

    `ema` is the decay of an exponential moving average of the weights, such as 0.999, which is used
    for validation, for the best checkpoint and for predictions. `freeze` names layers, such as
    `layers/0`, whose weights do not change; in training they behave as in prediction, so that a
    batch norm keeps its running statistics. `start_from` takes the initial weights from another
    checkpoint, or from a file of PyTorch or Keras; a path alone stands for all of its layers.

    `threads` limits the number of threads; small networks use one. Results have the same bits on
    any number of threads, except where the threads of the BLAS share matrix products. By default
    that is so for products of a medium size, such as 128 x 784 x 512, but not if Numba computes all
    steps of a network of dense layers. With `reproducible` true it never is, which may be slower;
    with false, it is so for larger ones too. `shards` is the number
    of parts into which the rows of a batch are divided, which as many threads can compute; by
    default it follows from the network and the batch. Another number gives other last bits.
    `kernels` are the inner loops: a set, or a list of sets, of which the first that has a loop is
    used. By default a plugin's, if it has any, and those of oneMKL and of Numba where they are
    installed and faster on this processor, if the training is long enough to load them.

    `folds` is the number of folds of a cross-validation: the network is trained once per fold, with
    that fold held out. `fold` trains only the fold of this number. The fold is the validation
    split, or the test split if the spec has another validation split.
    """

    epochs: Count = 100
    batch_size: Count = 32
    accumulate: Count = 1
    shuffle: bool = True
    early_stopping: EarlyStopping | None = None
    l1: NonNegative = 0.0
    l2: NonNegative = 0.0
    weight_decay: NonNegative = 0.0
    regularize: Mapping[str, Regularizer | None] = field(default_factory=dict)
    constrain: Mapping[str, Constraint | None] = field(default_factory=dict)
    learning_rates: Mapping[str, Positive] = field(default_factory=dict)
    augment: Augmentation | tuple[Augmentation, ...] | None = None
    clip_norm: Annotated[float, Gt(0)] | None = None
    clip_value: Annotated[float, Gt(0)] | None = None
    ema: Annotated[float, Interval(gt=0, lt=1)] | None = None
    freeze: tuple[str, ...] = ()
    start_from: StartFrom | Annotated[str, Len(1)] | None = None
    threads: Count | None = None
    shards: Count | None = None
    reproducible: bool | None = None
    kernels: Kernels | Annotated[tuple[Kernels, ...], Len(1)] | None = None
    folds: Annotated[int, Ge(2)] | None = None
    fold: Count | None = None

    def __post_init__(self) -> None:
        if self.fold is not None and self.folds is None:
            raise ValueError("'fold' is one of 'folds'; set 'folds' too")
        if self.fold is not None and self.folds is not None and self.fold > self.folds:
            raise ValueError(f"no fold {self.fold}; there are {self.folds} folds")

    @property
    def start(self) -> StartFrom | None:
        """`start_from`, with a path alone written as an object."""
        if isinstance(self.start_from, str):
            return StartFrom(self.start_from)
        return self.start_from

    @property
    def kernel_sets(self) -> tuple[Kernels, ...]:
        """`kernels` as a list; empty if they are not set."""
        return (self.kernels,) if isinstance(self.kernels, Kernels) else self.kernels or ()

    @property
    def augmentations(self) -> tuple[Augmentation, ...]:
        """`augment` as a list."""
        return (self.augment,) if isinstance(self.augment, Augmentation) else self.augment or ()

    @property
    def step_size(self) -> int:
        """The number of examples per step."""
        return self.batch_size * self.accumulate
