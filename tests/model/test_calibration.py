"""A temperature makes the probabilities of a classifier those of the classes' frequencies."""

import json
import pickle

import numpy as np
import pytest

import nnreg
from nnreg import DataError, UsageError
from nnreg.builtin.metrics import CalibrationError
from nnreg.checkpoint.save_load import load
from nnreg.model.calibration import best_temperature, calibrate_on, reliability, reliability_of
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from nnreg.tables.padded import Padded
from tests.helpers.sequences import PER_STEP
from tests.helpers.specs import blobs, classifier, csv_data, regressor

PLAIN = classifier(metrics=[])
PLAIN["model"]["dtype"] = "float64"
SIGMOID = {
    "model": {
        "layers": [{"type": "dense", "units": 1, "activation": "sigmoid"}],
        "dtype": "float64",
    },
    "loss": "binary_cross_entropy",
}
TWO_OUTPUTS = {
    "model": {"layers": [
        {"name": "first", "type": "dense", "units": 4, "activation": "tanh"},
        {"name": "one", "type": "dense", "units": "classes", "activation": "softmax"},
        {"name": "two", "type": "dense", "inputs": "first", "units": 1, "activation": "sigmoid"},
    ]},
    "loss": {
        "one": {"type": "cross_entropy"},
        "two": {"type": "binary_cross_entropy"},
    },
    "metrics": {},
}  # fmt: skip


def overconfident(spec, data):
    """Return a model of overlapping classes whose logits are far too large."""
    model = nnreg.run({**PLAIN, **spec}, data=data)
    for name in ("weight", "bias"):
        model.parameters[f"layers/{len(model.spec.model.layers) - 1}/{name}"][...] *= 6
    return model


def two_classes():
    x, _ = blobs(200)
    return x, np.where(x[:, 0] + np.random.default_rng(0).normal(size=200) > 1, "yes", "no")


def cross_entropy(p, classes):
    return -np.mean(np.log(p[np.arange(len(p)), classes]))


CASES = {"softmax": ({}, blobs(200)), "sigmoid": (SIGMOID, two_classes())}


@pytest.mark.parametrize("case", CASES)
def test_the_temperature_minimizes_the_cross_entropy_and_the_logits_are_divided(case):
    spec, (x, y) = CASES[case]
    model = overconfident(spec, (x, y))
    classes = np.unique(y, return_inverse=True)[1]
    logits = np.log(model.probabilities(x).astype(np.float64))
    labels = model.classify(x)
    found = nnreg.calibrate(model, x, y)
    assert found.keys() == {""}
    (temperature,) = found.values()
    assert temperature > 2

    def at(value):
        p = np.exp(logits / value)
        return p / p.sum(axis=1, keepdims=True)

    grid = np.exp(np.linspace(-1, 4, 2501))
    best = grid[np.argmin([cross_entropy(at(value), classes) for value in grid])]
    assert temperature == pytest.approx(best, rel=0.003)
    np.testing.assert_allclose(model.probabilities(x), at(temperature), atol=2e-5)
    np.testing.assert_array_equal(model.classify(x), labels)


@pytest.mark.verify
@pytest.mark.parametrize("scale", [1e-2, 1, 30])
def test_the_temperature_is_that_of_a_minimum_found_by_scipy(peer, scale):
    peer("scipy")
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    rng = np.random.default_rng(0)
    z = rng.normal(size=(300, 4))
    classes = np.argmax(z + rng.gumbel(size=z.shape), axis=1)
    z *= scale

    def loss(log_temperature):
        scores = log_softmax(z / np.exp(log_temperature), axis=1)
        return -np.mean(scores[np.arange(len(z)), classes])

    found = minimize_scalar(loss, bounds=(-8, 8), method="bounded", options={"xatol": 1e-9})
    assert best_temperature(z, classes) == pytest.approx(np.exp(found.x), rel=1e-5)


def test_a_second_calibration_changes_nothing():
    x, y = blobs(200)
    model = overconfident({}, (x, y))
    nnreg.calibrate(model, x, y)
    assert nnreg.calibrate(model, x, y)[""] == pytest.approx(1, abs=1e-9)


def test_logits_of_frequencies_have_the_temperature_one():
    p = np.array([0.5, 0.3, 0.2])
    z, classes = np.tile(np.log(p), (10, 1)), np.repeat([0, 1, 2], [5, 3, 2])
    assert best_temperature(z, classes) == pytest.approx(1, abs=1e-9)
    assert best_temperature(50 * z, classes) == pytest.approx(50, rel=1e-9)


