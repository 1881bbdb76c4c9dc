"""The module of JavaScript that is written: what it takes, and what it refuses."""

import json
import subprocess

import numpy as np
import pytest

from nnreg.builtin.exporters.js_file import JsFile
from nnreg.operations.operation import Operation
from nnreg.operations.program import Program, ProgramInput, ProgramOutput
from nnreg.operations.recorded import Recorded
from tests.exporters.formats import require

SHOW = """
const { predict } = await import(process.argv[1]);
const shown = (row) => {
  try {
    return Array.from(predict(row).prediction);
  } catch (error) {
    return String(error);
  }
};
const first = predict({ size: 1, place: [[1, 2], [3, 4]] }).prediction;
predict({ size: 0, place: [0, 0, 0, 0] });
console.log(JSON.stringify([
  Array.from(first),
  shown({ size: 1, place: new Float32Array([1, 2, 3, 4]) }),
  shown({ size: null, place: null }),
  shown({ size: 1 }),
  shown({ size: 1, place: [1, 2, 3] }),
]));
"""


def input_of(name, *shape):
    return Operation("input", (), shape, np.dtype(float), {"name": name})


def doubled():
    """Return a program of a number and of an array."""
    size, place = input_of("size"), input_of("place", 4)
    y = Recorded(place, np.ones((2, 4))) * 2 + Recorded(size, np.ones(2))[:, None]
    inputs = (ProgramInput("size", "number", size), ProgramInput("place", "array", place))
    return Program("doubled", inputs, (ProgramOutput("", y.operation),))


@pytest.mark.slow
def test_arrays_may_be_nested_or_typed_and_what_is_not_given_is_an_error(tmp_path):
    require("js")
    path = tmp_path / "model.mjs"
    path.write_bytes(JsFile().contents(doubled())[""])
    command = ["node", "--input-type=module", "-e", SHOW, path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [
        [3, 5, 7, 9],
        [3, 5, 7, 9],
        [None] * 4,
        "RangeError: no column 'place'; give null if it is missing",
        "RangeError: column 'place': expected 4 values, found 3",
    ]


def test_functions_that_are_not_called_are_not_written():
    text = JsFile().contents(doubled())[""].decode()
    assert "function filled(" in text
    assert "function round(" not in text
    assert "function product(" not in text
