"""The losses, one file a family. Each is the mean over the batch and its outputs or steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnreg._utils.references import importing
from nnreg.builtin.components import LOSSES

if TYPE_CHECKING:
    from nnreg.builtin.losses.alignment import Ctc as Ctc
    from nnreg.builtin.losses.counts import Poisson as Poisson
    from nnreg.builtin.losses.cross_entropy import BinaryCrossEntropy as BinaryCrossEntropy
    from nnreg.builtin.losses.cross_entropy import CrossEntropy as CrossEntropy
    from nnreg.builtin.losses.distributions import GaussianNll as GaussianNll
    from nnreg.builtin.losses.distributions import Quantile as Quantile
    from nnreg.builtin.losses.errors import Huber as Huber
    from nnreg.builtin.losses.errors import LogCosh as LogCosh
    from nnreg.builtin.losses.errors import MeanAbsoluteError as MeanAbsoluteError
    from nnreg.builtin.losses.errors import (
        MeanAbsolutePercentageError as MeanAbsolutePercentageError,
    )
    from nnreg.builtin.losses.errors import MeanSquaredError as MeanSquaredError
    from nnreg.builtin.losses.errors import (
        MeanSquaredLogarithmicError as MeanSquaredLogarithmicError,
    )
    from nnreg.builtin.losses.errors import SmoothL1 as SmoothL1
    from nnreg.builtin.losses.focal import BinaryFocalCrossEntropy as BinaryFocalCrossEntropy
    from nnreg.builtin.losses.focal import FocalCrossEntropy as FocalCrossEntropy
    from nnreg.builtin.losses.margins import CategoricalHinge as CategoricalHinge
    from nnreg.builtin.losses.margins import Hinge as Hinge
    from nnreg.builtin.losses.margins import MultiMargin as MultiMargin
    from nnreg.builtin.losses.margins import SquaredHinge as SquaredHinge
    from nnreg.builtin.losses.overlap import Dice as Dice
    from nnreg.builtin.losses.overlap import Tversky as Tversky
    from nnreg.builtin.losses.pairs import Contrastive as Contrastive
    from nnreg.builtin.losses.pairs import CosineSimilarity as CosineSimilarity
    from nnreg.builtin.losses.pairs import TripletMargin as TripletMargin
    from nnreg.builtin.losses.probabilities import (
        GeneralizedCrossEntropy as GeneralizedCrossEntropy,
    )
    from nnreg.builtin.losses.probabilities import KlDivergence as KlDivergence
    from nnreg.builtin.losses.probabilities import Nll as Nll
    from nnreg.builtin.losses.value import Value as Value

__getattr__ = importing(__name__, LOSSES.values())
