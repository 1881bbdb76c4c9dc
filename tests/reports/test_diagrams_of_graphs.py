"""The diagram of a network that is not a chain: lines beside the boxes, and repeated layers."""

import itertools

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

import nnreg
from nnreg.reports.network_diagram import (
    MAX_BOXES,
    MAX_TRACKS,
    OUTSIDE,
    Box,
    _compressed,
    _lines,
    _reads_above,
    _tracks,
    boxes_of,
    diagram,
)

X = np.random.default_rng(0).normal(size=(12, 8))
DENSE = {"type": "dense", "units": 8}
BLOCK = [DENSE, {**DENSE, "name": "change"}, {"type": "add", "inputs": ["change", "input"]}]
OUTPUT = {"type": "dense", "units": 1}


def built(layers, x=X, loss="mean_squared_error", y=X[:, 0]):
    return nnreg.build({"model": {"layers": layers}, "loss": loss, "optimizer": "sgd"}, data=(x, y))


def paths(model):
    return [one for one in diagram(model).elements if one.startswith("<path")]


def arrows(boxes):
    return [_reads_above(box, above) for above, box in itertools.pairwise(boxes)]


def test_a_line_leads_to_a_layer_that_reads_another_than_the_one_above():
    model = built([{**DENSE, "name": "low"}, DENSE, {**DENSE, "name": "high"},
                   {"type": "concat", "inputs": ["high", "low"]}, OUTPUT])  # fmt: skip
    boxes = boxes_of(model)
    assert _lines(boxes) == {0: [3]}
    assert arrows(boxes) == [True, True, True, True]
    assert len(paths(model)) == 7


def test_no_arrow_leads_to_a_layer_that_does_not_read_the_one_above():
    boxes = boxes_of(built([{**DENSE, "name": "a"}, {**DENSE, "inputs": "input", "name": "b"},
                            {"type": "add", "inputs": ["a", "b"]}, OUTPUT]))  # fmt: skip
    assert arrows(boxes) == [False, True, True]


def test_all_lines_of_a_value_are_one():
    boxes = boxes_of(built([{**DENSE, "name": "a"}, DENSE, {**DENSE, "name": "b"},
                            {"type": "add", "inputs": ["a", "b"], "name": "c"},
                            {"type": "add", "inputs": ["a", "c"]}, OUTPUT]))  # fmt: skip
    assert _lines(boxes) == {0: [3, 4]}


def test_several_inputs_and_outputs_are_connected():
    layers = [
        {**DENSE, "inputs": "left", "name": "a"},
        {**DENSE, "inputs": "right", "name": "b"},
        {"type": "add", "inputs": ["a", "b"], "name": "sum"},
        {**OUTPUT, "name": "first"},
        {**OUTPUT, "inputs": "sum", "name": "second"},
    ]
    loss = dict.fromkeys(["first", "second"], "mean_squared_error")
    y = {"first": X[:, 0], "second": X[:, 1]}
    model = built(layers, {"left": X, "right": X}, loss, y)
    sides = [one for one in paths(model) if "stroke-linejoin" in one]
    assert len(sides) == 6  # of left, right, a, sum, first and second
    assert len(paths(model)) - len(sides) == 2  # b to sum, and sum to first


def test_the_input_of_a_block_is_read_from_outside():
    (outer, _) = boxes_of(built([{"type": "residual", "layers": BLOCK}, OUTPUT]))
    assert _lines(outer.children) == {OUTSIDE: [2]}


def test_a_stack_is_drawn_as_one_block_with_its_number():
    stack, _ = boxes_of(built([{"type": "stack", "times": 6, "layers": BLOCK}, OUTPUT]))
    assert (stack.kind, stack.options, stack.times, stack.size) == ("stack", "", 6, 144)
    assert [box.kind for box in stack.children] == ["dense", "change: dense", "add"]
    named = {"type": "stack", "times": 2, "layers": [DENSE], "name": "deep"}
    stack, _ = boxes_of(built([named, OUTPUT]))
    assert (stack.kind, stack.times, len(stack.children)) == ("deep: stack", 2, 1)


def test_blocks_of_a_stack_that_differ_in_size_are_drawn_apart():
    layers = [{"type": "stack", "times": 3, "layers": [{**DENSE, "units": 5}]}, OUTPUT]
    stack, _ = boxes_of(built(layers))
    assert (stack.kind, stack.options, stack.times) == ("stack", "times 3", 1)
    assert [(box.kind, box.times) for box in stack.children] == [("", 1), ("", 2)]


def test_equal_stacks_are_drawn_once_and_keep_their_number():
    stacks = [{"type": "stack", "times": 6, "layers": BLOCK}] * 2
    block, _ = boxes_of(built([*stacks, OUTPUT]))
    assert (block.kind, block.times, block.size) == ("", 2, 6 * 144)
    assert [(box.kind, box.times) for box in block.children] == [("stack", 6)]


def test_a_layer_that_is_used_again_is_shown_without_its_options():
    *_, again, _ = boxes_of(built([{**DENSE, "name": "a"}, {"use": "a", "name": "b"}, OUTPUT]))
    assert (again.kind, again.options) == ("b: dense", "uses a")


def test_what_an_omitted_layer_returns_is_not_drawn_as_if_from_outside():
    boxes = [Box("dense", str(i), (i,), i, key=i + 1) for i in range(100)]
    boxes.append(Box("add", "", (1,), 0, reads=(1, 50), key=101))
    assert len(shown := _compressed(boxes)) == MAX_BOXES + 1
    assert _lines(shown) == {}


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(2, 9)), unique_by=lambda one: one[0]))
def test_lines_side_by_side_do_not_overlap(pairs):
    lines = {source: [source + length] for source, length in pairs}
    tracks = _tracks(lines)
    assert tracks.keys() == lines.keys()
    for a, b in itertools.combinations(lines, 2):
        if tracks[a] == tracks[b]:
            assert lines[a][-1] <= b or lines[b][-1] <= a


def test_no_more_lines_are_drawn_than_there_is_room_for():
    names = [f"n{i}" for i in range(20)]
    layers = [{**DENSE, "name": name} for name in names]
    model = built([*layers, {"type": "add", "inputs": names}, OUTPUT])
    assert sum("stroke-linejoin" in one for one in paths(model)) == MAX_TRACKS
