"""What cannot be recorded is an error that says what, where, and what to write instead."""

import operator

import numpy as np
import pytest

from nnreg.errors import ExportError
from nnreg.operations.functions import gather
from nnreg.operations.operation import Operation
from nnreg.operations.recorded import Recorded, located


def given(*shape):
    value = np.ones((2, *shape))
    return Recorded(Operation("input", (), shape, value.dtype, {"name": "x"}), value)


REFUSED = {
    "an assignment": (lambda x: operator.setitem(x, 0, 1), "an assignment to a part of an array"),
    "if": (lambda x: 1 if x.sum(axis=1)[:, None] else 0, "a decision by a value; use np.where"),
    "and": (lambda x: x and x, "a decision by a value; use np.where"),
    "a float": (float, "a decision by a value"),
    "an index": (lambda x: [1, 2][x], "a decision by a value"),
    "an array": (np.asarray, "a conversion to a plain array"),
    "ravel": (np.ravel, r"a flat array, .*; write x.reshape\(len\(x\), -1\)"),
    "flatten": (lambda x: x.flatten(), "a flat array"),
    "reshape": (lambda x: x.reshape(-1), r"a change of the shape \(2, 3\) to \(-1,\), which mixes"),
    "T": (lambda x: x.T, "a transposed array, .*; use np.swapaxes"),
    "swapaxes": (lambda x: np.swapaxes(x, 0, 1), "a transposed array"),
    "moveaxis": (lambda x: np.moveaxis(x, 1, 0), "a transposed array"),
    "sum of rows": (lambda x: x.sum(axis=0), "an operation along axis 0, which has the rows"),
    "mean of rows": (lambda x: x.mean(0), "an operation along axis 0"),
    "max of all": (np.max, "np.a?max of all values, which mixes rows; give the axes"),
    "sum of all": (np.sum, "np.sum of all values"),
    "mean of all": (np.mean, "np.sum of all values"),
    "argmax": (np.argmax, "np.argmax of all values, .*; give the axis"),
    "cumsum": (np.cumsum, "np.cumsum of all values"),
    "cumsum of rows": (lambda x: np.cumsum(x, 0), "an operation along axis 0"),
    "sort of rows": (lambda x: np.sort(x, 0), "an operation along axis 0"),
    "concatenated rows": (lambda x: np.concatenate([x, x]), "an operation along axis 0"),
    "stacked rows": (lambda x: np.stack([x, x]), r"a change of the shape"),
    "a row": (lambda x: x[0], r"an index of rows; write x\[:, index\]"),
    "a mask": (lambda x: x[x > 0], "an index that was computed; use nnreg.operations.gather"),
    "an order of rows": (lambda x: x[::-1], "an index of rows"),
    "rows of a constant": (lambda x: x + np.ones((2, 3)), r"a constant of shape \(2, 3\), of sev"),
    "fewer axes": (lambda x: x[:, :1] + x[:, 0], r"shapes \(2,\) .*; give both as many axes"),
    "another shape": (lambda x: np.broadcast_to(x, (5, 2, 3)), "that is broadcast to"),
    "vectors": (lambda x: x[:, :2] @ x[:, :2], "a product of two computed vectors; write np.sum"),
    "einsum": (lambda x: np.einsum("ij,kj->ik", x, x), "np.einsum of .*; name every axis"),
    "einsum without names": (lambda x: np.einsum("...j->...", x), "np.einsum of"),
    "out": (lambda x: np.exp(x, out=np.ones((2, 3))), "np.exp into an array that exists"),
    "accumulate": (lambda x: np.add.accumulate(x, 1), "np.add.accumulate"),
    "another function": (lambda x: np.linalg.norm(x, axis=1), "np.norm; write it with other func"),
    "another ufunc": (np.arctan, "np.arctan; write it with other functions"),
    "zeros_like": (np.zeros_like, "np.zeros_like .*; write 0 \\* x"),
    "take of several axes": (lambda x: np.take(x, [[0, 1]], 1), "np.take with indices of shape"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_recorded_is_refused_with_what_to_write_instead(name):
    function, message = REFUSED[name]
    with located("layer 3 (mine)"), pytest.raises(ExportError, match=message) as found:
        function(given(3))
    assert str(found.value).startswith("layer 3 (mine): cannot record "), found.value


def test_an_unknown_attribute_is_an_error_of_python_that_names_the_layer_where_it_is_located():
    with pytest.raises(AttributeError):
        _ = given(3).unknown_name
    message = "layer 3: cannot record its computation: unknown_name"
    with pytest.raises(ExportError, match=message), located("layer 3"):
        _ = given(3).unknown_name


@pytest.mark.parametrize("function", [lambda x: x @ x, lambda x: x + x[:, :2], lambda x: x[:, 9]])
def test_shapes_that_numpy_refuses_are_an_error_that_names_the_layer(function):
    message = r"layer 3: cannot record its computation: .*(shape|size|index)"
    with pytest.raises(ExportError, match=message), located("layer 3"):
        function(given(3))


def test_a_name_that_another_array_shares_keeps_its_values_in_an_assignment_with_an_operator():
    x = given(3)
    y = x
    y += 1
    assert x.operation.name == "input"
    assert y.operation.name == "add"


def test_rows_of_a_constant_table_at_computed_positions_are_recorded():
    at = Recorded(Operation("input", (), (), np.dtype(int), {"name": "at"}), np.array([1, 0]))
    assert gather(np.arange(6.0).reshape(3, 2), at).operation.name == "gather"
