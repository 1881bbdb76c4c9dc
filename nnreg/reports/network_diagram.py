"""Diagram of a network: layers from the input down to the output, nested layers in frames.

An arrow between two boxes leads to a layer that reads the one above; lines on the left lead to
those that read others.
"""

from __future__ import annotations

import dataclasses
import itertools
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

TRACK, MAX_TRACKS = 11, 8
"""Pixels from line to line beside the boxes, and the most lines side by side."""

PORT = 13
"""Pixels from the upper end of a box to the lines that lead to it, and from the lower end to those
that begin there."""

OUTSIDE = -1
"""The place in a column of what is read from outside of its frame."""

DASHED = ' stroke-dasharray="4 3"'

MAX_PATTERN = 12
"""The longest repeated sequence of layers that is recognized and drawn once."""

MAX_BOXES = 40
"""Boxes in a column; of a larger number, the middle ones are omitted."""

OMITTED = "…"
"""The type of the box that stands for those that are omitted."""

CHARACTER_WIDTH = 6.6
"""Pixels, on average."""


@dataclass(frozen=True)
class Box:
    """A layer: its type, formatted options, output shape and number of parameters.

    `children` are the nested layers, `times` is the number of repetitions; `frozen` layers are not
    trained. A box without a type is a repeated sequence of layers. `key` is the number of its
    value, or the name of an input. `reads` has how many values before it each one is that it reads,
    or the names of inputs.
    """

    kind: str
    options: str
    shape: Shape
    size: int
    children: tuple[Box, ...] = ()
    times: int = 1
    frozen: bool = False
    reads: tuple[int | str, ...] = (1,)
    key: int | str = dataclasses.field(default=0, compare=False)


def diagram(model: Model) -> Drawing:
    """Return the diagram of a model's network."""
    boxes, network = boxes_of(model), model.network
    total = f"{network.vector.size:,} parameters"
    shape = network.input_shape
    inputs = {"": shape} if isinstance(shape, tuple) else shape
    first = [Box("input", name, one, 0, reads=(), key=name or 0) for name, one in inputs.items()]
    last = []
    for key, output in enumerate(model.outputs.values(), len(network.plan.children) + 1):
        read = network.plan.output_reads.get(output.name)
        offset = 1 if read is None else key - read.value
        last.append(Box("output", _predicted(output), output.shape, 0, reads=(offset,), key=key))
    elements, bottom = _column((*first, *boxes, *last), 1, 1, WIDTH - 2)
    kinds = ", ".join(f"{box.kind or 'block'} × {box.times}" if box.times > 1 else box.kind
                      for box in boxes)  # fmt: skip
    description = f"Network from input to output: {kinds}; {total}"
    return Drawing(WIDTH, bottom + 1, description, elements)


def _predicted(output: Output) -> str:
    """Return the name of an output, and its classes or target columns."""
    found = ", ".join(output.classes or (columns_of(output.target) if output.target else ()))
    return ": ".join(dict.fromkeys(filter(None, (output.name, found))))


def boxes_of(model: Model) -> tuple[Box, ...]:
    """Return the layers of a model as in the spec, with the activation of the last layer."""
    plan, boxes = model.network.plan, []
    for entry, (name, (layer, _)) in zip(
        model.spec.model.layers, plan.children.items(), strict=True
    ):
        given = entry.layer if isinstance(entry, LayerEntry) else entry
        boxes.append(_box(given or layer, plan, name, "", model))
    layers, members = _compressed(boxes), model.network.members
    if members == 1:
        return layers
    size, last = sum(box.size * box.times for box in layers), layers[-1]
    return (Box("members", "", last.shape, size, layers, members, key=last.key),)


def _box(layer: Layer, parent: LayerBuilder, name: str, prefix: str, model: Model) -> Box:
    """Return the box of a layer, given by its name in its parent, with those of nested layers."""
    plan, index = parent.children[name][1], list(parent.children).index(name)
    registry, params = model.document.registry, {} if plan.owner else declared(plan)[0]
    children = [
        _box(child, plan, key, f"{prefix}{name}/", model)
        for key, (child, _) in plan.children.items()
        if not isinstance(child, TrainableActivation)  # shown as an option
    ]
    copies = any(key.isdecimal() for key in plan.children)  # of the layer itself
    inside = _compressed([replace(child, kind="") if copies else child for child in children])
    once = copies and len(inside) == 1
    shown = next(iter(plan.children.values()))[0] if once else layer
    own = {f"{prefix}{name}/{key}" for key in params}
    title, kind = name.removeprefix("layers/"), registry.name_of(layer)
    options = "" if plan.owner else _options(shown, registry)
    whole = Box(
        kind if title.isdecimal() else f"{title}: {kind}",
        ", ".join(filter(None, (options, sources(parent, name)))),
        plan.output,
        total_size(params),
        inside,
        frozen=bool(own) and own <= model.network.member(0).frozen,
        reads=_reads(index, plan),
        key=index + 1,
    )
    if not once:
        return whole
    copy = inside[0]
    return replace(whole, size=copy.size, children=copy.children, times=copy.times)


