"""Every operation computes in each format what it does in NumPy."""

import numpy as np
import pytest

from nnreg.operations import functions
from nnreg.operations.operation import Operation
from nnreg.operations.program import Program, ProgramInput, ProgramOutput
from nnreg.operations.recorded import ELEMENTWISE, Recorded
from tests.exporters.formats import EXPORTERS, answers, require
from tests.operations.test_operations import ONE, X

BOOLEAN = {np.logical_not, np.invert, np.bitwise_and, np.bitwise_or}

MORE = {
    "twice negative": lambda x: np.negative(-x) + np.negative(-1.0 * x),
    "twice not": lambda x: ~(~(x > 0)),
    "products of one value": lambda x: (x[:, 0, :1] @ full(x, 1, 1)) @ full(x, 1, 2),
    "sorted single values": lambda x: np.sort(x[:, :1], axis=1) + np.cumsum(x[:, :1], axis=1),
    "two sorts": lambda x: np.sort(x[:, :1], axis=1) * np.sort(x[:, :1] + 1, axis=1),
    "quotient of integers": lambda x: (x > 0).astype(np.int64) / np.mean(x > -9, axis=1)[:, None],
    "half": lambda x: np.rint(np.sign(x) * 2.5) + np.rint(np.sign(x) * 1.5),
    "erf": lambda x: functions.erf(x * 3),
    "constants": lambda x: np.where(x > 0, 1.0, 0.0) * x,
    "truth of numbers": lambda x: np.logical_and(x / 9, np.logical_not(x * 0)),
}  # fmt: skip


def full(x, *shape):
    return np.full(shape, 2, x.dtype)


def computations(x):
    """Return what each function computes of a recorded array, by a name."""
    found = {name: function(x) for name, function in {**ONE, **MORE}.items()}
    for function, name in ELEMENTWISE.items():
        given = (x > 0) if function in BOOLEAN else np.abs(x) + 0.5
        key = f"{name} by {function.__name__}"
        if function.nin == 1:
            found[key] = function(given)
            continue
        other = np.array([True, False] if function in BOOLEAN else [1.5, 0.25])
        found[key] = function(given[:, ::-1], given)
        found[f"{key} with a constant"] = function(given, other.astype(given.dtype))
        found[f"{key} of a constant"] = function(other.astype(given.dtype), given)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", EXPORTERS)
def test_every_operation_is_that_of_numpy(form, dtype, tmp_path):
    require(form)
    x = Recorded(Operation("input", (), X.shape[1:], np.dtype(float), {"name": "x"}), X[:2])
    outputs = [
        ProgramOutput(name, y.operation) for name, y in computations(x.astype(dtype)).items()
    ]
    program = Program("operations", (ProgramInput("x", "array", x.operation),), tuple(outputs))
    columns = {"x": list(X)}
    found = answers(EXPORTERS[form], program, columns, tmp_path)
    exact = dtype == np.float64 and form != "c double"  # of which float32 is double too
    for name, expected in program.run(columns).items():
        given = np.asarray(found[name], float).reshape(expected.shape)
        tolerance = 1e-6 if name == "erf" else 1e-9 if exact else 1e-5
        np.testing.assert_allclose(given, expected, tolerance, tolerance, err_msg=name)


UNLIKE_NUMPY = {"max", "min", "argmax", "argmax of equal"}
"""What ONNX Runtime computes as if there was no NaN."""


@pytest.mark.slow
@pytest.mark.parametrize("form", [one for one in EXPORTERS if one != "c double"])
def test_every_operation_of_values_that_are_not_numbers_is_that_of_numpy(form, tmp_path):
    require(form)
    operation = Operation("input", (), X.shape[1:], np.dtype(float), {"name": "x"})
    x = Recorded(operation, X[:2]).astype(np.float32)
    left_out = {"onnx": UNLIKE_NUMPY, "js": {"astype", "concatenate types"}}.get(form, ())
    made = {name: y for name, y in computations(x).items() if name not in left_out}
    outputs = tuple(ProgramOutput(name, y.operation) for name, y in made.items())
    program = Program("special", (ProgramInput("x", "array", operation),), outputs)
    special = [np.nan, 0.0, -0.0, 1.0, -2.5] + ([] if form == "js" else [np.inf, -np.inf])
    rows = list(np.random.default_rng(0).choice(special, (60, *X.shape[1:])))
    with np.errstate(all="ignore"):
        expected = program.run({"x": rows})
    found = answers(EXPORTERS[form], program, {"x": rows}, tmp_path)
    for name in made:
        own = np.asarray(found[name], float).reshape(expected[name].shape)
        if form == "js":  # answers are read as JSON, which has no infinities
            own, expected[name] = (np.where(np.isfinite(v), v, 0) for v in (own, expected[name]))
        np.testing.assert_allclose(own, expected[name], rtol=1e-5, atol=1e-6, err_msg=name)