def test_rows_without_a_best_temperature_are_an_error_and_the_model_stays():
    x, y = blobs(200)
    model = overconfident({}, (x, y))
    before = model.network.vector.copy()
    with pytest.raises(DataError, match="of 200 rows, too few are predicted wrongly"):
        nnreg.calibrate(model, x, model.classify(x))
    wrong = np.array(["ash", "birch", "cedar"])[
        (np.searchsorted(["ash", "birch", "cedar"], model.classify(x)) + 1) % 3
    ]
    with pytest.raises(DataError, match="200 rows are no better than equal probabilities"):
        nnreg.calibrate(model, x, wrong)
    np.testing.assert_array_equal(model.network.vector, before)
    assert model.resumable


def test_each_output_has_a_temperature_of_its_own():
    x, y = blobs(200)
    both = {"one": y, "two": two_classes()[1]}
    model = nnreg.run({**classifier(), **TWO_OUTPUTS}, data=(x, both))
    for name, factor in (("one", 5), ("two", 20)):
        model.parameters[f"layers/{name}/weight"][...] *= factor
        model.parameters[f"layers/{name}/bias"][...] *= factor
    before = model.evaluate(x, both)
    found = nnreg.calibrate(model, x, both)
    assert found["two"] > found["one"] > 2
    after = model.evaluate(x, both)
    assert after["one_loss"] < before["one_loss"]
    assert after["two_loss"] < before["two_loss"]


def test_a_class_for_each_step_is_calibrated_over_all_real_steps():
    rng = np.random.default_rng(1)
    x = [rng.normal(size=(length, 1)) for length in rng.integers(1, 6, 60)]
    y = [["up" if step + rng.normal() > 0 else "down" for step in one[:, 0]] for one in x]
    model = nnreg.run(PER_STEP, data=(Padded.of(x), y))
    model.parameters["layers/1/weight"][...] *= 50
    model.parameters["layers/1/bias"][...] *= 50
    before = model.evaluate(x, y)["loss"]
    assert nnreg.calibrate(model, x, y)[""] > 1
    assert model.evaluate(x, y)["loss"] < before
    assert nnreg.calibrate(model, x, y)[""] == pytest.approx(1, abs=1e-6)


REFUSED = {
    "numbers": (
        regressor(),
        (blobs()[0], blobs()[0][:, 0]),
        "the model predicts no classes",
    ),
    "ensemble": (
        classifier(model={**classifier()["model"], "members": 2}),
        blobs(),
        "an ensemble predicts the mean of its members",
    ),
    "activation layer": (
        classifier(model={"layers": [
            {"type": "dense", "units": "classes"}, {"type": "activation", "activation": "softmax"}
        ]}),
        blobs(),
        r"\$\.model\.layers\[1\]: ActivationLayer cannot be divided by a temperature; end with a",
    ),
    "another loss": (
        classifier(loss="mean_squared_error"),
        blobs(),
        r"\$\.model\.layers\[2\]: its loss does not compute probabilities from logits",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_model_whose_logits_cannot_be_divided_is_refused(case):
    spec, data, message = REFUSED[case]
    model = nnreg.build(spec, data=data)
    with pytest.raises(UsageError, match=message):
        nnreg.calibrate(model, *data)


def test_averaged_weights_are_those_that_are_calibrated_and_saved(tmp_path):
    x, y = blobs(200)
    train = {"epochs": 5, "ema": 0.9}
    model = nnreg.build(classifier(train=train), data=(x, y))
    model.fit(x, y)
    probabilities = np.log(model.probabilities(x).astype(np.float64))
    (temperature,) = nnreg.calibrate(model, x, y).values()
    expected = np.exp(probabilities / temperature)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.probabilities(x), expected, atol=1e-5)
    nnreg.save(model, tmp_path / "model.h5")
    loaded = nnreg.load(tmp_path / "model.h5")
    assert not loaded.resumable
    for other in (loaded, pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.probabilities(x), model.probabilities(x))


def test_an_export_has_the_temperature(tmp_path):
    x, y = blobs(200)
    model = overconfident({}, ({f"x{n}": x[:, n] for n in range(4)}, y))
    nnreg.calibrate(model, {f"x{n}": x[:, n] for n in range(4)}, y)
    assert nnreg.export(model, tmp_path / "model.py").difference < 1e-5


def test_the_bins_are_those_of_the_metric():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), 500)
    t = rng.integers(0, 3, 500)
    found = reliability(p.max(axis=1), p.argmax(axis=1) == t)
    assert found.error == pytest.approx(CalibrationError().compute(p, t), abs=1e-12)
    assert sum(one.rows for one in found.bins) == 500
    for one in found.bins:
        assert one.low <= one.confidence <= one.high
        assert 0 <= one.accuracy <= 1


