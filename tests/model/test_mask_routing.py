"""Which layers of a network get a mask, and which networks are refused for one."""

from dataclasses import dataclass

import numpy as np
import pytest

from nnreg import Layer, Padded, SpecError
from nnreg.builtin.layers.composition import Residual, Stack
from nnreg.errors import ComponentError
from nnreg.interfaces.graph import EntryKeys
from nnreg.interfaces.layer import LayerEntry
from nnreg.interfaces.passes import chain
from nnreg.tables.named import NamedArrays
from tests.helpers.masked import MeanOfSteps, PerStep, Sum, Unaware, network_of, sequences

X = sequences()
TWO = {"left": (6, 2), "right": (6, 2)}


@dataclass(frozen=True)
class SumOfAny(Sum):
    """A join of inputs with masks of their own, such as cross attention."""

    joins_masks = True


def entry(layer, name=None, inputs=None, use=None):
    return LayerEntry(layer, EntryKeys(name=name, inputs=inputs, use=use))


def masks_of(network, prefix=""):
    """Return the masks of the inputs and of the output of each layer, by its name."""
    found = {}

    def walk(plan, prefix):
        for name, (_, child) in plan.children.items():
            found[prefix + name] = child.masks, child.output_mask
            walk(child, f"{prefix}{name}/")

    walk(network.plan, prefix)
    return found


def test_a_mask_goes_on_until_a_layer_removes_the_time_axis():
    network = network_of([PerStep(4), MeanOfSteps(), PerStep(3)])
    assert masks_of(network) == {
        "layers/0": (("input",), "input"),
        "layers/1": (("input",), None),
        "layers/2": ((None,), None),
    }


def test_without_masked_inputs_every_layer_is_accepted_and_has_no_mask():
    network = network_of([Unaware(), PerStep(4)], masked=())
    assert masks_of(network) == {"layers/0": ((None,), None), "layers/1": ((None,), None)}
    context = network.context(network.workspace(reuse=False))
    network.forward(X.values, context)
    assert [(c.mask, c.masks) for c in context.children.values()] == [(None, ())] * 2


@pytest.mark.parametrize(
    ("layers", "path"),
    [
        ([PerStep(4), Unaware()], r"\$\.model\.layers\[1\]"),
        ([PerStep(4), Residual((PerStep(4), Unaware()))], r"\$\.model\.layers\[1\]\.layers\[1\]"),
        ([Stack((Stack((Unaware(),), times=2),))], r"\$\.model\.layers\[0\]\.layers\[0\]\.layers"),
        ([entry(Unaware(), "odd")], r"\$\.model\.layers\[0\]"),
    ],
)
def test_a_layer_that_does_not_declare_masks_is_refused_by_name_and_path(layers, path):
    with pytest.raises(SpecError, match=rf"{path}.*: Unaware does not support masks"):
        network_of(layers)


def test_what_follows_the_end_of_a_mask_needs_no_declaration():
    network_of([MeanOfSteps(), Unaware()])


def test_layers_that_hold_layers_hand_masks_on_and_have_that_of_the_last():
    inner = (PerStep(2), PerStep(2))
    network = network_of([Residual(inner), Stack(inner, times=2), Stack((*inner, MeanOfSteps()))])
    found = masks_of(network)
    ends = {"layers/2", "layers/2/layers/2"}
    assert len(found) == 3 + 2 + 2 + 4 + 3
    for name, masks in found.items():
        assert masks == (("input",), None if name in ends else "input"), name


def test_a_stack_may_not_go_on_with_a_mask_that_its_first_repetition_ended():
    @dataclass(frozen=True)
    class Ends(Layer):
        keeps_mask = False

        def forward(self, x, context):
            return x, lambda dy: dy

    network = network_of([Stack((Ends(),), times=2)])
    found = masks_of(network)
    assert found["layers/0/1"] == ((None,), None)
    assert found["layers/0"] == (("input",), None)


def test_entries_of_a_graph_have_the_mask_of_what_they_read():
    network = network_of(
        [
            entry(PerStep(2), "low"),
            entry(MeanOfSteps(), "mean"),
            entry(Sum(), inputs=("low", "input")),
            entry(MeanOfSteps()),
            entry(PerStep(2), "last"),
            entry(Sum(), inputs=("last", "mean")),
        ]
    )
    found = masks_of(network)
    assert found["layers/2"] == (("input", "input"), "input")
    assert found["layers/3"] == (("input",), None)
    assert found["layers/last"] == ((None,), None)
    assert found["layers/5"] == ((None, None), None)


