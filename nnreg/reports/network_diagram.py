"""The network as a picture: layers from the input down to the output, nested ones in frames."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from nnreg._types import Shape
from nnreg.interfaces.layer import Layer, LayerBuilder
from nnreg.model.model import Model
from nnreg.network.parameters import declared, total_size
from nnreg.plotting.palette import BLUE, GRID, INK, MUTED, PANEL, PAPER
from nnreg.plotting.svg import Drawing, escape, text
from nnreg.registry.registry import Registry
from nnreg.spec.validation import to_json

WIDTH = 420
"""Of the picture, in pixels: about a telephone's."""

HEIGHT, GAP, INSET, HEAD = 46, 20, 12, 30
"""Of a box; between boxes, with the arrow; of a frame around nested layers, and of its title."""

MAX_PATTERN = 12
"""Layers that are drawn once if the same ones follow again."""

MAX_BOXES = 40
"""Boxes in a column; of more, the first and the last are drawn."""


@dataclass(frozen=True)
class Box:
    """A layer: its kind, its options in words, the shape of its output, its parameters.

    `parts` are the layers in it; `times` says how often it follows itself; `frozen` layers do not
    train. A box without a kind is a pattern of layers that follows itself.
    """

    kind: str
    options: str
    shape: Shape
    size: int
    parts: tuple[Box, ...] = ()
    times: int = 1
    frozen: bool = False


def diagram(model: Model) -> Drawing:
    """Return the network of a model."""
    boxes, network = boxes_of(model), model.network
    total = f"{network.vector.size:,} parameters"
    answer = ", ".join(model.classes or model.preprocessing.target_names)
    ends = Box("input", "", network.input_shape, 0), Box("output", answer, network.output_shape, 0)
    parts, bottom = _column((ends[0], *boxes, ends[1]), 1, 1, WIDTH - 2)
    kinds = ", ".join(f"{box.kind or 'pattern'} × {box.times}" if box.times > 1 else box.kind
                      for box in boxes)  # fmt: skip
    description = f"The network, from input to output: {kinds}; {total}"
    return Drawing(WIDTH, bottom + 1, description, parts)


def boxes_of(model: Model) -> tuple[Box, ...]:
    """Return the layers of a model as the spec has them, with the activation of the last."""
    named = model.network.plan.children.items()
    layers = zip(model.spec.model.layers, named, strict=True)
    return _folded([_box(layer, name, plan, model) for layer, (name, (_, plan)) in layers])


def _box(layer: Layer, name: str, plan: LayerBuilder, model: Model) -> Box:
    """Return the box of a layer by its full name, and those in it."""
    registry, params = model.document.registry, declared(plan)[0]
    parts = [
        _box(one, f"{name}/{key}", below, model) for key, (one, below) in plan.children.items()
    ]
    own = {f"{name}/{key}" for key in params}
    return Box(
        registry.name_of(layer),
        _options(layer, registry),
        plan.output,
        total_size(params),
        _folded(parts),
        frozen=bool(own) and own <= model.network.frozen,
    )


def _options(layer: Layer, registry: Registry) -> str:
    """Write what a layer was given other than its defaults, and how it begins."""
    given = []
    for field in dataclasses.fields(cast(Any, layer)):
        value, name = getattr(layer, field.name), field.name.replace("_", " ")
        if value == field.default or name == "layers" or name.endswith("initializer"):
            continue
        shown = _words(to_json(value, registry))
        if name == "units":
            plural = "" if value == 1 else "s"
            shown = f"{shown} unit{plural}" if shown != "classes" else "a unit for each class"
        elif name != "activation":
            shown = f"{name} {shown}"
        given.append(shown)
    return ", ".join(given)


def _words(value: Any) -> str:
    if isinstance(value, Mapping) and "type" in value:
        return str(value["type"])
    if isinstance(value, list):
        return " × ".join(map(_words, value))
    return value if isinstance(value, str) else json.dumps(value)


