"""The activations, one file a family.

Each is finite, with a finite gradient, at inputs of ±1e4 in float32.
"""

from __future__ import annotations

from nnreg.builtin.activations.exponential_units import Elu as Elu
from nnreg.builtin.activations.exponential_units import Selu as Selu
from nnreg.builtin.activations.gated import Gelu as Gelu
from nnreg.builtin.activations.gated import Silu as Silu
from nnreg.builtin.activations.identity import Identity as Identity
from nnreg.builtin.activations.rectifiers import LeakyRelu as LeakyRelu
from nnreg.builtin.activations.rectifiers import Relu as Relu
from nnreg.builtin.activations.sigmoids import Sigmoid as Sigmoid
from nnreg.builtin.activations.sigmoids import Softsign as Softsign
from nnreg.builtin.activations.sigmoids import Tanh as Tanh
from nnreg.builtin.activations.smooth import Softplus as Softplus
from nnreg.builtin.activations.softmax import Softmax as Softmax
