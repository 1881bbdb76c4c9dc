"""Pictures of an activation and its derivative, or of a schedule: for a terminal, and as SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnreg.interfaces.activation import Activation
from nnreg.interfaces.schedule import Moment, Schedule
from nnreg.plotting import svg as charts
from nnreg.plotting.braille import MARGIN, Picture, draw_picture
from nnreg.plotting.svg import Curve

if TYPE_CHECKING:
    from rich.text import Text


REACH = 5.0
"""An activation is drawn from -REACH to REACH."""

TALLEST = 6.0
"""What lies beyond this height is cut off."""


EPOCHS, STEPS = 60, 8
"""The training over which a schedule is drawn: its epochs, and the steps of each."""

IMPROVING = 20
"""The epochs after which the losses of that training fall no more."""


def picture(component: Activation | Schedule, count: int) -> Picture:
    """Evaluate a component at `count` places. Raises ValueError if no value is finite."""
    drawn = _activation if isinstance(component, Activation) else _schedule
    return drawn(component, count)  # type: ignore[arg-type]  # each takes its kind


def _activation(activation: Activation, count: int) -> Picture:
    """Return an activation and its derivative; of one over several values the first of two."""
    x = np.linspace(-REACH, REACH, count)
    rows = np.stack([x, np.zeros(count)], axis=1)
    first = np.zeros_like(rows)
    first[:, 0] = 1
    with np.errstate(all="ignore"):
        y, backward = activation.forward(rows)
        slope = backward(first)[:, 0]
        beside_one, _ = activation.forward(np.stack([x, np.ones(count)], axis=1))
    elementwise = np.array_equal(y[:, 0], beside_one[:, 0], equal_nan=True)
    labels = ("y", "dy/dx") if elementwise else ("y₁(x, 0)", "dy₁/dx")
    curves = [Curve(labels[0], x, y[:, 0]), Curve(labels[1], x, slope)]
    return Picture(curves, charts.around(curves, TALLEST))


def _schedule(schedule: Schedule, count: int) -> Picture:
    """Return the factors of a training that gets better at first, and then no more."""
    total = EPOCHS * STEPS
    losses = [1 / min(epoch, IMPROVING) for epoch in range(1, EPOCHS + 1)]
    watched = schedule.watches() or "loss"
    history = [{watched: loss} for loss in losses]
    steps = np.linspace(0, total - 1, min(count, total)).astype(int)
    factors = [
        schedule.factor(Moment(step, total, STEPS, history[: step // STEPS]))
        for step in steps.tolist()
    ]
    curves = [Curve("factor", steps / STEPS, np.array(factors))]
    return Picture(curves, charts.around(curves), "epoch")


def svg(component: Activation | Schedule, title: str, subtitle: str) -> str:
    """Return a picture as a file that needs no other, readable on light and dark pages."""
    drawn = picture(component, 601)
    return charts.svg(title, subtitle, drawn.curves, frame=drawn.frame, along=drawn.along)


def draw(component: Activation | Schedule, width: int, height: int) -> Text:
    """Return a picture of so many columns and lines, in braille dots."""
    return draw_picture(picture(component, 2 * (width - MARGIN)), width, height)
