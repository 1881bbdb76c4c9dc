"""Scaling of numbers, of inputs as of targets, and back."""

from dataclasses import replace

import numpy as np
import pytest

import nnreg
from nnreg import DataError, RawColumn, SpecError
from nnreg.builtin.encoders import Number, Values
from nnreg.builtin.encoders.scaling import Curve, golden_section, learn_scale, with_bounds
from nnreg.checkpoint.file_format import read_checkpoint, write_checkpoint
from nnreg.errors import CheckpointError
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from tests.helpers.specs import CSV as GAPS
from tests.helpers.specs import csv_data, regressor

SCALINGS = ("standard", "robust", "robust_clipped", "min_max", "quantile", "log", "power", "none")
CSV = GAPS.replace("3.9,\n", "3.9,2.1\n").replace("NA", "north")
CURVED = ("log", "power", "quantile")
RNG = np.random.default_rng(0)
SKEWED = RNG.exponential(3, 200)


def encoded(scaling, rows, new=None):
    learned = Number(scaling).learn(RawColumn.of(rows))
    return learned.encode(RawColumn.of(rows if new is None else new))[:, 0]


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(CSV)
    return tmp_path


def prepared(spec):
    return prepare_from_spec(read_spec(spec))


class TestInputs:
    @pytest.mark.parametrize("scaling", SCALINGS[:-1])
    @pytest.mark.parametrize("value", [0.0, 3.25, 1e300, 5e-324])
    def test_a_constant_column_is_0(self, scaling, value):
        found = encoded(scaling, np.full(20, value), [value])
        assert found == pytest.approx([0], abs=1e-9)

    @pytest.mark.parametrize("scaling", SCALINGS[:-1])
    @pytest.mark.parametrize(
        "rows",
        [
            np.r_[SKEWED, 1e300],
            np.r_[np.zeros(50), 1e300],
            np.arange(50.0) % 2,
            np.arange(40) % 7 * 2.5e307,
            SKEWED * 1e-300,
            [4.0],
        ],
        ids=["an outlier", "an outlier of zeros", "two values", "huge", "tiny", "one row"],
    )
    def test_every_column_is_finite(self, scaling, rows):
        found = encoded(scaling, np.array(rows))
        assert np.isfinite(found).all()
        assert (np.diff(found[np.argsort(rows, kind="stable")]) >= 0).all()

    @pytest.mark.parametrize("scaling", ["quantile", "power", "robust_clipped"])
    def test_negative_numbers_keep_their_order(self, scaling):
        rows = np.sort(RNG.normal(0, 3, 50))
        assert (np.diff(encoded(scaling, rows)) > 0).all()

    @pytest.mark.parametrize("scaling", ["robust_clipped", "quantile"])
    def test_an_outlier_in_new_rows_is_bounded(self, scaling):
        assert np.abs(encoded(scaling, SKEWED, [1e308, -1e308])).max() < 5.2

    def test_ranges(self):
        assert [*encoded("min_max", [2.0, 4, 6], [2, 6, 8])] == [0, 1, 1.5]
        assert [*encoded("robust", [0.0, 1, 2, 3, 4], [2, 4])] == [0, 1]
        assert encoded("robust_clipped", [0.0, 1, 2, 3, 4], [8.0]) == pytest.approx(
            3 / np.sqrt(1 + 1)
        )

    def test_logarithms_of_negative_numbers_are_refused_with_their_location(self):
        message = r"row 1, column 'x': found -3, expected a number >= 0, .* the scaling \"power\""
        with pytest.raises(DataError, match=message):
            Number("log").learn(RawColumn.of([1.0, -3.0]))
        with pytest.raises(DataError, match=message):
            Number("log").learn(RawColumn.of([1.0, 2.0])).encode(RawColumn.of([1.0, -3.0]))
        with pytest.raises(DataError, match=r"row 0, column .x.: found"):
            Values("log").learn(RawColumn.of(-np.ones((2, 2)), "arrays"))

    @pytest.mark.parametrize("scaling", SCALINGS)
    def test_a_scaled_number_is_converted_back(self, scaling):
        learned = Number(scaling).learn(RawColumn.of(SKEWED))
        again = learned.scale.invert(learned.encode(RawColumn.of(SKEWED))[:, 0])
        np.testing.assert_allclose(again, SKEWED, rtol=1e-9)

    @pytest.mark.parametrize("scaling", SCALINGS)
    def test_arrays_are_scaled_as_a_column_of_all_their_numbers(self, scaling):
        arrays = SKEWED.reshape(20, 5, 2)
        learned = Values(scaling).learn(RawColumn.of(arrays, "arrays"))
        found = learned.encode(RawColumn.of(arrays, "arrays"))
        np.testing.assert_array_equal(found.ravel(), encoded(scaling, SKEWED))

    def test_quantiles_are_those_of_at_most_1000_fractions(self):
        learned = Number("quantile").learn(RawColumn.of(np.arange(3000.0)))
        assert len(learned.quantiles) == 1000
        assert len(Number("quantile").learn(RawColumn.of(SKEWED)).quantiles) == 200

    @pytest.mark.parametrize("scaling", SCALINGS)
    def test_held_out_rows_change_nothing(self, directory, scaling):
        data = csv_data(split={"validation": 0.25, "order": True}, target="length")
        data |= {"scaling": scaling, "exclude": ["island"], "target_scaling": "quantile"}
        data["columns"] = {"species": "category"}
        before = prepared(regressor(data=data)).model.preprocessing
        lines = CSV.splitlines()
        assert len(lines) == 9
        lines[-1] = lines[-1].rsplit(",", 2)[0] + ",6.5,7.5"
        (directory / "data.csv").write_text("\n".join(lines) + "\n")
        assert prepared(regressor(data=data)).model.preprocessing == before

    def test_a_run_saves_what_was_learned(self, directory):
        columns = {"length": {"type": "number", "scaling": "quantile"}}
        data = csv_data(target="depth", columns=columns, exclude=["species"], scaling="power")
        model = nnreg.run(regressor(data=data | {"target_scaling": "power"}), out="run")
        again = nnreg.load("run")
        assert again.preprocessing == model.preprocessing
        rows = {"island": ["north"], "length": [2.0]}
        np.testing.assert_array_equal(again.predict(rows), model.predict(rows))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"quantiles": [2.0, 1.0]}, "quantiles: must be in ascending order"),
            ({"power": "1"}, r"inputs\[1\]\.power: must be a valid number"),
            ({"scaling": "other"}, r"inputs\[1\]\.scaling"),
        ],
    )
    def test_a_checkpoint_is_validated(self, directory, change, message):
        data = csv_data(target="depth", exclude=["species"], scaling="quantile")
        nnreg.run(regressor(data=data), out="run")
        saved = read_checkpoint(directory / "run" / "checkpoints" / "best.h5")
        saved.document["preprocessing"]["inputs"][1] |= change
        write_checkpoint(directory / "changed.h5", saved)
        with pytest.raises(CheckpointError, match=message):
            nnreg.load(directory / "changed.h5")


