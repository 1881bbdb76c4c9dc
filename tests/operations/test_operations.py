"""What is recorded for each function of NumPy computes what NumPy does."""

import numpy as np
import pytest

from nnreg.operations import functions
from nnreg.operations.operation import Operation
from nnreg.operations.recorded import ELEMENTWISE, HANDLERS, Recorded
from nnreg.operations.run import VALUES, run

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 3, 2))
POSITIVE = np.abs(X) + 0.5
TABLE = RNG.normal(size=(4, 3))
W = RNG.normal(size=(2, 5))
CUBE = RNG.normal(size=(4, 6, 5, 2))
CONDITION = np.array([True, False])

POINTS = [-1.0, -0.5, 0.5, 1.5]

ONE = {
    "square": np.square,
    "reciprocal": np.reciprocal,
    "logaddexp": lambda x: np.logaddexp(x, -2 * x),
    "hypot": lambda x: np.hypot(x, 2.0),
    "isfinite": lambda x: np.isfinite(x / np.maximum(x, 0)),
    "copysign": lambda x: np.copysign(3.0, x) + np.copysign(x, -1.0),
    "clip": lambda x: np.clip(x, -0.5, 0.5) + x.clip(0.1) + np.clip(x, None, 0.2),
    "where": lambda x: np.where(x > 0, x, 2) + np.where(CONDITION, 1.0, x),
    "astype": lambda x: x.astype(np.float32) + np.astype(x, np.int64),
    "interp": lambda x: np.interp(x, POINTS, [0.0, 2.0, 2.0, -1.0]),
    "interp of equal points": lambda x: np.interp(x, [0.0, 0.0, 1.0], [1.0, 3.0, 4.0]),
    "polyval": lambda x: np.polyval([1.0, -2.0, 3.0], x),
    "reshape": lambda x: x.reshape(len(x), -1) + np.reshape(x, (-1, 6)),
    "reshape by numbers": lambda x: x.reshape(-1, 2, 3),
    "transpose": lambda x: x.transpose(0, 2, 1) + np.transpose(x, (0, 2, 1)),
    "swapaxes": lambda x: np.swapaxes(x, 1, -1),
    "moveaxis": lambda x: np.moveaxis(x[..., None], 1, -1),
    "expand_dims": lambda x: np.expand_dims(x, 2) + np.expand_dims(x, 1),
    "squeeze": lambda x: np.squeeze(x[:, :1], axis=1),
    "broadcast_to": lambda x: np.broadcast_to(x[:, :1], x.shape),
    "concatenate": lambda x: np.concatenate([x, x * 2], axis=1),
    "concatenate types": lambda x: np.concatenate([x.astype(np.int64), x], axis=-1),
    "stack": lambda x: np.stack([x, -x], axis=1) + np.stack([x, -x], axis=-3),
    "stack last": lambda x: np.stack([x, -x], axis=-1),
    "hstack": lambda x: np.hstack([x, x]),
    "split": lambda x: np.split(x, 3, axis=1)[2] + np.split(x, [1, 2], axis=1)[1],
    "repeat": lambda x: np.repeat(x, 2, axis=1),
    "flip": lambda x: np.flip(x, axis=-1),
    "tile": lambda x: np.tile(x, (1, 2, 1)),
    "take": lambda x: np.take(x, [2, 0, 0], axis=1) + x.take([-1, 0, 1], axis=1),
    "index": lambda x: x[:, 1] + x[:, -1, :],
    "slice": lambda x: x[:, ::-1, 0] + x[:, 0:3, 1],
    "ellipsis": lambda x: x[..., 1] + x[..., :, 0],
    "new axes": lambda x: x[:, None, :, None, 0] * 2,
    "list of positions": lambda x: x[:, [2, 0]],
    "pad": lambda x: np.pad(x, ((0, 0), (1, 2), (0, 0)), constant_values=7.0),
    "pad by edges": lambda x: np.pad(x, ((0, 0), (1, 2), (0, 0)), mode="edge"),
    "pad by reflection": lambda x: np.pad(x, ((0, 0), (2, 1), (1, 0)), mode="reflect"),
    "sum": lambda x: x.sum(axis=1) + np.sum(x, axis=(1, 2))[:, None],
    "sum with axes": lambda x: np.sum(x, axis=(1, -1), keepdims=True),
    "sum of type": lambda x: np.sum(x > 0, axis=1) + np.sum(x, axis=1, dtype=np.float32),
    "add.reduce": lambda x: np.add.reduce(x, axis=1) + np.maximum.reduce(x, axis=1),
    "max": lambda x: x.max(axis=1) + np.amax(x, axis=-2),
    "min": lambda x: x.min(axis=1) - np.amin(x, axis=1),
    "any": lambda x: np.any(x > 1, axis=1),
    "all": lambda x: np.all(x > -1, axis=1, keepdims=True),
    "mean": lambda x: x.mean(axis=1) + np.mean(x, axis=(1, 2), keepdims=True)[:, 0],
    "var": lambda x: x.var(axis=1),
    "std": lambda x: np.std(x, axis=-1, keepdims=True),
    "argmax": lambda x: x.argmax(axis=1) + np.argmax(x, axis=-2),
    "argmax of equal": lambda x: np.argmax(np.sign(x), axis=1),
    "cumsum": lambda x: np.cumsum(x, axis=1) + x.cumsum(-1),
    "sort": lambda x: np.sort(x, axis=1) + np.sort(x),
    "matmul": lambda x: x @ W,
    "matmul of computed": lambda x: x @ np.swapaxes(x, 1, 2),
    "matmul by a constant": lambda x: np.ones((4, 3)) @ x,
    "dot": lambda x: np.dot(x[:, 0], W),
    "einsum": lambda x: np.einsum("nij,jk->nki", x, W) + np.einsum("nij,nik->njk", x, x)[:, :1, :1],
    "in place": lambda x: added(x),
}  # fmt: skip
"""A computation by each function that is recorded."""

