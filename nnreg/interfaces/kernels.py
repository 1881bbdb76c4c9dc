"""The inner loops that a compiler can optimize better than NumPy, here in NumPy.

A plugin may register others, as a subclass, through the hook `nnreg_kernels`; layers and optimizers
use either. All arrays are contiguous and of one floating type; results must agree with these within
1e-5 relative in float32.

Small networks are bound by the number and the cost of calls: on their paths, the output array is
passed as the last positional argument instead of `out=`, which is faster.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt

from nnreg._types import Array
from nnreg._utils.threads import ThreadPool
from nnreg.interfaces.component import Component
from nnreg.interfaces.dense_chain import (
    ChainArrays,
    ChainOutputs,
    ChainSteps,
    ChainTraining,
    DenseChain,
)
from nnreg.kernels import cblas
from nnreg.kernels.cblas import Cblas
from nnreg.kernels.numpy.activations import ActivationKernels
from nnreg.kernels.numpy.columns import ColumnKernels
from nnreg.kernels.numpy.convolution import ConvolutionKernels
from nnreg.kernels.numpy.indexing import IndexingKernels
from nnreg.kernels.numpy.normalization import NormalizationKernels
from nnreg.kernels.numpy.optimizers import OptimizerKernels
from nnreg.kernels.numpy.pooling import PoolingKernels
from nnreg.kernels.numpy.recurrent import RecurrentKernels
from nnreg.kernels.numpy.softmax import SoftmaxKernels
from nnreg.kernels.scratch import ScratchSpace as ScratchSpace
from nnreg.kernels.windows import Pair as Pair


@dataclass(frozen=True)
class Kernels(
    Component,
    ActivationKernels,
    NormalizationKernels,
    ColumnKernels,
    SoftmaxKernels,
    ConvolutionKernels,
    PoolingKernels,
    RecurrentKernels,
    IndexingKernels,
    OptimizerKernels,
):
    """Plain NumPy.

    Sets of kernels combine: of several, a method is that of the first set that overrides it, see
    `combine`.
    """

    kind = "kernels"
    few_calls: ClassVar[bool] = False
    """Whether layers without time steps make so few calls that threads can run short passes in
    parallel; with the many calls of NumPy, threads would wait for each other."""

    @classmethod
    def missing(cls) -> str:
        """Return the library that they need and is not installed, with how to install it."""
        return ""

    @classmethod
    def pays(cls) -> bool:
        """Whether they are faster than NumPy's here; it may load their library."""
        return not cls.missing()

    @classmethod
    def computes_steps_at_once(cls, method: str, dtype: npt.DTypeLike) -> bool:
        """Return whether a method of a recurrent layer computes all time steps in one call.

        It may make many calls for batches of few sequences. `method` is `lstm_steps` or another.
        """
        return False

    def matmul(self, a: Array, b: Array, out: Array) -> Array:
        """Write the product of two matrices to `out` and return it; transposed views are fine."""
        return np.dot(a, b, out)

    def cblas(self) -> Cblas | None:
        """Return the products of `matmul` as functions of C; None if it is another function."""
        return cblas.of_numpy() if type(self).matmul is Kernels.matmul else None

    def chain_steps(
        self, chain: DenseChain, training: ChainTraining, arrays: ChainArrays
    ) -> ChainSteps | None:
        """Return a function that makes training steps on a chain of dense layers in one call.

        None if there is none for these layers, this loss or this optimizer: the layers are then run
        one by one. Losses and gradients must be those of the layers, within 1e-5 relative in
        float32, and the same bits however many steps a call makes.
        """
        return None

    def has_threaded_steps(
        self, chain: DenseChain, training: ChainTraining, x: Array, targets: Array
    ) -> bool:
        """Return whether `threaded_chain_steps` has a function for a chain and its examples."""
        return False

    def threaded_chain_steps(
        self, chain: DenseChain, training: ChainTraining, arrays: ChainArrays, pool: ThreadPool
    ) -> ChainSteps | None:
        """Return such a function for wide layers, whose steps the threads of a pool share.

        The BLAS is limited to one thread while it runs. The results must have the same bits on any
        number of threads, and if the pool is not open.
        """
        return None

    def chain_outputs(self, chain: DenseChain, parameters: Array) -> ChainOutputs | None:
        """Return a function that predicts rows by a chain of dense layers in one call.

        It reads the parameters at each call, as they may change. None if there is none for these
        layers, which are then run one by one. The outputs must be theirs, within 1e-5 relative in
        float32.
        """
        return None

    @property
    def sets(self) -> tuple[Kernels, ...]:
        """The sets that are combined in this one."""
        return (self,)


def combine(sets: Sequence[Kernels]) -> Kernels:
    """Return a set whose methods are those of the first of `sets` that overrides them.

    `super()` in a method is the next set. Raises `ValueError` for a set that would never be used.
    """
    classes = tuple(type(one) for one in sets)
    for number, cls in enumerate(classes):
        if any(issubclass(earlier, cls) for earlier in classes[:number]) and cls is not Kernels:
            raise ValueError(f"{cls.__name__} has no method of its own after the others; remove it")
    if Kernels in classes[:-1]:
        raise ValueError("NumPy's kernels have every method; name them last, or alone")
    sets = tuple(one for one in sets if type(one) is not Kernels) or sets
    if len(sets) == 1:
        return sets[0]
    found: Any = object.__new__(_combined(tuple(type(one) for one in sets)))
    for one in reversed(sets):
        vars(found).update(vars(one))
    vars(found)["_sets"] = sets
    return cast(Kernels, found)


@functools.cache
def _combined(classes: tuple[type[Kernels], ...]) -> type[Kernels]:
    """Return the class that inherits from these, always the same, so that its instances compare."""
    return type("CombinedKernels", classes, {"sets": property(lambda self: self._sets)})