def _reads(index: int, plan: LayerBuilder) -> tuple[int | str, ...]:
    """Return what the entry of this number reads, as `Box.reads` has it."""
    if plan.wire is None:
        return (1,)
    found = (one.part if not one.value and one.part else index + 1 - one.value
             for one in plan.wire.inputs)  # fmt: skip
    return tuple(dict.fromkeys(found))


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
        if times == 1:
            result += pattern
            continue
        reads = (1,) if 1 in pattern[0].reads else ()
        if length == 1 and pattern[0].times == 1:
            merged = replace(pattern[0], times=times)
        else:
            size = sum(box.size * box.times for box in pattern)
            merged = Box("", "", pattern[-1].shape, size, tuple(pattern), times)
        result.append(replace(merged, reads=reads, key=boxes[start - 1].key))
    if len(result) > MAX_BOXES:
        half = MAX_BOXES // 2
        omitted = sum(box.times for box in result[half:-half])
        result[half:-half] = [Box(OMITTED, f"{omitted:,} more layers", result[-half - 1].shape, 0)]
    return tuple(result)


def _pattern(boxes: Sequence[Box]) -> tuple[int, int]:
    """Return the length of the sequence that is repeated from the first box on, and its count.

    Of several, that which leaves out the most boxes; more than one, or it is not worth a frame.
    """
    best, most = (1, 1), 1
    for length in range(1, min(MAX_PATTERN, len(boxes) // 2) + 1):
        times = 1
        while boxes[times * length : (times + 1) * length] == boxes[:length]:
            times += 1
        left_out = (times - 1) * sum(1 + len(box.children) for box in boxes[:length])
        if left_out > most:
            best, most = (length, times), left_out
    return best


def _column(boxes: Sequence[Box], x: float, y: float, width: float) -> tuple[list[str], float]:
    """Return the elements of boxes one below the other, and the lower end of the last."""
    lines = _lines(boxes)
    tracks = {one: track for one, track in _tracks(lines).items() if track < MAX_TRACKS}
    indent = TRACK * (max(tracks.values()) + 1) + 3 if tracks else 0
    x, width = x + indent, width - indent
    elements: list[str] = []
    starts, ends = [], {OUTSIDE: y - 2 + PORT}
    for place, box in enumerate(boxes):
        if place:
            middle = x + width / 2
            if _reads_above(box, boxes[place - 1]):
                elements.append(
                    f'<path d="M{middle} {y + 2}v{GAP - 8}m-4 -5l4 5l4 -5" fill="none" '
                    f'stroke="{MUTED}" stroke-width="1.3"/>'
                )
            y += GAP
        starts.append(y)
        drawn, y = _frame(box, x, y, width) if box.children else _plain(box, x, y, width)
        elements += drawn
        ends[place] = y
    for source, track in tracks.items():
        left, start = x - TRACK * (track + 1), ends[source] - PORT
        heads = [starts[place] + PORT for place in lines[source]]
        begin = f"M{left} {start}" if source == OUTSIDE else f"M{x} {start}H{left}"
        arrows = "".join(f"M{left} {head}H{x - 1}m-5 -4l5 4l-5 4" for head in heads)
        elements.append(
            f'<path d="{begin}V{heads[-1]}{arrows}" fill="none" stroke="{MUTED}" '
            'stroke-width="1.3" stroke-linejoin="round"/>'
        )
    return elements, y


def _reads_above(box: Box, above: Box) -> bool:
    return 1 in box.reads or (isinstance(above.key, str) and above.key in box.reads)


def _lines(boxes: Sequence[Box]) -> dict[int, list[int]]:
    """Return the places of the boxes that read another than the one above, by the place of that."""
    places = {box.key: place for place, box in enumerate(boxes)}
    complete = all(box.kind != OMITTED for box in boxes)
    found: dict[int, list[int]] = {}
    for place, box in enumerate(boxes):
        for one in box.reads:
            key = box.key - one if isinstance(one, int) and isinstance(box.key, int) else one
            source = places.get(key, OUTSIDE)
            if one != 1 and source != place - 1 and (source != OUTSIDE or complete):
                found.setdefault(source, []).append(place)
    return found


def _tracks(lines: Mapping[int, Sequence[int]]) -> dict[int, int]:
    """Return for each line its number from the boxes to the left, short ones first."""
    tracks: dict[int, int] = {}
    for source, places in sorted(lines.items(), key=lambda line: line[1][-1] - line[0]):
        taken = {
            track
            for other, track in tracks.items()
            if other < places[-1] and source < lines[other][-1]
        }
        tracks[source] = next(track for track in itertools.count() if track not in taken)
    return tracks


def _plain(box: Box, x: float, y: float, width: float) -> tuple[list[str], float]:
    """Return the elements of a box without nested layers, and its lower end."""
    is_layer = box.kind not in ("input", "output", OMITTED)
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
