"""The activations, one file a family.

Each is finite, with a finite gradient, at inputs of ±1e4 in float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnreg._utils.references import importing
from nnreg.builtin.components import ACTIVATIONS

if TYPE_CHECKING:
    from nnreg.builtin.activations.exponential_units import Celu as Celu
    from nnreg.builtin.activations.exponential_units import Elu as Elu
    from nnreg.builtin.activations.exponential_units import Exponential as Exponential
    from nnreg.builtin.activations.exponential_units import Selu as Selu
    from nnreg.builtin.activations.gated import Gelu as Gelu
    from nnreg.builtin.activations.gated import HardSilu as HardSilu
    from nnreg.builtin.activations.gated import Mish as Mish
    from nnreg.builtin.activations.gated import Silu as Silu
    from nnreg.builtin.activations.identity import Identity as Identity
    from nnreg.builtin.activations.rectifiers import LeakyRelu as LeakyRelu
    from nnreg.builtin.activations.rectifiers import PRelu as PRelu
    from nnreg.builtin.activations.rectifiers import Relu as Relu
    from nnreg.builtin.activations.rectifiers import Relu6 as Relu6
    from nnreg.builtin.activations.rectifiers import Threshold as Threshold
    from nnreg.builtin.activations.shrinkage import HardShrink as HardShrink
    from nnreg.builtin.activations.shrinkage import SoftShrink as SoftShrink
    from nnreg.builtin.activations.shrinkage import TanhShrink as TanhShrink
    from nnreg.builtin.activations.sigmoids import HardSigmoid as HardSigmoid
    from nnreg.builtin.activations.sigmoids import HardTanh as HardTanh
    from nnreg.builtin.activations.sigmoids import LogSigmoid as LogSigmoid
    from nnreg.builtin.activations.sigmoids import Sigmoid as Sigmoid
    from nnreg.builtin.activations.sigmoids import Softsign as Softsign
    from nnreg.builtin.activations.sigmoids import SparseSigmoid as SparseSigmoid
    from nnreg.builtin.activations.sigmoids import Tanh as Tanh
    from nnreg.builtin.activations.smooth import Snake as Snake
    from nnreg.builtin.activations.smooth import Softplus as Softplus
    from nnreg.builtin.activations.smooth import SparsePlus as SparsePlus
    from nnreg.builtin.activations.smooth import Squareplus as Squareplus
    from nnreg.builtin.activations.softmax import LogSoftmax as LogSoftmax
    from nnreg.builtin.activations.softmax import Softmax as Softmax
    from nnreg.builtin.activations.softmax import Softmin as Softmin
    from nnreg.builtin.activations.softmax import Sparsemax as Sparsemax

__getattr__ = importing(__name__, ACTIVATIONS.values())
