"""The encoders, one file for each kind of column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnreg._utils.references import importing
from nnreg.builtin.components import ENCODERS

if TYPE_CHECKING:
    from nnreg.builtin.encoders.arrays import Values as Values
    from nnreg.builtin.encoders.categories import Category as Category
    from nnreg.builtin.encoders.categories import Index as Index
    from nnreg.builtin.encoders.dates import Date as Date
    from nnreg.builtin.encoders.hashing import Hashed as Hashed
    from nnreg.builtin.encoders.labels import Labels as Labels
    from nnreg.builtin.encoders.numbers import Number as Number
    from nnreg.builtin.encoders.ordered import Ordered as Ordered
    from nnreg.builtin.encoders.piecewise import PiecewiseLinear as PiecewiseLinear
    from nnreg.builtin.encoders.target_means import TargetMean as TargetMean
    from nnreg.builtin.encoders.text import BagOfWords as BagOfWords
    from nnreg.builtin.encoders.text import TfIdf as TfIdf
    from nnreg.builtin.encoders.tokens import Tokens as Tokens

__getattr__ = importing(__name__, ENCODERS.values())