def _folded(boxes: Sequence[Box]) -> tuple[Box, ...]:
    """Draw a pattern of layers once that follows itself, and leave out the middle of very many."""
    result: list[Box] = []
    start = 0
    while start < len(boxes):
        length, times = _pattern(boxes[start:])
        pattern = boxes[start : start + length]
        start += length * times
        if length == 1:
            result.append(replace(pattern[0], times=times))
        else:
            size = sum(box.size for box in pattern)
            result.append(Box("", "", pattern[-1].shape, size, tuple(pattern), times))
    if len(result) > MAX_BOXES:
        half = MAX_BOXES // 2
        left_out = sum(box.times for box in result[half:-half])
        between = Box("…", f"{left_out:,} more layers", result[-half - 1].shape, 0)
        result[half:-half] = [between]
    return tuple(result)


def _pattern(boxes: Sequence[Box]) -> tuple[int, int]:
    """Return how many layers make the pattern that begins here, and how often it is there."""
    best = 1, 1
    for length in range(1, min(MAX_PATTERN, len(boxes) // 2) + 1):
        times = 1
        while boxes[times * length : (times + 1) * length] == boxes[:length]:
            times += 1
        if length * (times - 1) > max(best[0] * (best[1] - 1), 1):
            best = length, times
    return best


def _column(boxes: Sequence[Box], x: float, y: float, width: float) -> tuple[list[str], float]:
    """Draw boxes one below the other; return the elements and where they end."""
    parts: list[str] = []
    for index, box in enumerate(boxes):
        if index:
            middle = x + width / 2
            parts.append(
                f'<path d="M{middle} {y + 2}v{GAP - 8}m-4 -5l4 5l4 -5" fill="none" '
                f'stroke="{MUTED}" stroke-width="1.3"/>'
            )
            y += GAP
        drawn, y = _frame(box, x, y, width) if box.parts else _plain(box, x, y, width)
        parts += drawn
    return parts, y


def _plain(box: Box, x: float, y: float, width: float) -> tuple[list[str], float]:
    end = box.kind in ("input", "output", "…")
    paper = PAPER if end else PANEL
    return [
        f'<rect x="{x}" y="{y}" width="{width}" height="{HEIGHT}" rx="7" fill="{paper}" '
        f'stroke="{GRID}"{DASHED if end else ""}/>',
        *_title(box, x, y + 19, width),
        text(x + INSET, y + 37, _shape(box.shape)),
        *([] if end else [text(x + width - INSET, y + 37, _count(box), anchor="end")]),
    ], y + HEIGHT


DASHED = ' stroke-dasharray="4 3"'


def _frame(box: Box, x: float, y: float, width: float) -> tuple[list[str], float]:
    inside, bottom = _column(box.parts, x + INSET, y + HEAD, width - 2 * INSET)
    bottom += HEAD
    return [
        f'<rect x="{x}" y="{y}" width="{width}" height="{bottom - y}" rx="9" fill="none" '
        f'stroke="{BLUE}" stroke-opacity="0.55"/>',
        *_title(box, x, y + 20, width),
        *inside,
        text(x + INSET, bottom - 11, _shape(box.shape)),
        text(x + width - INSET, bottom - 11, _count(box), anchor="end"),
    ], bottom


def _title(box: Box, x: float, y: float, width: float) -> Iterator[str]:
    """Write a layer's kind and options, and how often it is there."""
    kind = box.kind or "these layers"
    room = int((width - 2 * INSET - (40 if box.times > 1 else 0)) / 6.6) - len(kind) - 2
    options = box.options if len(box.options) <= room else f"{box.options[: max(room - 1, 0)]}…"
    full = f"<title>{escape(box.options)}</title>" if options != box.options else ""
    yield (
        f'<text x="{x + INSET}" y="{y}" fill="{INK}">{full}<tspan font-weight="600">'
        f'{escape(kind)}</tspan> <tspan dx="4" fill="{MUTED}">{escape(options)}</tspan></text>'
    )
    if box.times > 1:
        yield text(x + width - INSET, y, f"× {box.times}", fill=BLUE, anchor="end",
                   more='font-weight="600"')  # fmt: skip


def _shape(shape: Shape) -> str:
    sizes = " × ".join(map(str, shape)) or "1"
    return f"{sizes} value{'' if sizes == '1' else 's'}"


def _count(box: Box) -> str:
    """Say how many parameters there are."""
    if not box.size:
        return "no parameters"
    plural, each = "" if box.size == 1 else "s", " each" if box.times > 1 else ""
    return f"{box.size:,} parameter{plural}{each}{', frozen' if box.frozen else ''}"
