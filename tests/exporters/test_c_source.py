"""The C that is written: its buffers, and its memory with the compiler's sanitizers."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest

import nnreg
from nnreg.builtin.exporters.c_source import FLAGS, CSource
from nnreg.builtin.exporters.c_writer import Buffer, identifier, in_comment, places
from nnreg.exporters.record import program_of
from nnreg.operations.operation import Operation
from nnreg.operations.program import Program, ProgramInput, ProgramOutput
from nnreg.operations.recorded import Recorded
from tests.exporters.formats import require
from tests.operations.test_operations import X


def network(depth, width):
    """Return a program of that many dense layers."""
    x = Recorded(
        Operation("input", (), (width,), np.dtype(float), {"name": "x"}), np.ones((2, width))
    )
    y = x.astype(np.float32)
    for _ in range(depth):
        y = np.tanh(y @ np.full((width, width), 1 / width, np.float32))
    inputs = (ProgramInput("x", "array", x.operation),)
    return Program("deep", inputs, (ProgramOutput("", y.operation),))


def stack_of(program, precision="float"):
    header = CSource(precision).contents(program)["model.h"].decode()
    return int(re.search(r"about (\d+) bytes of stack", header)[1])


def test_the_stack_does_not_grow_with_the_depth_and_is_stated():
    assert stack_of(network(3, 50)) == stack_of(network(30, 50)) == 2 * 50 * 4
    assert stack_of(network(3, 50), "double") == 2 * 50 * 8


def test_static_memory_leaves_the_stack_small():
    contents = CSource(memory="static").contents(network(3, 50))
    assert "Its 400 bytes of values are static" in contents["model.h"].decode()
    arrays = re.findall(r"^ +(?:static )?float \w+\[.*", contents["model.c"].decode(), re.M)
    assert arrays == ["    static float float_values[100];"]


def test_a_buffer_gets_the_place_of_one_that_is_not_read_any_more():
    each = [("x0", "float", 8, 0), ("x1", "float", 4, 1), ("x2", "float", 6, 4),
            ("x3", "int", 5, 5), ("x4", "float", 3, 6)]  # fmt: skip
    buffers = [Buffer(*one) for one in each]
    lines = [
        "x0",
        "x1",
        "x1[i] = x0[i];",
        "x1[i] = x0[i];",
        "x2",
        "x3",
        "x4[i] = x2[i] + x1[i] + x3[i];",
    ]
    assert places(buffers, lines) == {"x0": 0, "x1": 8, "x2": 0, "x3": 0, "x4": 12}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("int", "int_"), ("class", "class_"), ("NAN", "NAN_"), ("_Bool", "x_Bool"), ("3d", "x3d"),
     ("a b", "a_b"), ("", "x_"), ("größe", "gr__e")],
)  # fmt: skip
def test_a_name_becomes_an_identifier(text, expected):
    assert identifier(text, set()) == expected
    assert identifier(text, {expected}) == f"{expected}_2"


def test_a_text_in_a_comment_does_not_end_it():
    assert in_comment("a */ b\n/* c*/*") == "a * / b\\u000a/ * c* / *"


MAIN = """
#include "model.h"
int main(void)
{
    operations_row row;
    long value = 0;
    for (long k = 0; k < 6; k++) row.x[k] = (double)k - 2.5;
%s
    value = operations_predict(&row, %s);
    return (int)value;
}
"""


@pytest.mark.slow
@pytest.mark.parametrize("memory", ["stack", "static"])
@pytest.mark.parametrize("precision", ["float", "double"])
def test_sanitizers_find_nothing(precision, memory, tmp_path):
    """Every operation, with the sanitizers of addresses and of undefined behaviour."""
    from tests.exporters.test_operations_written import computations

    require("c")
    x = Recorded(Operation("input", (), X.shape[1:], np.dtype(float), {"name": "x"}), X[:2])
    made = computations(x.astype(np.float32))
    outputs = tuple(ProgramOutput(f"y{n}", y.operation) for n, y in enumerate(made.values()))
    program = Program("operations", (ProgramInput("x", "array", x.operation),), outputs)
    for name, content in CSource(precision, memory).contents(program).items():
        (tmp_path / name).write_bytes(content)
    kinds = {"float32": precision, "float64": "double", "int64": "long", "bool": "int"}
    declared = "\n".join(
        f"    static {kinds[str(one.operand.dtype)]} {one.name}[{one.operand.size}];"
        for one in outputs
    )
    names = ", ".join(one.name for one in outputs)
    (tmp_path / "main.c").write_text(MAIN % (declared, names))
    command = [shutil.which("cc"), *FLAGS, "-g", "-fsanitize=address,undefined",
               "-fno-sanitize-recover=all", "model.c", "main.c", "-lm", "-o", "run"]  # fmt: skip
    command = [one for one in command if one != "-O2"] + ["-Wconversion", "-Wshadow"]
    subprocess.run(command, cwd=tmp_path, check=True)
    subprocess.run([tmp_path / "run"], check=True)


@pytest.mark.slow
def test_the_example_of_the_header_predicts_the_row_that_it_has(tmp_path):
    require("c")
    kinds = ["b */ \N{SNOWMAN}", "c"]
    rows = [{"size": n / 3, "kind": kinds[n % 2], "y": "uvw"[n % 3]} for n in range(30)]
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    spec = {
        "data": {"source": "json_lines", "path": str(tmp_path / "data.jsonl"), "target": "y"},
        "model": {"layers": [{"type": "dense", "units": "classes", "activation": "softmax"}]},
        "loss": "cross_entropy", "optimizer": "adam", "train": {"epochs": 1},
    }  # fmt: skip
    model = nnreg.run(spec, out=None)
    nnreg.export(model, tmp_path / "model", to="c")
    comment = (tmp_path / "model/model.h").read_text().split("*/")[0]
    code = comment[comment.index("#include") : comment.index("cc ")]
    (tmp_path / "model/main.c").write_text(code)
    command = [shutil.which("cc"), *FLAGS, "main.c", "model.c", "-lm", "-o", "run"]
    subprocess.run(command, cwd=tmp_path / "model", check=True)
    done = subprocess.run([tmp_path / "model/run"], check=True, capture_output=True, text=True)
    shown = dict(line.split(": ") for line in done.stdout.splitlines())
    row = {one.name: [one.example] for one in program_of(model).inputs}
    (expected,) = model.probabilities(row)
    assert list(shown) == list(model.classes)
    np.testing.assert_allclose([*map(float, shown.values())], expected, rtol=1e-4)


FUZZ = """
#include "model.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(void)
{
    static const char *const parts[] = {%s};
    static texts_%s out[%d];
    uint32_t state = 1;
    for (int n = 0; n < 20000; n++) {
        long length = 0, count = n %% 40;
        char *text = malloc(count * 64 + 2000);
        texts_row row;
        for (long k = 0; k < count; k++) {
            state = state * 1664525u + 1013904223u;
            if (state >> 31) {
                const char *part = parts[(state >> 8) %% (sizeof parts / sizeof *parts)];
                strcpy(text + length, part);
                length += (long)strlen(part);
            } else {
                text[length++] = (char)(1 + (state >> 16) %% 255);
            }
        }
        text[length] = 0;
        text = realloc(text, length + 1); /* so that a read after the end is found */
        row.text = n == 0 ? NULL : text;
        texts_predict(&row, out);
        free(text);
    }
    return 0;
}
"""
PARTS = [
    b"[", b'["', b'"', b",", rb"\u", b"]", b"true", b"\xc4\xb0", b"\xce\xa3", b"\xf0\x9f", b"2024",
    b"-07", b"-31", b"T10:30", b"+02", b"1e", b"999999999", b".", b" ", b";", b"the", b"\xe2\x80",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", ["pairs of words", "byte pairs", "tokens", "hash", "labels",
                                  "zoned dates"])  # fmt: skip
def test_sanitizers_find_nothing_in_any_bytes_of_texts(case, tmp_path):
    from tests.exporters.test_read_texts import CASES, program_of

    require("c")
    program = program_of(CASES[case][0])
    for name, content in CSource().contents(program).items():
        (tmp_path / name).write_bytes(content)
    kind = "long" if program.outputs[0].operand.dtype == np.int64 else "double"
    octal = ["".join(f"\\{byte:03o}" for byte in part) for part in PARTS]
    parts = ", ".join(f'"{part}"' for part in octal)
    main = FUZZ % (parts, "kind", program.outputs[0].operand.size)
    (tmp_path / "main.c").write_text(f"typedef {kind} texts_kind;\n{main}")
    command = [shutil.which("cc"), "-std=c99", "-g", "-Wconversion", "-Wshadow",
               "-fsanitize=address,undefined",
               "-fno-sanitize-recover=all", "model.c", "main.c", "-lm", "-o", "run"]  # fmt: skip
    subprocess.run(command, cwd=tmp_path, check=True)
    subprocess.run([tmp_path / "run"], check=True)