def test_a_layer_used_again_has_the_mask_of_each_use():
    layers = [
        entry(PerStep(2), "tower", "left"),
        entry(MeanOfSteps(), "first", "tower"),
        entry(None, "again", "right", use="tower"),
        entry(MeanOfSteps(), "second", "again"),
        entry(Sum(), inputs=("first", "second")),
    ]
    network = network_of(layers, TWO, ("left", "right"))
    found = masks_of(network)
    assert found["layers/tower"] == (("left",), "left")
    assert found["layers/again"] == (("right",), "right")
    other = sequences(seed=5)
    context = network.context(network.workspace(reuse=False))
    y, _ = network.forward(NamedArrays({"left": X, "right": other}), context)
    weight = network.parameters["layers/tower/weight"]
    for row in range(len(X)):
        parts = [np.tanh(one.sequences()[row] @ weight) for one in (X, other)]
        expected = sum(part.mean(axis=0) if len(part) else 0 for part in parts)
        np.testing.assert_allclose(y[row], expected, rtol=1e-12, atol=1e-12)


def test_a_join_of_sequences_with_lengths_of_their_own_is_refused():
    layers = [entry(Sum(), inputs=("left", "right"))]
    with pytest.raises(SpecError, match=r"layers\[0\]\.inputs: Sum joins .* left, right, whose"):
        network_of(layers, TWO, ("left", "right"))


@pytest.mark.parametrize(
    ("masked", "expected"), [(("left", "right"), "left"), (("left",), "left"), (("right",), None)]
)
def test_a_join_that_takes_several_masks_has_the_first(masked, expected):
    network = network_of([entry(SumOfAny(), inputs=("left", "right"))], TWO, masked)
    assert network.output_masks == {"": expected}


@pytest.mark.parametrize("masked", ["left", "right"])
def test_another_join_has_the_mask_of_its_only_input_with_one(masked):
    network = network_of([entry(Sum(), inputs=("left", "right"))], TWO, (masked,))
    assert network.output_masks == {"": masked}


def test_a_layer_that_declares_to_keep_the_mask_must_keep_the_steps():
    @dataclass(frozen=True)
    class Halves(Layer):
        keeps_mask = True

        def build(self, shape, builder):
            return (shape[0] // 2, *shape[1:])

    with pytest.raises(ComponentError, match=r"layers\[0\]: Halves declares that it keeps"):
        network_of([Halves()])


def test_a_nested_layer_has_the_mask_of_the_layer_it_is_in_unless_another_is_given():
    @dataclass(frozen=True)
    class Wrapper(Layer):
        own: bool
        keeps_mask = True

        def build(self, shape, builder):
            if self.own:
                return builder.layer("inner", PerStep(2), shape)
            return builder.layer("inner", PerStep(2), shape, mask=None)

        def forward(self, x, context):
            return chain([(PerStep(2), context.children["inner"])], x)

    for own, mask in ((True, "input"), (False, None)):
        found = masks_of(network_of([Wrapper(own)]))
        assert found == {
            "layers/0": (("input",), "input"),  # it declares keeps_mask
            "layers/0/inner": ((mask,), mask),
        }


def test_contexts_have_the_masks_of_each_pass():
    network = network_of([PerStep(4), Residual((PerStep(4),)), MeanOfSteps(), PerStep(1)])
    context = network.context(network.workspace(reuse=True))
    for x in (X, X[3:5]):
        network.forward(x, context)
        first, residual, mean, last = context.children.values()
        for one in (first, residual, residual.children["layers/0"], mean):
            np.testing.assert_array_equal(one.mask, x.mask)
            assert len(one.masks) == 1
        assert (last.mask, last.masks) == (None, ())


def test_predictions_do_not_depend_on_how_rows_are_divided():
    network = network_of([PerStep(4), MeanOfSteps(), PerStep(1)])
    x = Padded.of(X.sequences() * 200)
    y = network.predict(x)
    np.testing.assert_array_equal(y[:9], network.predict(X))
    np.testing.assert_array_equal(y[-9:], network.predict(X))
