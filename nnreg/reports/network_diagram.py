"""Diagram of a network: layers from the input down to the output, nested layers in frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from nnreg._types import Shape
from nnreg._utils import json_text
from nnreg.data.preprocessing import columns_of
from nnreg.interfaces.layer import Layer, LayerBuilder, LayerEntry
from nnreg.interfaces.trainable_activation import TrainableActivation
from nnreg.model.model import Model
from nnreg.model.outputs import Output
from nnreg.network.parameters import declared, sources, total_size
from nnreg.plotting.palette import BLUE, GRID, INK, MUTED, PANEL, PAPER
from nnreg.plotting.svg import Drawing, escape, text
from nnreg.registry.registry import Registry
from nnreg.spec.validation import to_json

WIDTH = 420
"""Pixels; about the width of a telephone."""

HEIGHT, GAP, INSET, HEAD = 46, 20, 12, 30
"""Pixels: height of a box, space between boxes, inset of a frame, height of its title."""

DASHED = ' stroke-dasharray="4 3"'

MAX_PATTERN = 12
"""The longest repeated sequence of layers that is recognized and drawn once."""

MAX_BOXES = 40
"""Boxes in a column; of a larger number, the middle ones are omitted."""

CHARACTER_WIDTH = 6.6
"""Pixels, on average."""


@dataclass(frozen=True)
class Box:
    """A layer: its type, formatted options, output shape and number of parameters.

    `children` are the nested layers, `times` is the number of repetitions; `frozen` layers are not
    trained. A layer that is `apart` does not read the one before. A box without a type is a
    repeated sequence of layers.
    """

    kind: str
    options: str
    shape: Shape
    size: int
    children: tuple[Box, ...] = ()
    times: int = 1
    frozen: bool = False
    apart: bool = False


def diagram(model: Model) -> Drawing:
    """Return the diagram of a model's network."""
    boxes, network = boxes_of(model), model.network
    total = f"{network.vector.size:,} parameters"
    shape = network.input_shape
    inputs = {"": shape} if isinstance(shape, tuple) else shape
    first = [Box("input", name, one, 0, apart=True) for name, one in inputs.items()]
    last = [
        Box(
            "output",
            ", ".join(filter(None, (output.name, _predicted(output)))),
            output.shape,
            0,
            apart=bool(output.name),
        )
        for output in model.outputs.values()
    ]
    elements, bottom = _column((*first, *boxes, *last), 1, 1, WIDTH - 2)
    kinds = ", ".join(f"{box.kind or 'block'} × {box.times}" if box.times > 1 else box.kind
                      for box in boxes)  # fmt: skip
    description = f"Network from input to output: {kinds}; {total}"
    return Drawing(WIDTH, bottom + 1, description, elements)


def _predicted(output: Output) -> str:
    """Return the classes or the target columns of an output."""
    return ", ".join(output.classes or (columns_of(output.target) if output.target else ()))


def boxes_of(model: Model) -> tuple[Box, ...]:
    """Return the layers of a model as in the spec, with the activation of the last layer."""
    plan, boxes = model.network.plan, []
    for entry, (name, (layer, _)) in zip(
        model.spec.model.layers, plan.children.items(), strict=True
    ):
        given = entry.layer if isinstance(entry, LayerEntry) else entry
        boxes.append(_box(given or layer, plan, name, "", model))
    return _compressed(boxes)


def _box(layer: Layer, parent: LayerBuilder, name: str, prefix: str, model: Model) -> Box:
    """Return the box of a layer, given by its name in its parent, with those of nested layers."""
    plan = parent.children[name][1]
    registry, params = model.document.registry, {} if plan.owner else declared(plan)[0]
    children = [
        _box(child, plan, key, f"{prefix}{name}/", model)
        for key, (child, _) in plan.children.items()
        if not isinstance(child, TrainableActivation)  # shown as an option
    ]
    own = {f"{prefix}{name}/{key}" for key in params}
    title = name.removeprefix("layers/")
    kind = registry.name_of(layer)
    return Box(
        kind if title.isdecimal() else f"{title}: {kind}",
        ", ".join(filter(None, (_options(layer, registry), sources(parent, name)))),
        plan.output,
        total_size(params),
        _compressed(children),
        frozen=bool(own) and own <= model.network.frozen,
        apart=_is_apart(list(parent.children).index(name), plan),
    )