UNRECORDED = {np.zeros_like, np.ones_like, np.ravel}
"""Those that are refused; see test_refusals."""


def added(x):
    y = x * 1.0
    y += 2
    y *= x
    y -= 1
    y /= 3
    return y


def compared(function, x):
    """Compare what is recorded from two rows, and computed for all, with the function itself."""
    operation = Operation("input", (), x.shape[1:], x.dtype, {"name": "x"})
    made = function(Recorded(operation, x[:2]))
    with np.errstate(all="ignore"):
        expected = function(x)
    (found,) = run([made.operation], {operation: x})
    assert found.dtype == made.dtype == expected.dtype
    assert found.shape == (len(x), *made.operation.shape) == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ONE)
def test_a_recorded_computation_is_that_of_numpy(name):
    compared(ONE[name], X)


def test_every_function_that_records_is_compared(monkeypatch):
    left = set(HANDLERS) - UNRECORDED
    for function, handler in list(HANDLERS.items()):

        def seen(*args, _function=function, _handler=handler, **kwargs):
            left.discard(_function)
            return _handler(*args, **kwargs)

        monkeypatch.setitem(HANDLERS, function, seen)
    for one in ONE.values():
        one(Recorded(Operation("input", (), X.shape[1:], X.dtype), X[:2]))
    assert left == set()


