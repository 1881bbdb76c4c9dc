"""Equations of `einsum_dense`: their forms, and the errors of impossible ones at their place."""

import numpy as np
import pytest

import nnreg
from nnreg import SpecError
from nnreg.builtin.layers.dense import Dense
from nnreg.builtin.layers.einsum_dense import EinsumDense
from nnreg.testing.layer_pass import LayerCase, Pass

X = np.random.default_rng(0).normal(size=(6, 5, 4))


def build(equation, output_shape, **options):
    layer = {"type": "einsum_dense", "equation": equation, "output_shape": output_shape, **options}
    spec = {
        "model": {"layers": [layer, {"type": "flatten"}, {"type": "dense", "units": 1}]},
        "loss": "mean_squared_error",
        "optimizer": "sgd",
        "train": {"epochs": 1},
    }
    return nnreg.build(spec, data=(X, np.arange(6.0)))


ACCEPTED = [
    ("abc,cd->abd", [None, 3], {"bias_axes": "d"}, (5, 3), (4, 3), (3,)),
    ("abc,cd->abd", [5, 3], {"bias_axes": "b"}, (5, 3), (4, 3), (5, 1)),
    ("abc, bd -> adc", [3, None], {"bias_axes": "c"}, (3, 4), (5, 3), (4,)),
    ("...x,xy->...y", 3, {"bias_axes": "y"}, (5, 3), (4, 3), (3,)),
    ("ab...,bc->ac...", 3, {"bias_axes": "c"}, (3, 4), (5, 3), (3, 1)),
    ("abc,bcde->ade", [2, 3], {}, (2, 3), (5, 4, 2, 3), None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("equation", "output_shape", "options", "output", "weight", "bias"), ACCEPTED
)
def test_an_equation_gives_the_shapes(equation, output_shape, options, output, weight, bias):
    model = build(equation, output_shape, **options)
    _, plan = model.network.plan.children["layers/0"]
    found = {name: param.shape for name, param in plan.params.items()}
    assert plan.output == output
    assert found == {"weight": weight} | ({"bias": bias} if bias else {})
    model.fit(X, np.arange(6.0))
    assert model.predict(X).shape == (6,)


def test_it_is_a_dense_layer_by_the_equation_of_one():
    einsum, dense = (
        Pass(LayerCase(layer, X))
        for layer in (EinsumDense("...x,xy->...y", 3, bias_axes="y"), Dense(3))
    )
    for found, expected in zip((*einsum.run(), einsum.gradient), (*dense.run(), dense.gradient),
                               strict=True):  # fmt: skip
        np.testing.assert_allclose(found, expected, rtol=1e-12)


REFUSED = [
    ("abc", 3, {}, "equation", 'letters for the axes of "input,weight->output"'),
    ("abc,cd,de->abe", 3, {}, "equation", "letters for the axes"),
    ("ab1,1d->abd", 3, {}, "equation", "letters for the axes"),
    ("...c,cd->abd", 3, {}, "equation", 'must have "..." once in input and output'),
    ("...c,cd->d...", 3, {}, "equation", "both first or both last"),
    ("...c...,cd->...d...", 3, {}, "equation", "both first or both last"),
    ("ab,bc->ac", 3, {}, "equation", "has 2 axes of the input, but that has 3, the batch included"),
    ("...bcde,ef->...bcdf", 3, {}, "equation", "needs an input of 5 axes or more, batch included"),
    ("abcde...,ef->abcdf...", 3, {}, "equation", "needs an input of 5 axes or more"),
    ("abb,bc->ac", 3, {}, "equation", "a letter twice in the input"),
    ("abc,cd->abdd", 3, {}, "equation", "a letter twice in the output"),
    ("abc,cd->bad", 3, {}, "equation", "the batch as the first axis of input and output"),
    ("abc,acd->abd", 3, {}, "equation", "not in the weight"),
    ("abc,bc->a", 3, {}, "equation", "an axis of the output besides the batch"),
    ("abc,cd->abe", [None, 3], {}, "equation", "has 'e' in the output alone"),
    ("abc,cde->abe", [None, 3], {}, "equation", "has 'd' in the weight alone"),
    ("abc,cd->abd", 3, {}, "output_shape", "must have a size for each of b, d"),
    ("abc,cd->abd", [None, None], {}, "output_shape", "has no size for 'd'"),
    ("abc,cd->abd", [7, 3], {}, "output_shape", "has 7 for 'b', but the input has 5"),
    ("abc,cd->abd", [None, 3], {"bias_axes": "c"}, "bias_axes", "has 'c'; choose from b, d"),
    ("abc,cd->abd", [None, 3], {"bias_axes": "a"}, "bias_axes", "has 'a'; choose from b, d"),
]  # fmt: skip


@pytest.mark.parametrize(("equation", "output_shape", "options", "place", "problem"), REFUSED)
def test_what_is_impossible_is_refused_at_its_place(
    equation, output_shape, options, place, problem
):
    with pytest.raises(SpecError) as error:
        build(equation, output_shape, **options)
    assert f"$.model.layers[0].{place}: " in str(error.value)
    assert problem in str(error.value)