def test_the_bins_have_mean_confidence_and_accuracy():
    confidence = np.array([0.51, 0.53, 0.95, 1.0])
    found = reliability(confidence, np.array([True, False, True, True]))
    assert [(one.rows, one.accuracy) for one in found.bins] == [(2, 0.5), (2, 1.0)]
    assert found.bins[1].confidence == pytest.approx(0.975)
    assert found.error == pytest.approx(0.5 * 0.02 + 0.5 * 0.025)


def test_scores_that_are_no_probabilities_have_no_reliability():
    x, y = blobs()
    layers = [{"type": "dense", "units": "classes"}]
    model = nnreg.build(classifier(model={"layers": layers}, loss="hinge"), data=(x, y))
    assert reliability_of(model, model.examples(x, y)) == {}


@pytest.fixture
def run_directory(tmp_path, monkeypatch, nnreg):
    """Train on a table whose classes overlap, with a validation and a test split."""
    monkeypatch.chdir(tmp_path)
    x, y = blobs(300)
    rows = [f"{label},{a},{b}" for label, (a, b) in zip(y, x[:, :2].tolist(), strict=True)]
    (tmp_path / "data.csv").write_text("\n".join(["species,a,b", *rows]) + "\n")
    split = {"test": 0.3, "validation": 0.3, "stratify": True}
    (tmp_path / "spec.json").write_text(json.dumps(classifier(data=csv_data(split=split))))
    assert nnreg("run", "spec.json", "--out", "out", "--quiet", "--no-report")[0] == 0
    return tmp_path


def test_the_command_writes_a_checkpoint_for_all_commands(run_directory, nnreg):
    code, out, _ = nnreg("calibrate", "out", "--out", "calibrated.h5", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["rows"] == 90
    before, after = (found[name]["validation"]["cross_entropy"] for name in ("before", "after"))
    assert after < before
    prepared = prepare_from_spec(read_spec("spec.json"))
    assert calibrate_on(load("out"), prepared.validation) == {"": found["temperature"]}
    code, out, _ = nnreg("evaluate", "calibrated.h5", "--calibration", "--json")
    evaluated = json.loads(out)
    assert evaluated["test"]["loss"] == pytest.approx(found["after"]["test"]["cross_entropy"])
    error = evaluated["calibration"]["error"]
    assert error == pytest.approx(found["after"]["test"]["calibration_error"])
    predicted = [
        json.loads(nnreg("predict", file, "data.csv", "--json")[1])
        for file in ("out", "calibrated.h5")
    ]
    for one, other in zip(*predicted, strict=True):
        assert one["prediction"] == other["prediction"]
        assert one["probability_ash"] != other["probability_ash"]
    code, out, _ = nnreg("calibrate", "out", "--out", "calibrated.h5")
    assert f"temperature {found['temperature']:.4g}, of 90 validation rows" in out
    assert "test, calibrated" in out
    assert "written: calibrated.h5" in out
    code, out, _ = nnreg("evaluate", "out", "--calibration")
    assert "calibration error 0." in out
    assert "on 90 predictions for test rows, by confidence:" in out


def test_the_command_takes_other_rows_and_writes_nothing_if_it_fails(run_directory, nnreg):
    code, out, _ = nnreg("calibrate", "out", "data.csv", "--out", "calibrated.h5")
    assert code == 0
    assert "of 300 rows of the data" in out
    (run_directory / "calibrated.h5").unlink()
    (run_directory / "few.csv").write_text("species,a,b\nash,9,0\n")
    code, _, err = nnreg("calibrate", "out", "few.csv", "--out", "calibrated.h5")
    assert code == 1
    assert "too few are predicted wrongly" in err
    code, _, err = nnreg("calibrate", "out", "--out", "no/calibrated.h5")
    assert code == 2
    assert "no directory no; create it first" in err
    assert not (run_directory / "calibrated.h5").exists()


def test_the_command_needs_rows_that_were_held_out(run_directory, nnreg):
    assert nnreg("run", "spec.json", "--out", "whole", "--quiet", "--no-report",
                 "--set", 'data.split={"test": 0.3}')[0] == 0  # fmt: skip
    code, _, err = nnreg("calibrate", "whole", "--out", "calibrated.h5")
    assert code == 2
    assert "trained without a validation split; give DATA" in err


def test_calibration_of_a_model_without_classes_is_an_error(tmp_path, monkeypatch, nnreg):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text("x,y\n" + "".join(f"{n},{2 * n}\n" for n in range(20)))
    data = {"source": "csv", "path": "data.csv", "target": "y"}
    (tmp_path / "spec.json").write_text(json.dumps(regressor(data=data)))
    assert nnreg("run", "spec.json", "--out", "out", "--quiet", "--no-report")[0] == 0
    code, _, err = nnreg("evaluate", "out", "--calibration")
    assert code == 2
    assert "the model has no probabilities of classes; leave it out" in err