class TestIndicator:
    @pytest.mark.parametrize(
        ("missing", "option", "columns"),
        [
            ("refuse", True, 2),
            ("impute", True, 2),
            ("indicate", True, 2),
            ("indicate", False, 1),
            ("indicate", None, 2),
            ("impute", None, 1),
        ],
    )
    def test_the_option_precedes_that_of_all_columns(self, directory, missing, option, columns):
        (directory / "data.csv").write_text("a,price\n1,2\n,3\n3,5\n")
        columns_of = {"a": {"type": "number", "add_indicator": option}}
        data = csv_data(target="price", missing=missing, columns=columns_of)
        run = prepared(regressor(data=data))
        assert run.train.x.shape == (3, columns)
        assert run.train.x[1, 0] == pytest.approx(0)
        assert list(run.train.x[:, 1:].ravel()) == [0, 1, 0][: 3 * (columns - 1)]

    def test_missing_values_are_refused_as_before(self, directory):
        (directory / "data.csv").write_text("a,price\n1,2\n,3\n3,5\n")
        columns = {"a": {"type": "number", "add_indicator": False}}
        with pytest.raises(DataError, match="the value is missing"):
            prepared(regressor(data=csv_data(target="price", columns=columns, missing="refuse")))


class TestTargets:
    @pytest.mark.parametrize("scaling", ["standard", "robust", "min_max", "none", *CURVED])
    @pytest.mark.parametrize("names", [("length",), ("length", "depth")], ids=str)
    def test_it_is_converted_back(self, directory, scaling, names):
        data = csv_data(target=list(names), target_scaling=scaling, exclude=["species"])
        layers = {"layers": [{"type": "dense", "units": len(names)}]}
        run = prepared(regressor(data=data, model=layers))
        target = run.model.preprocessing.target
        raw = run.train.raw_targets
        np.testing.assert_allclose(target.unscale(target.scale(raw)), raw, rtol=1e-9)
        np.testing.assert_allclose(target.scale(raw), run.train.targets, rtol=1e-6)

    @pytest.mark.parametrize("scaling", CURVED)
    def test_metrics_and_predictions_are_in_its_own_units(self, directory, scaling):
        data = csv_data(target="length", target_scaling=scaling, inputs=["depth"])
        run = prepared(regressor(data=data, metrics=["mean_absolute_error"]))
        y = run.model.predict({"depth": run.train.x[:, 0]})
        assert y.shape == (8,)
        found = run.evaluate()["train"]["mean_absolute_error"]
        predictions = run.model.preprocessing.target.unscale(
            run.model.inference_network.predict(run.train.x)
        )
        expected = np.abs(predictions - run.train.raw_targets).mean()
        assert found == pytest.approx(expected)

    @pytest.mark.parametrize("scaling", CURVED)
    def test_predictions_far_beyond_the_training_rows_are_bounded(self, directory, scaling):
        data = csv_data(target="length", target_scaling=scaling, inputs=["depth"])
        model = prepared(regressor(data=data)).model
        for bias in (1e30, -1e30):
            model.parameters["layers/0/weight"][...] = 0
            model.parameters["layers/0/bias"][...] = bias
            assert -2.81 < model.predict({"depth": [1.0]})[0] < 8.01

    def test_predictions_that_are_not_finite_stay_so(self):
        curve = with_bounds(learn_scale(SKEWED, "log"), SKEWED).curve
        assert np.isnan(curve.invert(np.array([np.nan, np.inf]))).all()

    def test_quantiles_are_converted(self, directory):
        data = csv_data(target="length", target_scaling="log", inputs=["depth"])
        layers = {"layers": [{"type": "dense", "units": 3}]}
        model = prepared(regressor(data=data, model=layers, loss="quantile")).model
        model.parameters["layers/0/weight"][...] = 0
        model.parameters["layers/0/bias"][...] = [-1, 0, 1]
        target = model.preprocessing.target
        expected = np.expm1(np.array([-1, 0, 1]) * target.std[0] + target.mean[0])
        np.testing.assert_allclose(model.predict({"depth": [1.0]})[0], expected)

    def test_a_loss_that_predicts_a_variance_is_refused(self, directory):
        data = csv_data(target="length", target_scaling="power", inputs=["depth"])
        layers = {"layers": [{"type": "dense", "units": 2}]}
        with pytest.raises(SpecError, match=r"\$\.data\.target_scaling: .*as a variance cannot"):
            prepared(regressor(data=data, model=layers, loss="gaussian_nll"))

    def test_a_negative_target_is_refused_with_its_location(self, directory):
        (directory / "data.csv").write_text("a,price\n1,2\n2,-3\n3,5\n")
        data = csv_data(target="price", target_scaling="log")
        with pytest.raises(DataError, match=r"line 3, column 'price': found -3, expected a number"):
            prepared(regressor(data=data))
        (directory / "data.csv").write_text("a,price\n1,2\n2,3\n3,5\n")
        (directory / "held-out.csv").write_text("a,price\n1,-2\n")
        data["split"] = {"validation": "held-out.csv"}
        with pytest.raises(DataError, match=r"held-out\.csv, line 2, column 'price': found -2"):
            prepared(regressor(data=data))


def test_a_golden_section_search_finds_the_minimum():
    assert golden_section(lambda x: abs(x - 0.3), -5, 2) == pytest.approx(0.3)


def test_a_curve_is_inverted_within_its_bounds():
    curve = replace(Curve("log"), bounds=(0.0, 2.0))
    assert curve.invert(np.array([-1.0, 0.5, 100.0])).tolist() == [0, np.expm1(0.5), 2]
