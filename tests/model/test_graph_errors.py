"""Lists of layers that are not a graph are refused, each error at its place."""

import pytest

from tests.model.graph_specs import DENSE, OUTPUT, build, problems

ERRORS = {
    "unknown name": (
        [{**DENSE, "name": "low"}, {"type": "add", "inputs": ["lov", "input"]}],
        "$.model.layers[1].inputs[0]",
        "unknown name 'lov'; did you mean 'low'?",
    ),
    "later entry": (
        [{**DENSE, "inputs": "high"}, {**DENSE, "name": "high"}],
        "$.model.layers[0].inputs",
        "refers to 'high', which is not before it; move it behind that entry",
    ),
    "itself": (
        [{**DENSE, "name": "a", "inputs": "a"}],
        "$.model.layers[0].inputs",
        "refers to 'a', which is not before it; move it behind that entry",
    ),
    "use of a later entry": (
        [{"use": "b"}, {**DENSE, "name": "b"}],
        "$.model.layers[0].use",
        "refers to 'b', which is not before it; move it behind that entry",
    ),
    "use of the input": (
        [{"use": "input"}],
        "$.model.layers[0].use",
        "'input' is the input, not a layer",
    ),
    "use of a transposed use": (
        [{**DENSE, "name": "a"}, {"use": "a", "transposed": True, "name": "b"}, {"use": "b"}],
        "$.model.layers[2].use",
        "is transposed itself; name the layer it uses",
    ),
    "used twice": (
        [{**DENSE, "name": "a"}, {**DENSE, "name": "a"}],
        "$.model.layers[1].name",
        "the name 'a' is used twice; give one of the entries another name",
    ),
    "unused output": (
        [DENSE, {**DENSE, "inputs": "input"}],
        "$.model.layers[0]",
        "no entry reads its output; name it and read it in a later entry, or remove it",
    ),
    "unused named output": (
        [{**DENSE, "name": "a"}, {**DENSE, "inputs": "input"}],
        "$.model.layers[0]",
        "no entry reads its output; name 'a' in the 'inputs' of a later entry, or remove it",
    ),
    "shapes that do not join": (
        [{"type": "dense", "units": 2, "name": "a"}, {"type": "add", "inputs": ["a", "input"]}],
        "$.model.layers[1]",
        "this layer takes inputs of one shape; its inputs are a (batch, 2), input (batch, 3)",
    ),
    "several inputs of a layer": (
        [{**DENSE, "name": "a"}, {**DENSE, "inputs": ["a", "input"]}],
        "$.model.layers[1].inputs",
        "reads one input, found 2; join them first, by concat or add",
    ),
    "one input of a join": (
        [{"type": "add"}],
        "$.model.layers[0].inputs",
        "needs two inputs or more; name them in 'inputs'",
    ),
    "three inputs of a pair": (
        [{**DENSE, "name": "a"}, {"type": "dot", "inputs": ["a", "a", "input"]}],
        "$.model.layers[1]",
        "this layer takes two inputs (..., features); its inputs are a (batch, 3), "
        "a (batch, 3), input (batch, 3)",
    ),
    "use on another shape": (
        [{"type": "dense", "units": 2, "name": "a"}, {"use": "a"}],
        "$.model.layers[1].use",
        "its input (2,) needs arrays of other shapes than that of 'a', (3,); give it an input "
        "of the same",
    ),
    "nothing to transpose": (
        [{"type": "layer_norm", "name": "a"}, {"use": "a", "transposed": True}],
        "$.model.layers[1].transposed",
        "LayerNorm has no weight that can be transposed",
    ),
    "transposed without use": (
        [{**DENSE, "transposed": True}],
        "$.model.layers[0]",
        "'transposed' needs 'use', the name of the layer that is transposed",
    ),
    "options beside use": (
        [{**DENSE, "name": "a"}, {"use": "a", "units": 3}],
        "$.model.layers[1]",
        "'use' takes an earlier layer as it is; remove units",
    ),
    "reserved name": (
        [{**DENSE, "name": "input"}],
        "$.model.layers[0]",
        "the name 'input' is reserved; give the entry another name",
    ),
    "number as a name": (
        [{**DENSE, "name": "7"}],
        "$.model.layers[0]",
        "the name '7' is a number, which unnamed entries have; give the entry another name",
    ),
    "separator in a name": (
        [{**DENSE, "name": "a/b"}],
        "$.model.layers[0]",
        "the name 'a/b' contains '/' or '.', which separate names; give the entry another name",
    ),
    "no inputs": (
        [{**DENSE, "inputs": []}],
        "$.model.layers[0]",
        "'inputs' is empty; omit it to read the entry before",
    ),
    "name outside of a list": (
        [{"type": "residual", "layers": [{"type": "residual", "layers": [{"use": "x"}]}]}],
        "$.model.layers[0].layers[0].layers[0].use",
        "unknown name 'x'; no entry before it has a name; "
        "a list inside of a layer reads its own entries and its input only",
    ),
    "misspelt key": (
        [{**DENSE, "nmae": "a"}],
        "$.model.layers[0].nmae",
        "unknown key 'nmae'; did you mean 'name'?",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_each_error_is_reported_at_its_place(name):
    layers, path, message = ERRORS[name]
    assert (path, message) in problems(layers)


def test_an_input_that_no_entry_reads_is_reported():
    layers = [{"type": "stack", "layers": [{**DENSE, "name": "a"}]}, OUTPUT]
    assert build(layers)
    layers = [{**DENSE, "name": "a"}, {"type": "stack", "layers": [{**DENSE, "inputs": "a"}]}]
    ((path, message), *_) = problems(layers)
    assert path == "$.model.layers[1].layers[0].inputs"
    assert message.startswith("unknown name 'a'; choose one of input; a list inside of a layer")
