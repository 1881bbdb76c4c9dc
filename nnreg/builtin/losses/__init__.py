"""The losses, one file a family. Each is the mean over the batch and its outputs or steps."""

from __future__ import annotations

from nnreg.builtin.losses.cross_entropy import BinaryCrossEntropy as BinaryCrossEntropy
from nnreg.builtin.losses.cross_entropy import CrossEntropy as CrossEntropy
from nnreg.builtin.losses.distributions import GaussianNll as GaussianNll
from nnreg.builtin.losses.distributions import Quantile as Quantile
from nnreg.builtin.losses.errors import Huber as Huber
from nnreg.builtin.losses.errors import MeanAbsoluteError as MeanAbsoluteError
from nnreg.builtin.losses.errors import MeanSquaredError as MeanSquaredError
from nnreg.builtin.losses.value import Value as Value
