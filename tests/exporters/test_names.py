"""Columns, classes and models may have any name in every format."""

import numpy as np
import pytest

from nnreg.operations.functions import lookup
from nnreg.operations.operation import Operation
from nnreg.operations.program import Program, ProgramInput, ProgramOutput, Requirement
from nnreg.operations.recorded import Recorded
from tests.exporters.formats import EXPORTERS, answers, require

COLUMNS = [
    *(
        "int",
        "class",
        "row",
        "a b",
        "a-b",
        "a_b",
        "größe",
        "年",
        "x*/ y",
        "/* z",
        'quote"q',
        "it's",
    ),
    *("back\\slash", "new\nline", "0start", "", "_", "__proto__", "toString", "NAN", "I", "errno"),
    *("x0", "i0", "C0", "_Bool", "inline", "${a}", "`", "</script>", "\u2028", "\u202e", "%s"),
    *("??/", "'''", '"""', "\\N{x}", "null", "prediction", "max_float", "/1", "/c0", "\\"),
]
OTHER = 'other "q" \\ \n */ ü ??='
MODELS = ["hostile", 'evil """ \\ */ // \n #include "x" \u2028 名', "int", "3d", ""]
ROWS = 5


def hostile(name):
    """Return a program whose columns, classes and outputs have such names."""
    inputs, requirements, total = [], [], 0.0
    for index, column in enumerate(COLUMNS):
        text = index % 3 == 2
        value = np.array(["", ""], object) if text else np.zeros(2)
        x = Recorded(Operation("input", (), (), value.dtype, {"name": column}), value)
        inputs.append(ProgramInput(column, "text" if text else "number", x.operation))
        if text:
            x = lookup(x, (column, OTHER, "%d"))
            message = f"column {column!r}: expected {OTHER}"
            requirements.append(Requirement((x >= 0).operation, message))
        total = total + np.where(np.isnan(x * 1.0), 1.0, x) * (index + 1)
    y = np.stack([total, -total], axis=1).astype(np.float32)
    outputs = (
        ProgramOutput("", y.operation, ('a"b', "c\n*/??)ü\\")),
        ProgramOutput("expf", y.operation, ("</script>", "'''\"\"\"\\N{z}")),
        ProgramOutput("int", (y * 2).operation),
    )
    return Program(name, tuple(inputs), outputs, tuple(requirements))


def given():
    """Return the columns of rows, of which the last has an unknown text."""
    rng = np.random.default_rng(0)
    found = {
        name: [name if one else OTHER for one in rng.random(ROWS) < 0.5]
        if index % 3 == 2
        else [*rng.normal(size=ROWS - 1), np.nan]
        for index, name in enumerate(COLUMNS)
    }
    found[COLUMNS[2]][-1] = "unknown"
    return found


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "form", ["numpy", *(pytest.param(one, marks=pytest.mark.slow) for one in ("c", "js", "onnx"))]
)
def test_any_names_are_exported(form, name, tmp_path):
    require(form)
    program, columns = hostile(name), given()
    found = answers(EXPORTERS[form], program, columns, tmp_path)
    for one, expected in program.run(columns).items():
        assert np.isnan(expected[-1]).all()
        np.testing.assert_allclose(found[one or "prediction"], expected, rtol=1e-6)
