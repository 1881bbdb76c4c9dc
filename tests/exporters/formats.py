"""What the tests of all formats share: the exporters, and their answers for a program."""

import importlib.util
import shutil

import pytest

import nnreg
from nnreg.builtin.exporters.c_source import CSource
from nnreg.builtin.exporters.js_file import JsFile
from nnreg.builtin.exporters.numpy_file import NumpyFile
from nnreg.builtin.exporters.onnx_file import OnnxFile

EXPORTERS = {
    "numpy": NumpyFile(),
    "c": CSource(),
    "c double": CSource("double", "static"),
    "js": JsFile(),
    "onnx": OnnxFile(),
}


def require(form):
    """Skip a test of a format that cannot be run here."""
    programs = {"c": "cc", "c double": "cc", "js": "node"}
    if form in programs and not shutil.which(programs[form]):
        pytest.skip(f"{programs[form]} is not installed")
    if form == "onnx" and not importlib.util.find_spec("onnxruntime"):
        pytest.skip("onnxruntime is not installed; it comes with the extra onnx")


def answers(exporter, program, columns, directory):
    """Return the answers of what an exporter writes, by the name of the output."""
    for one in program.operations:
        assert not exporter.unsupported(one), one.name
    path = directory / f"model{exporter.suffix}"
    if not exporter.suffix:
        path.mkdir(exist_ok=True)
    for name, content in exporter.contents(program).items():
        (path / name if name else path).write_bytes(content)
    return exporter.run(program, path, columns)


FORMATS = {"numpy": "model.py", "c": "model_c", "js": "model.mjs", "onnx": "model.onnx"}


def export_in_all_formats(model, directory, formats=tuple(FORMATS)):
    """Export a model; each checks its answers, if its programs are installed."""
    for form in formats:
        nnreg.export(model, directory / FORMATS[form], to=form)
