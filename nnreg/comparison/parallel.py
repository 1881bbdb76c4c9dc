"""Parallel coordinates: a vertical axis for each setting and the metric, a line for each group."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._utils.json_text import dumps
from nnreg.comparison.api import Comparison
from nnreg.comparison.groups import Group
from nnreg.comparison.settings import short, short_value
from nnreg.comparison.tables import rounding_of
from nnreg.plotting.chart import Axis, fit, number, short_name, spans_decades
from nnreg.plotting.palette import BLUE, INK, MUTED, ORANGE, PAPER
from nnreg.plotting.svg import Drawing, escape, text

SPACING, HEIGHT, LEFT, TOP = 150, 260, 74, 44
"""The distance of the axes, their height, and the margins, in pixels."""

MAX_VALUES = 8
"""The most values of a setting that are evenly spaced; more numbers are on an axis."""

MAX_NAME = 20
"""Characters of a name or a value."""

FAINTEST = 0.12
"""The opacity of the line of the worst group."""


@dataclass(frozen=True)
class _Scale:
    """The heights of the values of an axis, from 0 to 1, and its labels by their heights."""

    name: str
    heights: Sequence[float]
    labels: Sequence[tuple[float, str]]


def parallel_coordinates(
    comparison: Comparison, metric: str, paths: Sequence[str]
) -> Drawing | None:
    """Return the groups by the settings `paths` and a metric; None if there is nothing to draw.

    The better a group, the darker its line; that of the best is orange.
    """
    ranked = comparison.ranked(metric)
    groups = [one for one in ranked if math.isfinite(one.metrics[metric].mean)]
    if len(groups) < 2 or not paths:
        return None
    names = short(paths)
    scales = [_of_setting(names[p], [group.settings[p] for group in groups]) for p in paths]
    scales.append(_of_metric(metric, groups))
    width = LEFT + SPACING * (len(scales) - 1) + 90
    elements = [*_lines(groups, metric, scales), *_axes(scales)]
    caption = (
        f"Each line is a group of runs: its settings, and its {metric.replace('_', ' ')} at the "
        "right. The darker, the better; the best is orange"
    )
    return Drawing(width, TOP + HEIGHT + 20, caption, elements)


def _of_setting(name: str, values: Sequence[Any]) -> _Scale:
    numeric = all(type(value) in (int, float) for value in values)
    texts = {dumps(value): value for value in values}
    order = sorted(texts, key=texts.__getitem__) if numeric else list(texts)
    if numeric and len(order) > MAX_VALUES:
        return _of_numbers(name, values)
    place = {one: (i + 0.5) / len(order) for i, one in enumerate(order)}
    every = math.ceil(len(order) / (2 * MAX_VALUES))  # of categories, which may be many
    labels = [(place[one], short_name(short_value(texts[one]))) for one in order[::every]]
    return _Scale(name, [place[dumps(value)] for value in values], labels)


def _of_numbers(name: str, values: Sequence[float]) -> _Scale:
    x = np.array(values, np.float64)
    axis = fit(name, [x], logarithmic=spans_decades([x]))
    return _Scale(name, axis.fraction(x).tolist(), _ticks(axis))


def _ticks(axis: Axis) -> list[tuple[float, str]]:
    return [(float(axis.fraction(value)), number(value)) for value in axis.ticks()]


def _of_metric(metric: str, groups: Sequence[Group]) -> _Scale:
    return _of_numbers(metric, [group.metrics[metric].mean for group in groups])


def _x(index: int) -> float:
    return LEFT + SPACING * index


def _y(height: float) -> float:
    return TOP + (1 - height) * HEIGHT


def _lines(groups: Sequence[Group], metric: str, scales: Sequence[_Scale]) -> Iterator[str]:
    """Yield the lines, the best on top; each has a title, which browsers show as a tooltip."""
    rounding = rounding_of(group.metrics[metric].std for group in groups)
    for rank in reversed(range(len(groups))):
        points = "L".join(
            f"{_x(i)} {_y(scale.heights[rank]):.1f}" for i, scale in enumerate(scales)
        )
        goodness = 1 - rank / (len(groups) - 1)
        style = f'stroke="{BLUE}" stroke-opacity="{FAINTEST + 0.7 * goodness**2:.2f}"'
        if not rank:
            style = f'stroke="{ORANGE}" stroke-width="3"'
        group = groups[rank]
        title = escape(f"{group.name}: {rounding.text(group.metrics[metric].mean)}")
        yield f'<path d="M{points}" fill="none" {style}><title>{title}</title></path>'


def _axes(scales: Sequence[_Scale]) -> Iterator[str]:
    halo = f'stroke="{PAPER}" stroke-width="4" stroke-linejoin="round" paint-order="stroke"'
    for index, scale in enumerate(scales):
        x, last = _x(index), index == len(scales) - 1
        yield f'<path d="M{x} {TOP}v{HEIGHT}" stroke="{MUTED}"/>'
        name = short_name(scale.name.replace("_", " "))[:MAX_NAME]
        yield text(x, TOP - 16, name, fill=INK, anchor="middle")
        for height, label in scale.labels:
            place, anchor = (x + 7, "") if last else (x - 7, "end")
            shown = label if len(label) <= MAX_NAME else f"{label[: MAX_NAME - 1]}…"
            yield text(place, _y(height) + 4, shown, anchor=anchor, more=halo)
