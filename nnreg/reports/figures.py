"""The figures of a report, drawn by matplotlib: each function returns a `Figure`.

No pyplot, and no settings of the process are changed but while a file is written. Names from data
are shown as they are, never read as formulas.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from nnreg._types import Array
from nnreg.reports.palette import BLUE, GRID, INK, LINES, MUTED, ORANGE, PAPER
from nnreg.training.history import History

DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)))
"""For the lines of more runs than there are colours."""

SIZE = (4.6, 3.0)
"""Inches; small enough for a telephone's width."""

MOST_POINTS = 600
"""Points of a scatter plot; of more, evenly spaced ones are drawn."""

MOST_LAYERS = 24
"""Layers whose gradients are drawn; of more, evenly spaced ones."""

MOST_EPOCHS = 1000
"""Points of a curve; of a longer one, the smallest and largest value of each stretch are drawn."""

MOST_COUNTED = 20
"""Classes up to which a confusion matrix has the counts in it."""

LARGEST = 1e100
"""The size of a value, as in a run that diverged, beyond which it is not drawn."""

LONGEST = 24
"""Characters of a name; a longer one is cut."""


def curves(runs: Mapping[str, History], name: str, best: Mapping[str, int | None]) -> Figure:
    """Draw a figure by epoch: dotted in training, solid on the validation part.

    `best` has the epoch of each run to mark.
    """
    figure, axes = _panel()
    draw_curves(axes, runs, name, best)
    return figure