def _is_apart(index: int, plan: LayerBuilder) -> bool:
    """Return True if an entry of this number does not read the one before, or the only input."""
    if plan.wire is None:
        return False
    reads = [one for one in plan.wire.inputs if one.value == index]
    return not any(index or one.part is None for one in reads)


def _options(layer: Layer, registry: Registry) -> str:
    """Return the options of a layer that differ from the defaults, except initializers."""
    given = []
    for field in dataclasses.fields(cast(Any, layer)):
        value, name = getattr(layer, field.name), field.name.replace("_", " ")
        if value == field.default or name == "layers" or name.endswith("initializer"):
            continue
        shown = _format_option(to_json(value, registry))
        if name == "units":
            plural = "" if value == 1 else "s"
            shown = f"{shown} unit{plural}" if shown != "classes" else "one unit per class"
        elif name != "activation":
            shown = f"{name} {shown}"
        given.append(shown)
    return ", ".join(given)


def _format_option(value: Any) -> str:
    if isinstance(value, Mapping) and "type" in value:
        return str(value["type"])
    if isinstance(value, list):
        return " × ".join(map(_format_option, value))
    return value if isinstance(value, str) else json_text.dumps(value)


def _compressed(boxes: Sequence[Box]) -> tuple[Box, ...]:
    """Return boxes with repeated sequences merged, and the middle of very many omitted."""
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
            result.append(
                Box("", "", pattern[-1].shape, size, tuple(pattern), times, apart=pattern[0].apart)
            )
    if len(result) > MAX_BOXES:
        half = MAX_BOXES // 2
        omitted = sum(box.times for box in result[half:-half])
        result[half:-half] = [Box("…", f"{omitted:,} more layers", result[-half - 1].shape, 0)]
    return tuple(result)


def _pattern(boxes: Sequence[Box]) -> tuple[int, int]:
    """Return the length of the sequence that is repeated from the first box on, and its count."""
    best = 1, 1
    for length in range(1, min(MAX_PATTERN, len(boxes) // 2) + 1):
        times = 1
        while boxes[times * length : (times + 1) * length] == boxes[:length]:
            times += 1
        if length * (times - 1) > max(best[0] * (best[1] - 1), 1):
            best = length, times
    return best


def _column(boxes: Sequence[Box], x: float, y: float, width: float) -> tuple[list[str], float]:
    """Return the elements of boxes one below the other, and the lower end of the last."""
    elements: list[str] = []
    for index, box in enumerate(boxes):
        if index:
            middle = x + width / 2
            if not box.apart:
                elements.append(
                    f'<path d="M{middle} {y + 2}v{GAP - 8}m-4 -5l4 5l4 -5" fill="none" '
                    f'stroke="{MUTED}" stroke-width="1.3"/>'
                )
            y += GAP
        drawn, y = _frame(box, x, y, width) if box.children else _plain(box, x, y, width)
        elements += drawn
    return elements, y


def _plain(box: Box, x: float, y: float, width: float) -> tuple[list[str], float]:
    """Return the elements of a box without nested layers, and its lower end."""
    is_layer = box.kind not in ("input", "output", "…")
    fill, dash = (PANEL, "") if is_layer else (PAPER, DASHED)
    elements = [
        f'<rect x="{x}" y="{y}" width="{width}" height="{HEIGHT}" rx="7" fill="{fill}" '
        f'stroke="{GRID}"{dash}/>',
        *_title(box, x, y + 19, width),
        text(x + INSET, y + 37, _shape(box.shape)),
    ]
    if is_layer:
        elements.append(text(x + width - INSET, y + 37, _count(box), anchor="end"))
    return elements, y + HEIGHT


def _frame(box: Box, x: float, y: float, width: float) -> tuple[list[str], float]:
    """Return the elements of a box with nested layers, and its lower end."""
    inside, bottom = _column(box.children, x + INSET, y + HEAD, width - 2 * INSET)
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
    """Yield the type and options of a layer, and its number of repetitions."""
    kind = box.kind or "block"
    available = width - 2 * INSET - (40 if box.times > 1 else 0)
    room = int(available / CHARACTER_WIDTH) - len(kind) - 2
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
    """Return the number of parameters as text."""
    if not box.size:
        return "no parameters"
    plural, each = "" if box.size == 1 else "s", " each" if box.times > 1 else ""
    return f"{box.size:,} parameter{plural}{each}{', frozen' if box.frozen else ''}"
