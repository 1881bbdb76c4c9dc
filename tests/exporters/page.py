"""docs/reference/exports.md: each model of models/ in each format, beside nnreg."""

import ctypes
import re
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import nnreg
from nnreg.builtin.exporters.c_source import FLAGS, rows_of
from nnreg.builtin.exporters.c_writer import Names
from nnreg.builtin.exporters.onnx_names import GraphNames
from nnreg.errors import NnregWarning
from nnreg.exporters.api import ROWS
from nnreg.exporters.record import program_of
from nnreg.exporters.rows import random_rows, window_table
from tests.exporters.formats import FORMATS
from tests.helpers.paths import ROOT

PAGE = ROOT / "docs/reference/exports.md"

MADE = {"mnist": ROOT / "models/mnist.npz"}
"""The data of models that `models/make_data.py` makes, from a package of the extra `verify`."""

HEAD = f"""# Exported models

Each model of `models/`, trained for one epoch and exported in each format. The answers for {ROWS}
random rows, with missing and unknown values where the model takes them, are compared with those of
nnreg; the difference is the largest, relative to the largest answer if that is above 1. The times
are microseconds of the processor per row, the least of several tries: for nnreg, `numpy` and `onnx`
of {ROWS} rows at once, for `c` and `js` of one row at a time, with one thread, on the machine that
wrote this page.

`python -m tests.exporters` writes this page, with the extras `verify` and `onnx`, Node and a
compiler of C installed. Its tests compare each component that has an output, too.

{{refusals}}

## Models

| Model | Format | Difference | Bytes | µs per row |
| --- | --- | --- | --- | --- |
"""

ROW = re.compile(r"^\| (\w+) \| (\w+) \| ([\d.e+-]+) \| [\d,]+ \| [\d.,]+ \|$", re.M)

NODE = """
import { readFileSync } from "node:fs";
const { predict } = await import(process.argv[1]);
const rows = JSON.parse(readFileSync(0, "utf8"));
let least = Infinity;
for (let n = 0; n < 20; n++) {
  const start = process.cpuUsage();
  for (const row of rows) predict(row);
  least = Math.min(least, process.cpuUsage(start).user);
}
console.log(least / rows.length);
"""


def models():
    """Return the specs of the models, by name."""
    return {path.stem: path for path in sorted((ROOT / "models").glob("*.json"))}


def trained(path, directory):
    """Train a model for one epoch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NnregWarning)
        found = nnreg.run(path, out=directory, overrides=["train.epochs=1"], check=False)
    return found if hasattr(found, "network") else None


def lines(name, model):
    """Return the lines of the table for a model."""
    program = program_of(model)
    network, plan = model.network, model.network.plan
    integers = [""] if network.integer_input else plan.integers
    columns = random_rows(model.preprocessing, ROWS, integers)
    window = model.preprocessing.window
    rows = columns if window is None else window_table(model, columns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NnregWarning)
        own = least(lambda: model.predict(rows))
    found = [f"| {name} | nnreg | 0 | {model_bytes(network):,} | {own:.2f} |"]
    for form, file in FORMATS.items():
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / file
            export = nnreg.export(model, path, to=form)
            taken = TIMES[form](program, path, columns)
            row = f"| {name} | {form} | {export.difference:.0e} | {export.bytes:,} | {taken:.2f} |"
        found.append(row)
    return found


def model_bytes(network):
    return network.vector.nbytes + network.state_vector.nbytes


def least(function):
    """Return the least time of five calls, in microseconds per row."""
    times = []
    for _ in range(6):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times[1:]) * 1e6 / ROWS


def numpy_time(program, path, columns):
    namespace = {}
    exec(compile(path.read_text(), path, "exec"), namespace)
    return least(lambda: namespace["predict"](columns))


def onnx_time(program, path, columns):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    session = onnxruntime.InferenceSession(path.read_bytes(), options)
    names, given = GraphNames(program), {}
    for one in program.inputs:
        values = one.given(columns)
        if values.dtype == object:
            values[values == None] = ""  # noqa: E711 (elementwise)
        given[names.inputs[one.name]] = values
    return least(lambda: session.run(None, given))


def js_time(program, path, columns):
    from nnreg.builtin.exporters.js_file import _plain, dumps

    rows = [
        {name: _plain(value) for name, value in zip(columns, values, strict=True)}
        for values in zip(*columns.values(), strict=True)
    ]
    command = ["node", "--input-type=module", "-e", NODE, path.as_uri()]
    done = subprocess.run(command, input=dumps(rows), capture_output=True, text=True, check=True)
    return float(done.stdout)


def c_time(program, path, columns):
    """Time a loop in C over the rows."""
    model = Names(program).model
    header = (path / "model.h").read_text()
    declared = re.search(rf"{model}_predict\(const {model}_row \*row(.*?)\);", header)[1]
    names = "".join(f", {one}" for one in re.findall(r"\*(\w+)", declared))
    (path / "loop.c").write_text(
        f'#include "model.h"\nint loop(const {model}_row *rows, long count{declared});\n'
        f"int loop(const {model}_row *rows, long count{declared})\n{{\n    int bad = 0;\n"
        f"    for (long i = 0; i < count; i++) bad += {model}_predict(&rows[i]{names}) != 0;\n"
        "    return bad;\n}\n"
    )
    command = ["cc", *FLAGS, "-shared", "-fPIC", "-o", "loop.so", "model.c", "loop.c", "-lm"]
    subprocess.run(command, cwd=path, check=True)
    loop = ctypes.CDLL(str(path / "loop.so")).loop
    rows = rows_of(program, columns)
    results = [ctypes.create_string_buffer(8 * one.operand.size) for one in program.outputs]
    return least(lambda: loop(rows, ctypes.c_long(len(rows)), *results))


TIMES = {"numpy": numpy_time, "onnx": onnx_time, "js": js_time, "c": c_time}