def all_curves(runs: Mapping[str, History], best: Mapping[str, int | None]) -> Figure:
    """Draw every figure that the runs have, each by epoch in a panel of its own."""
    names = measured(runs.values())
    rows, columns = (len(names) + 1) // 2, min(len(names), 2)
    size = (SIZE[0] * columns, SIZE[1] * rows)
    figure = Figure(figsize=size, layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, name in zip(panels, names, strict=False):
        draw_curves(axes, runs, name, best)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    return figure


def measured(histories: Any) -> list[str]:
    """Return what is measured by epoch, without `val_`."""
    names = (name for history in histories for name in history.names)
    return [n for n in dict.fromkeys(n.removeprefix("val_") for n in names) if n != "epoch"]


def draw_curves(
    axes: Axes, runs: Mapping[str, History], name: str, best: Mapping[str, int | None]
) -> None:
    """Draw a figure by epoch into `axes`; see `curves`."""
    several, values = len(runs) > 1, []
    for index, (run, history) in enumerate(runs.items()):
        colour = LINES[index % len(LINES)]
        held_out = f"val_{name}" in history.names
        for key, part in ((name, "training"), (f"val_{name}", "validation")):
            if key not in history.names:
                continue
            main = held_out == (part == "validation")
            x, y = history["epoch"], drawable(history[key])
            values.append(y)
            axes.plot(
                *thin(x, y),
                color=colour if main or several else ORANGE,
                linestyle=DASHES[index // len(LINES) % 4] if main else DASHES[2],
                linewidth=1.8 if main else 1.4,
                marker="o" if len(history) == 1 else "",
                label=shown(run) if several else part,
            )
            if several and not main:
                axes.lines[-1].set_label("_")
            chosen = best.get(run)
            if main and chosen is not None:
                at = y[chosen - 1]
                axes.plot([chosen], [at], "o", color=colour, markersize=6, markeredgecolor=PAPER)
                if not several:
                    axes.axvline(chosen, color=MUTED, linewidth=0.8, linestyle=DASHES[2])
                    axes.lines[-1].set_label(f"best epoch: {chosen}")
    if name == "loss" or name.endswith("error"):
        _logarithmic(axes, values)
    _finish(axes, "epoch", words(name))
    _epochs(axes)
    handles, labels = axes.get_legend_handles_labels()
    if len(handles) > 1:
        _legend(axes, handles, labels)


def gradient_norms(records: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the length of each layer's gradient by epoch, the bluer, the nearer to the output."""
    named = dict.fromkeys(key for r in records for key, value in r.items() if value)
    layers = [name for name in named if name != "epoch"]  # those that train
    layers = [layers[place] for place in sample(len(layers), MOST_LAYERS)]
    figure, axes = _panel()
    epochs = np.array([_number(record.get("epoch")) for record in records])
    drawn = []
    for index, layer in enumerate(layers):
        y = drawable(np.array([_number(record.get(layer)) for record in records]))
        share = index / max(len(layers) - 1, 1)
        axes.plot(
            *thin(epochs, y),
            color=mpl.colormaps["viridis_r"](0.3 + 0.4 * share),
            linewidth=1.4,
            marker="o" if len(records) == 1 else "",
            label=shown(layer),
        )
        drawn.append(y)
    _logarithmic(axes, drawn)
    _finish(axes, "epoch", "length of the gradient")
    _epochs(axes)
    handles, labels = axes.get_legend_handles_labels()
    if len(handles) > 8:  # the first and the last tell which way the colours go
        handles, labels = [handles[0], handles[-1]], [labels[0], labels[-1]]
    _legend(axes, handles, labels)
    return figure


def confusion(matrix: Array, classes: Sequence[str]) -> Figure:
    """Draw how often each class was answered as each: the darker, the larger a share of its row."""
    count = len(classes)
    side = min(max(2.2 + 0.28 * count, 3.4), 7.0)
    figure = Figure(figsize=(side, side * 0.92), layout="constrained")
    axes = figure.subplots()
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    colours = np.empty((count, count, 4))
    colours[..., :3] = mpl.colors.to_rgb(BLUE)
    colours[..., 3] = share
    axes.imshow(colours, interpolation="none", aspect="equal")
    every = math.ceil(count / 40)
    places = np.arange(0, count, every)
    names = [shown(classes[int(place)]) for place in places]
    upright = max(map(len, names)) * len(names) > 9 * side
    axes.set_xticks(places, names, rotation=90 if upright else 0)
    axes.set_yticks(places, names)
    if count <= MOST_COUNTED:
        for row, column in np.argwhere(matrix > 0):
            axes.text(
                column, row, f"{matrix[row, column]:,}",
                ha="center", va="center", fontsize=9 if count <= 10 else 7,
                color="white" if share[row, column] > 0.5 else INK,
            )  # fmt: skip
    _finish(axes, "answered", "true", grid=False)
    axes.tick_params(length=0, labelsize=9 if count <= 20 else 6)
    for spine in axes.spines.values():
        spine.set(visible=True, color=GRID)
    return figure


def predicted(truth: Array, answers: Array, name: str) -> Figure:
    """Draw answers against the truth; on the line they are equal."""
    figure, axes = _panel()
    truth, answers = drawable(truth), drawable(answers)
    low, high = _ends(np.concatenate([truth, answers]))
    axes.plot([low, high], [low, high], color=MUTED, linewidth=0.9, linestyle=DASHES[2])
    chosen = sample(len(truth))
    _points(axes, truth[chosen], answers[chosen])
    _finish(axes, f"true {shown(name)}", "predicted")
    return figure


def residuals(truth: Array, answers: Array, name: str) -> Figure:
    """Draw how far answers are off, against the answer: what is left should have no shape."""
    figure, axes = _panel()
    truth, answers = drawable(truth), drawable(answers)
    axes.axhline(0, color=MUTED, linewidth=0.9, linestyle=DASHES[2])
    chosen = sample(len(truth))
    _points(axes, answers[chosen], (truth - answers)[chosen])
    _finish(axes, f"predicted {shown(name)}", "true − predicted")
    return figure


def sample(count: int, most: int = MOST_POINTS) -> Array:
    """Return the places of those that are drawn of so many, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.intp))


def drawable(values: Array) -> Array:
    """Return values with a gap where one is so large that matplotlib's arithmetic overflows."""
    return np.where(np.abs(values) < LARGEST, values, np.nan)


def thin(x: Array, y: Array) -> tuple[Array, Array]:
    """Return a curve with fewer points, in which no peak is lost."""
    if len(x) <= MOST_EPOCHS:
        return x, y
    kept = []
    for stretch in np.array_split(np.arange(len(x)), MOST_EPOCHS // 2):
        filled = np.where(np.isfinite(y[stretch]), y[stretch], 0)
        kept += [stretch[filled.argmin()], stretch[filled.argmax()]]
    places = np.unique([0, *kept, len(x) - 1])
    return x[places], y[places]


def shown(name: str) -> str:
    """Return a name that is safe to draw: short, and no formula."""
    text = "".join(c if c.isprintable() else "\ufffd" for c in name)
    text = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    return text.replace("$", r"\$")


def words(name: str) -> str:
    """Write a name as words: `mean_absolute_error` is mean absolute error."""
    return shown(name.replace("_", " "))


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the suffix; the same figure gives the same bytes."""
    path.write_bytes(_file(figure, path.suffix.removeprefix(".")))


def svg(figure: Figure) -> str:
    """Return a figure as SVG; the same figure gives the same text."""
    return _file(figure, "svg").decode()


def _file(figure: Figure, kind: str) -> bytes:
    """Return a figure as a file; raises ValueError for a format that there is none of."""
    # text stays text: it is smaller, can be searched, and is read aloud
    settings: dict[Any, Any] = {"svg.hashsalt": "nnreg", "svg.fonttype": "none", "pdf.fonttype": 42}
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    buffer = io.BytesIO()
    with mpl.rc_context(settings), warnings.catch_warnings():
        # a viewer of the SVG may well have glyphs that matplotlib's font has not
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing", UserWarning)
        figure.savefig(buffer, format=kind, dpi=150, metadata=undated.get(kind))
    return buffer.getvalue()


def _panel() -> tuple[Figure, Axes]:
    """Return a figure of one panel. To find its margins would take as long as to draw it."""
    figure = Figure(figsize=SIZE)
    return figure, figure.add_axes((0.14, 0.165, 0.83, 0.735))


def _points(axes: Axes, x: Array, y: Array) -> None:
    axes.plot(x, y, "o", color=BLUE, alpha=0.55, markersize=4.5, markeredgewidth=0)


def _ends(values: Array) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _number(value: Any) -> float:
    return float(value) if type(value) in (int, float) else math.nan


def _epochs(axes: Axes) -> None:
    """Count epochs in whole numbers, a single one too."""
    low, high = axes.get_xlim()
    if high - low < 1:
        axes.set_xlim(low - 0.5, high + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def _logarithmic(axes: Axes, curves: Sequence[Array]) -> None:
    """Use a logarithmic scale where values are positive and differ by a factor of 30."""
    values = np.concatenate([*curves, np.empty(0)])
    values = values[np.isfinite(values)]
    if values.size and values.min() > 0 and values.max() > 30 * values.min():
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())


def _legend(axes: Axes, handles: Sequence[Any], labels: Sequence[str]) -> None:
    axes.legend(
        handles, labels, frameon=False, fontsize=8.5, labelcolor=MUTED, handlelength=1.8,
        loc="best",
    )  # fmt: skip


def _finish(axes: Axes, x: str, y: str, *, grid: bool = True) -> None:
    """Give a panel its labels and its quiet frame."""
    axes.set_xlabel(x, color=MUTED, fontsize=9.5)
    if grid:
        axes.set_title(y, loc="left", color=MUTED, fontsize=9.5)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
        axes.grid(color=GRID, linewidth=0.7)
        axes.set_axisbelow(True)
    else:
        axes.set_ylabel(y, color=MUTED, fontsize=9.5)
    axes.tick_params(colors=MUTED, labelsize=9, length=3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    axes.patch.set_visible(False)
    axes.figure.patch.set_facecolor(PAPER)


def _tick(value: float) -> str:
    """Write a number short enough for the margin: `−1.5e19`."""
    return re.sub(r"e([+-])0*", lambda found: f"e{found[1].strip('+')}", f"{value:g}").replace(
        "-", "−"
    )
