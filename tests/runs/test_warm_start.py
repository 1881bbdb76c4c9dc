"""Initial weights from another checkpoint: what is copied, and what is never opened."""

import copy
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import nnreg
from nnreg import DataError, SpecError
from nnreg.checkpoint.file_format import Checkpoint, read_checkpoint, write_checkpoint
from nnreg.checkpoint.inspect import read_summary
from nnreg.errors import NnregWarning
from nnreg.runs.rerun import rerun
from tests.helpers.specs import CSV, blobs, classifier, csv_data, regressor

LAYERS = [
    {"type": "dense", "units": 6, "activation": "tanh"},
    {"type": "batch_norm"},
    {"type": "dense", "units": "classes", "activation": "softmax"},
]


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """Return a directory with a run in it."""
    monkeypatch.chdir(tmp_path)
    nnreg.run(spec(), data=blobs(), out="runs/first")
    return tmp_path


def spec(start=None, layers=LAYERS, dtype="float32", **changes):
    train = {"epochs": 3, **({"start_from": start} if start else {})}
    return classifier(**{"model": {"layers": layers, "dtype": dtype}, "train": train, **changes})


def start(**options):
    return {"checkpoint": "runs/first", **options}


@pytest.mark.parametrize("named", [start(), "runs/first"], ids=["object", "path alone"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_arrays_are_copied_including_the_state(directory, dtype, named):
    first = nnreg.load("runs/first")
    model = nnreg.build(spec(named, dtype=dtype), data=blobs())
    for name, array in {**first.parameters, **first.buffers}.items():
        np.testing.assert_array_equal({**model.parameters, **model.buffers}[name], array)
    assert model.network.dtype == dtype
    assert model.training_state.step == 0


def test_a_file_and_layers_can_be_selected(directory):
    first = nnreg.load("runs/first/checkpoints/last.h5")
    chosen = start(checkpoint="runs/first/checkpoints/last.h5", layers=["layers/0"])
    layers = [LAYERS[0], {"type": "dense", "units": 9}, *LAYERS[1:]]
    model = nnreg.build(spec(chosen, layers), data=blobs())
    fresh = nnreg.build(spec(None, layers), data=blobs())
    for name, array in model.parameters.items():
        expected = first if name.startswith("layers/0/") else fresh
        np.testing.assert_array_equal(array, expected.parameters[name])


def test_mismatched_arrays_are_listed_with_a_fix(directory):
    layers = [LAYERS[0], {"type": "dense", "units": 9}, *LAYERS[1:]]
    with pytest.raises(SpecError) as caught:
        nnreg.build(spec(start(), layers), data=blobs())
    (problem,) = caught.value.problems
    assert problem.path == "$.train.start_from"
    assert "best.h5 does not match: layers/1/weight is missing, layers/1/bias is missing" in str(
        problem
    )
    assert "layers/2/gamma is missing" in problem.message
    assert problem.message.endswith('; to copy only what matches, set "layers": ["layers/0"]')
    other = [{**LAYERS[0], "units": 5}]
    with pytest.raises(SpecError, match=r"layers/0/weight has the shape \(4, 6\), not \(4, 5\)"):
        nnreg.build(spec(start(layers=["layers/0"]), [*other, *LAYERS[1:]]), data=blobs())
    with pytest.raises(SpecError, match=r"layers\[1\]: no layer 'layer/2'; did you mean 'layers/2"):
        nnreg.build(spec(start(layers=["layers/0", "layer/2"])), data=blobs())


def test_an_invalid_file_is_reported(directory):
    (directory / "text.h5").write_text("text")
    for name, message in (
        ("nowhere", "cannot read: No such file"),
        ("text.h5", "not a checkpoint of nnreg"),
        ("a\0b", "cannot read: embedded null byte"),
        ("x" * 5000, "cannot read: File name too long"),
        ("/dev/zero", "not a regular file"),
    ):
        with pytest.raises(SpecError, match=rf"\$\.train\.start_from: .*{message}"):
            nnreg.build(spec(start(checkpoint=name)), data=blobs())


@pytest.mark.parametrize("named", [{"checkpoint": "before"}, "before"], ids=["object", "path"])
def test_the_path_is_relative_to_the_specs_directory(directory, named):
    (directory / "specs").mkdir()
    (directory / "data.csv").write_text(CSV)
    (directory / "specs/data.csv").write_text(CSV)
    nnreg.run(spec(data=csv_data()), out="specs/before")
    (directory / "specs/a.json").write_text(json.dumps(spec(named, data=csv_data())))
    model = nnreg.build("specs/a.json")
    expected = nnreg.load("specs/before").parameters
    np.testing.assert_array_equal(model.parameters["layers/0/weight"], expected["layers/0/weight"])
    nnreg.run("specs/a.json", out="runs/second")
    again = nnreg.run("runs/second/resolved.json", out="runs/third")
    np.testing.assert_array_equal(again.network.vector, nnreg.load("runs/second").network.vector)


class TestAWarmStartedRun:
    @pytest.fixture
    def second(self, directory):
        (directory / "data.csv").write_text(CSV)
        nnreg.run(spec(data=csv_data()), out="runs/before")
        changes = start(checkpoint="runs/before")
        nnreg.run(spec(changes, data=csv_data()), out="runs/second")
        return "runs/second"

    def test_it_resumes_and_predicts_without_the_file(self, second):
        shutil.rmtree("runs/before")
        nnreg.load(second)
        model = nnreg.resume(second, overrides=["train.epochs=5"])
        assert len(model.history) == 5
        recorded = read_summary(f"{second}/checkpoints/last.h5").manifest.started_from
        assert len(next(iter(recorded.values()))) == 64

    def test_it_can_be_trained_again_if_the_file_is_unchanged(self, second):
        assert rerun(f"{second}/checkpoints/last.h5").same
        nnreg.resume("runs/before", overrides=["train.epochs=4"])
        with pytest.raises(
            DataError, match=r"best.h5: not the checkpoint that it started from \(S"
        ):
            rerun(f"{second}/checkpoints/last.h5")
        shutil.rmtree("runs/before")
        with pytest.raises(DataError, match="not the checkpoint that it started from"):
            rerun(f"{second}/checkpoints/last.h5")

    @pytest.mark.parametrize("name", ["/dev/zero", "a\0b", "pipe"])
    def test_training_again_reads_no_endless_file_of_an_adversarial_checkpoint(self, second, name):
        os.mkfifo("pipe")
        found = read_checkpoint(Path(second, "checkpoints/last.h5"))
        document = copy.deepcopy(dict(found.document))
        document["spec"]["train"]["start_from"]["checkpoint"] = name
        write_checkpoint(Path("adversarial.h5"), Checkpoint(document, found.arrays))
        with pytest.raises(DataError, match="not the checkpoint that it started from"):
            rerun("adversarial.h5")


class TestTheMeaningOfTheWeights:
    ROWS = "".join(f"{n % 7},{n % 5},{'cat' if n % 2 else 'dog'}\n" for n in range(20))

    def run(self, directory, head, name, labels=("cat", "dog"), **options):
        rows = self.ROWS.replace("cat", labels[0]).replace("dog", labels[1])
        (directory / f"{name}.csv").write_text(f"{head}\n{rows}")
        data = {"source": "csv", "path": f"{name}.csv", "target": "t"}
        return nnreg.run(spec(options.pop("start", None), data={**data, **options}), out=name)

    def test_the_same_columns_in_another_order_are_refused_with_the_order_to_use(self, directory):
        first = self.run(directory, "a,b,t", "one")
        with pytest.raises(
            SpecError, match=r"inputs of .* in another order: a, b, here they are b"
        ):
            self.run(directory, "b,a,t", "two", start="one")
        assert not (directory / "two").exists()
        model = self.run(directory, "b,a,t", "three", start="one", inputs=["a", "b"])
        assert model.preprocessing.names == first.preprocessing.names

    def test_other_curves_of_inputs_give_a_warning(self, directory):
        self.run(directory, "a,b,t", "one")
        columns = {"b": {"type": "number", "scaling": "power"}}
        with pytest.warns(NnregWarning, match=r"were a, b, here they are a, b \(scaling power\);"):
            self.run(directory, "a,b,t", "two", start="one", columns=columns)

    def test_another_curve_of_the_target_gives_a_warning(self, directory):
        (directory / "data.csv").write_text("a,price\n1,2\n2,5\n3,9\n")
        data = csv_data(target="price", target_scaling="standard")
        nnreg.run(regressor(data=data), out="one")
        data["target_scaling"] = "log"
        with pytest.warns(NnregWarning, match=r"scalings of the target .* were linear, here"):
            nnreg.run(regressor(data=data, train={"epochs": 1, "start_from": "one"}), out="two")

    def test_other_columns_and_other_classes_give_a_warning_each(self, directory):
        self.run(directory, "a,b,t", "one")
        with pytest.warns(NnregWarning) as told:
            self.run(directory, "a,c,t", "two", labels=("fox", "owl"), start="one")
        texts = [str(warning.message) for warning in told]
        assert len(texts) == 2
        assert "were a, b, here they are a, c; their weights are taken by position" in texts[0]
        assert "the classes of" in texts[1]

    def test_layers_that_are_not_copied_are_not_compared(self, directory):
        self.run(directory, "a,b,t", "one")
        only = {"checkpoint": "one", "layers": ["layers/1"]}
        self.run(directory, "b,a,t", "two", labels=("fox", "owl"), start=only)
