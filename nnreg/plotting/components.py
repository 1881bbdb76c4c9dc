"""Charts of an activation and its derivative, or of a schedule."""

from __future__ import annotations

import numpy as np

from nnreg.interfaces.activation import Activation
from nnreg.interfaces.schedule import Schedule, ScheduleContext
from nnreg.network.initial_values import without_parameters
from nnreg.plotting import svg
from nnreg.plotting.chart import Axis, Chart, Curve, fit
from nnreg.plotting.palette import BLUE, ORANGE

REACH = 5.0
"""An activation is drawn from -REACH to REACH."""

TALLEST = 6.0
"""Values beyond this height are not drawn."""

EPOCHS, STEPS = 60, 8
"""Epochs, and steps per epoch, of the training for which a schedule is drawn."""

IMPROVING = 20
"""The number of epochs in which the loss of that training decreases."""

SAMPLES = 601
"""The number of values of x at which a component is evaluated."""


def chart(component: Activation | Schedule, label: str = "", samples: int = SAMPLES) -> Chart:
    """Return the chart of a component, with `label` on its vertical axis.

    Raises ValueError if no value is finite.
    """
    drawn = _activation if isinstance(component, Activation) else _schedule
    curves, along = drawn(component, samples)  # type: ignore[arg-type]  # each takes its kind
    y = np.concatenate([curve.y for curve in curves])
    x, finite = curves[0].x, y[np.isfinite(y)]
    if not len(finite):
        raise ValueError(f"no value between {x.min():g} and {x.max():g} is finite")
    up = fit(label, [np.clip([0, *finite], -TALLEST, TALLEST)])
    return Chart(Axis(along, float(x.min()), float(x.max())), up, curves)


def _activation(activation: Activation, samples: int) -> tuple[list[Curve], str]:
    """Return an activation and its derivative; if not elementwise, for the first of two inputs.

    Its parameters, if any, have their initial values.
    """
    activation = without_parameters(activation)
    x = np.linspace(-REACH, REACH, samples)
    rows = np.stack([x, np.zeros(samples)], axis=1)
    first = np.zeros_like(rows)
    first[:, 0] = 1
    with np.errstate(all="ignore"):
        y, backward = activation.forward(rows)
        slope = backward(first)[:, 0]
        beside_one, _ = activation.forward(np.stack([x, np.ones(samples)], axis=1))
    elementwise = np.array_equal(y[:, 0], beside_one[:, 0], equal_nan=True)
    labels = ("y", "dy/dx") if elementwise else ("y₁(x, 0)", "dy₁/dx")
    return [
        Curve(labels[0], x, y[:, 0], BLUE, breaks=True),
        Curve(labels[1], x, slope, ORANGE, dash=(7, 4), breaks=True),
    ], "x"


def _schedule(schedule: Schedule, samples: int) -> tuple[list[Curve], str]:
    """Return the factors for a training whose loss decreases at first and is then constant."""
    total = EPOCHS * STEPS
    losses = [1 / min(epoch, IMPROVING) for epoch in range(1, EPOCHS + 1)]
    monitored = schedule.monitored_metric() or "loss"
    history = [{monitored: loss} for loss in losses]
    steps = np.linspace(0, total - 1, min(samples, total)).astype(int)
    factors = [
        schedule.factor(ScheduleContext(step, total, STEPS, history[: step // STEPS]))
        for step in steps.tolist()
    ]
    return [Curve("factor", steps / STEPS, np.array(factors), BLUE, breaks=True)], "epoch"


def file(component: Activation | Schedule, title: str, label: str) -> str:
    """Return the chart of a component as an SVG file."""
    drawn = svg.draw(chart(component, label), f"{title}: {label}", title=title, width=640,
                     height=330)  # fmt: skip
    return drawn.file()
