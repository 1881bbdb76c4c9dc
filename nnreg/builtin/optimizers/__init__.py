"""The optimizers, one file a family: in-place arithmetic on vectors, with scratch space."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnreg._utils.references import importing
from nnreg.builtin.components import OPTIMIZERS

if TYPE_CHECKING:
    from nnreg.builtin.optimizers.accumulators import Adadelta as Adadelta
    from nnreg.builtin.optimizers.accumulators import Adagrad as Adagrad
    from nnreg.builtin.optimizers.accumulators import Ftrl as Ftrl
    from nnreg.builtin.optimizers.accumulators import RmsProp as RmsProp
    from nnreg.builtin.optimizers.adam import Adam as Adam
    from nnreg.builtin.optimizers.adam import Adamax as Adamax
    from nnreg.builtin.optimizers.adam import AdamW as AdamW
    from nnreg.builtin.optimizers.adam import NAdam as NAdam
    from nnreg.builtin.optimizers.adam import RAdam as RAdam
    from nnreg.builtin.optimizers.adam import ScheduleFreeAdamW as ScheduleFreeAdamW
    from nnreg.builtin.optimizers.by_layer import Adafactor as Adafactor
    from nnreg.builtin.optimizers.by_layer import Lamb as Lamb
    from nnreg.builtin.optimizers.by_layer import Muon as Muon
    from nnreg.builtin.optimizers.gradient_descent import Lion as Lion
    from nnreg.builtin.optimizers.gradient_descent import Sgd as Sgd
    from nnreg.builtin.optimizers.lbfgs import Lbfgs as Lbfgs
    from nnreg.builtin.optimizers.wrappers import Lookahead as Lookahead
    from nnreg.builtin.optimizers.wrappers import Sam as Sam

__getattr__ = importing(__name__, OPTIMIZERS.values())
