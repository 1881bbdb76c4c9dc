"""`nnreg.export` writes a model in other formats, and checks its answers."""

import json
import shutil
from dataclasses import dataclass

import numpy as np
import pytest

import nnreg
from nnreg._utils.safetensors import decode
from nnreg.errors import ExportError, SpecError, UsageError
from nnreg.exporters.record import program_of
from nnreg.exporters.rows import random_rows

FORMATS = {"numpy": "model.py", "c": "model_c", "js": "model.mjs", "onnx": "model.onnx"}
PROGRAMS = {"c": "cc", "js": "node"}

X = np.random.default_rng(0).normal(size=(20, 3))
OPAQUE = {
    "model": {"layers": [{"type": "dense", "units": 3}, {"type": "opaque"}]},
    "loss": "mean_squared_error", "optimizer": "adam",
}  # fmt: skip

CSV = "size,level,group\n" + "".join(
    f"{n / 7:.3f},{'low' if n % 3 else 'high'},{'yes' if n % 2 else 'no'}\n" for n in range(60)
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    directory = tmp_path_factory.mktemp("export")
    (directory / "data.csv").write_text(CSV + ",,no\n")
    spec = {
        "data": {"source": "csv", "path": str(directory / "data.csv"), "target": "group",
                 "missing": "indicate"},
        "model": {"layers": [
            {"type": "dense", "units": 5, "activation": "gelu"},
            {"type": "layer_norm"},
            {"type": "dense", "units": "classes", "activation": "softmax"},
        ]},
        "loss": "cross_entropy", "optimizer": "adam", "train": {"epochs": 2},
    }  # fmt: skip
    return nnreg.run(spec)


@pytest.mark.parametrize("form", FORMATS)
def test_an_exported_model_gives_the_answers_of_nnreg(model, form, tmp_path):
    if form == "onnx":
        require_library_named("onnx")
    found = nnreg.export(model, tmp_path / FORMATS[form], to=form)
    assert found.path == tmp_path / FORMATS[form]
    assert found.path.exists()
    assert found.bytes > 500
    if form not in PROGRAMS or shutil.which(PROGRAMS[form]):
        assert found.difference < 1e-6


def require_library_named(name):
    pytest.importorskip(name, reason=f"{name} is not installed; it comes with the extra onnx")


def test_the_format_follows_from_the_suffix(model, tmp_path):
    nnreg.export(model, tmp_path / "model.py")
    assert "def predict(columns):" in (tmp_path / "model.py").read_text()
    with pytest.raises(UsageError, match=r"model.txt: its name says no format; choose one of c, "):
        nnreg.export(model, tmp_path / "model.txt")
    with pytest.raises(UsageError, match="unknown format 'pickle'; choose one of c, "):
        nnreg.export(model, tmp_path / "model.txt", to="pickle")


def test_options_of_a_format_are_set_and_checked(model, tmp_path):
    nnreg.export(model, tmp_path / "m", to="c", overrides={"precision": "double"})
    assert "double *prediction_out" in (tmp_path / "m/model.h").read_text()
    nnreg.export(model, tmp_path / "m", to="c", overrides=["memory=static"])
    assert "static float float_values[" in (tmp_path / "m/model.c").read_text()
    problem = r"--set precision=half: must be 'float' or 'double', found \"half\""
    with pytest.raises(SpecError, match=problem):
        nnreg.export(model, tmp_path / "m", to="c", overrides=["precision=half"])
    with pytest.raises(SpecError, match=r"format numpy(.|\n)*unknown key 'precision'"):
        nnreg.export(model, tmp_path / "m.py", overrides={"precision": "double"})
    assert not (tmp_path / "m.py").exists()


def test_a_program_computes_the_predictions_of_the_model(model):
    columns = random_rows(model.preprocessing, 50, ())
    found = program_of(model).run(columns)[""]
    np.testing.assert_allclose(found, model.predict(columns), rtol=1e-6)


def test_random_rows_have_missing_values_where_the_model_takes_them(model):
    columns = random_rows(model.preprocessing, 200, ())
    assert 5 < np.isnan(columns["size"]).sum() < 60
    assert 5 < columns["level"].count(None) < 60


def test_answers_that_differ_are_refused_and_nothing_is_written(model, tmp_path, monkeypatch):
    from nnreg.builtin.exporters.numpy_file import INFIX

    monkeypatch.setitem(INFIX, "add", "-")
    with pytest.raises(ExportError, match="the exported answers differ from those of nnreg by"):
        nnreg.export(model, tmp_path / "model.py")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("registering")
def test_weights_are_written_also_of_a_model_that_cannot_be_recorded(tmp_path):
    nnreg.register("opaque", Opaque)
    model = nnreg.build(OPAQUE, data=(X, X))
    found = nnreg.export(model, tmp_path / "model.safetensors")
    assert (found.rows, found.difference) == (0, None)
    arrays, metadata = decode(found.path.read_bytes())
    assert list(arrays) == ["layers/0/weight", "layers/0/bias"]
    np.testing.assert_array_equal(arrays["layers/0/weight"], model.parameters["layers/0/weight"])
    assert json.loads(metadata["spec"])["model"]["layers"][1] == {"type": "opaque"}


@pytest.mark.usefixtures("registering")
def test_a_layer_without_recordable_computation_is_named(tmp_path):
    nnreg.register("opaque", Opaque)
    model = nnreg.build(OPAQUE, data=(X, X))
    with pytest.raises(ExportError, match=r"layer 1 \(Opaque\): .* neither a formula nor"):
        nnreg.export(model, tmp_path / "model.py")


@dataclass(frozen=True)
class Opaque(nnreg.Layer):
    """A layer whose computation cannot be recorded."""

    def forward(self, x, context):
        return x, lambda dy: dy
