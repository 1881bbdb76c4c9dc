"""The learning-rate schedules: factors of the optimizer's learning rate, per step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnreg._utils.references import importing
from nnreg.builtin.components import SCHEDULES

if TYPE_CHECKING:
    from nnreg.builtin.schedules.constant import Constant as Constant
    from nnreg.builtin.schedules.planned import Cosine as Cosine
    from nnreg.builtin.schedules.planned import Exponential as Exponential
    from nnreg.builtin.schedules.planned import InverseSqrt as InverseSqrt
    from nnreg.builtin.schedules.planned import OneCycle as OneCycle
    from nnreg.builtin.schedules.planned import Polynomial as Polynomial
    from nnreg.builtin.schedules.planned import StepDecay as StepDecay
    from nnreg.builtin.schedules.planned import Trapezoid as Trapezoid
    from nnreg.builtin.schedules.planned import Warmup as Warmup
    from nnreg.builtin.schedules.plateau import ReduceOnPlateau as ReduceOnPlateau

__getattr__ = importing(__name__, SCHEDULES.values())
