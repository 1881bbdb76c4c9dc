"""The losses of a run in characters, for a terminal: matplotlib is not needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnreg.plotting.braille import MARGIN, Picture, draw_picture
from nnreg.plotting.svg import Curve, around, around_powers
from nnreg.training.history import History

if TYPE_CHECKING:
    from rich.text import Text


HIGHEST = 1e100
"""A loss above it, of a run that diverged, is left out."""


def losses(history: History, width: int, height: int) -> Text:
    """Return the loss by epoch, of the validation part too, in so many columns and lines.

    The scale is logarithmic where all losses are positive. Raises ValueError if none is finite.
    """
    epochs = history["epoch"]
    x = np.linspace(1, max(epochs[-1], 2), 2 * (width - MARGIN))
    curves = []
    for name, key in (("validation loss", "val_loss"), ("training loss", "loss")):
        if key in history.names:
            known = np.abs(history[key]) < HIGHEST
            y = np.interp(x, epochs[known], history[key][known]) if known.any() else x * np.nan
            curves.append(Curve(name, x, y, whole=True))
    positive = all((curve.y > 0).all() for curve in curves)
    frame = around_powers(curves) if positive else around(curves)
    return draw_picture(Picture(curves, frame, "epoch"), width, height)
