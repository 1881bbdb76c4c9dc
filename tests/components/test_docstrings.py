"""The docstring of every built-in component describes exactly its options and its arrays."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnreg.interfaces import LayerBuilder
from nnreg.interfaces.join import one_input
from nnreg.registry.registry import installed
from nnreg.spec.docstrings import class_docstring, parse_docstring
from nnreg.spec.json_schema import SchemaWriter
from nnreg.testing.layers import CLASSES
from tests.components.test_components import LAYERS

BUILT_IN = [entry for entry in installed() if entry.plugin == "nnreg"]
RANGE = re.compile(r"in [\[(][^\])]*, [^\])]*[\])]|>=? \S+")


def options_of(entry):
    return SchemaWriter(installed()).options(entry.cls)["properties"]


def names(lines):
    return sorted(name for name, _ in lines)


def range_of(option):
    """Return the range of an option's annotation as a docstring has it, or an empty string."""
    low, high = option.get("minimum"), option.get("maximum")
    above, below = option.get("exclusiveMinimum"), option.get("exclusiveMaximum")
    if high is None and below is None:
        return "" if low is above is None else f">= {low:g}" if above is None else f"> {above:g}"
    first = f"({above:g}" if low is None else f"[{low:g}"
    return f"in {first}, {below:g})" if high is None else f"in {first}, {high:g}]"


@pytest.mark.parametrize("entry", BUILT_IN, ids=lambda entry: f"{entry.kind}.{entry.name}")
def test_every_option_has_one_line_with_the_range_that_its_annotation_has(entry):
    lines = class_docstring(entry.cls).options
    assert names(lines) == sorted(options_of(entry))
    own = parse_docstring(entry.cls.__doc__).options
    assert len(dict(own)) == len(own)
    for name, meaning in lines:
        for given_range in RANGE.findall(meaning):
            assert given_range == range_of(options_of(entry)[name]), (name, meaning)


@pytest.mark.parametrize("entry", BUILT_IN, ids=lambda entry: f"{entry.kind}.{entry.name}")
def test_every_formula_follows_a_summary_of_one_line(entry):
    docstring = parse_docstring(entry.cls.__doc__)
    assert docstring.summary
    if entry.kind not in ("source", "kernels", "exporter", "executor"):
        paragraphs = docstring.prose.split("\n\n")
        assert paragraphs[0] == docstring.summary
        assert paragraphs[1] == docstring.formula


def declared_by(layer, shape):
    """Return the parameters and the buffers that a layer declares for inputs of a shape."""
    builder = LayerBuilder("$", CLASSES)
    if layer.joins:
        layer, shape = one_input(layer, shape)
    builder.layer("layers/0", layer, shape)
    own = builder.children["layers/0"][1]
    return own.params, own.state


@pytest.mark.parametrize("name", LAYERS)
def test_every_parameter_and_buffer_has_a_line_with_its_shape(name):
    docstring = class_docstring(installed().find("layer", name).cls)
    documented = [dict(docstring.parameters), dict(docstring.buffers)]
    declared = [set(), set()]

    @given(st.data())
    def collect(data):
        for block, lines, arrays in zip(
            declared, documented, declared_by(*data.draw(LAYERS[name])), strict=True
        ):
            block.update(arrays)
            for array, parameter in arrays.items():
                sizes = re.match(r"\((.*?)\)", lines[array])[1].rstrip(",").split(", ")
                assert sizes == ["..."] or len(sizes) == len(parameter.shape), array

    collect()
    assert [set(lines) for lines in documented] == declared