@pytest.mark.parametrize("function", ELEMENTWISE, ids=ELEMENTWISE.values())
def test_a_function_of_each_value_is_that_of_numpy(function):
    kinds = {np.logical_not: bool, np.invert: bool, np.bitwise_and: bool, np.bitwise_or: bool}
    x = (X > 0) if function in kinds else POSITIVE
    if function.nin == 1:
        compared(function, x)
        return
    other = x[0, 0]
    compared(lambda one: function(one, other), x)
    compared(lambda one: function(other, one), x)
    compared(lambda one: function(one[:, ::-1], one), x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types_are_those_of_numpy(dtype):
    for other in (1, 1.5, np.float32(2), np.ones(2, np.float32), np.arange(2), True):
        compared(lambda x, other=other: x * other + (x > other), X.astype(dtype))
    compared(lambda x: x.mean(axis=1) + x.sum(axis=1) / 2, X.astype(dtype))


def test_integers_become_floats_before_what_has_no_result_of_integers():
    x = np.arange(8).reshape(4, 2)
    for function in (lambda x: x / 3, np.exp, lambda x: np.mean(x > 3, axis=1), np.sqrt):
        made = function(Recorded(Operation("input", (), (2,), x.dtype), x[:2]))
        assert all(one.dtype.kind == "f" for one in made.operation.inputs)
        compared(function, x)


CONVOLUTIONS = [((1, 1), (1, 1), 1), ((2, 1), (1, 2), 1), ((1, 1), (1, 1), 2)]


@pytest.mark.parametrize(("strides", "dilation", "groups"), CONVOLUTIONS)
def test_convolutions_and_pools_are_those_of_plain_arrays(strides, dilation, groups):
    weight = RNG.normal(size=(2, 3, 2 // groups, 4))
    compared(lambda x: functions.convolve(x, weight, strides, dilation, groups), CUBE)
    compared(lambda x: functions.pool("max", x, (2, 3), strides), CUBE)
    compared(lambda x: functions.pool("mean", x, (3, 2), strides), CUBE)


def test_a_convolution_is_the_sum_over_its_window():
    weight = RNG.normal(size=(2, 3, 2, 4))
    found = functions.convolve(CUBE, weight, (2, 1), (1, 2))
    window = CUBE[1, 2:4, 0:5:2]
    np.testing.assert_allclose(found[1, 1, 0], np.einsum("ijc,ijcf->f", window, weight))


def test_a_constant_joins_every_row():
    operation = Operation("input", (), X.shape[1:], X.dtype)
    made = np.concatenate([Recorded(operation, X[:2]), np.full((1, 1, 2), 7.0)], axis=1)
    (found,) = run([made.operation], {operation: X})
    np.testing.assert_array_equal(found, np.concatenate([X, np.full((4, 1, 2), 7.0)], axis=1))


def test_functions_without_a_call_of_numpy():
    compared(functions.erf, X)
    compared(lambda at: functions.gather(TABLE, at), RNG.integers(0, 4, (4, 2)))
    texts = np.array(["b", None, "c", "a"], object)
    compared(lambda x: functions.lookup(x, ("a", "b")), texts)
    compared(lambda x: functions.lookup(x, (None,)), texts)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_scan_is_its_loop(backwards):
    factor = np.array([0.5, -0.25])

    def scanned(x):
        def step(carried, values):
            (total,), (own,) = carried, values
            new = total * factor + own
            return [new], [new * 2, own]

        carried, results = functions.scan(step, [np.zeros((1, 2))], [x], backwards=backwards)
        return results[0] + carried[0][:, None] - results[1]

    compared(scanned, X)
    order = [2, 1, 0] if backwards else [0, 1, 2]
    total = np.zeros((4, 2))
    for index in order:
        total = total * factor + X[:, index]
    np.testing.assert_allclose(scanned(X)[:, order[-1]], 3 * total - X[:, order[-1]])


def test_every_operation_is_computed_by_one_of_these_tests():
    names = {*VALUES, "scan"} - {"part"}
    text = {"erf", "gather", "lookup", "convolve", "max_pool", "mean_pool", "scan"}
    found = set()
    for one in ONE.values():
        made = one(Recorded(Operation("input", (), X.shape[1:], X.dtype), X[:2]))
        waiting = [made.operation]
        while waiting:
            operation = waiting.pop()
            found.add(operation.name)
            waiting += operation.read
    found.add("broadcast")
    assert names - text - found == set()
