"""What a report shows of the predictions of a run."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import nnreg
from nnreg.plotting.html import format_value
from nnreg.reports.evaluation import compare_with_baseline, confidence_interval
from nnreg.reports.html import percent
from nnreg.reports.predictions import SplitPredictions, predict_held_out
from nnreg.reports.report import report
from nnreg.runs.prepare import prepare_from_checkpoint
from tests.helpers.specs import blobs, classifier, regressor
from tests.reports.page import SPLIT, Page, page_of, write_csv


def test_the_page_has_the_accuracy_of_the_network_and_of_the_baseline(spec):
    model = nnreg.run(spec, out="out")
    prepared = prepare_from_checkpoint(nnreg.load("out"))
    test = prepared.test
    predicted = model.network.predict(test.x).argmax(axis=-1)
    correct = int((predicted == test.raw_targets).sum())
    majority = np.bincount(prepared.train.raw_targets).argmax()
    baseline = percent(float(np.mean(test.raw_targets == majority)))
    page = page_of("out")
    accuracy = f"Accuracy on {len(test)} test rows: {percent(correct / len(test))}"
    assert f"{accuracy} ({correct} correct), " in page.text_of("p")
    assert page.text_of("em") == model.classes[majority]
    assert f", {baseline})." in page.text_of("p")


def test_the_page_of_a_regression_has_the_mean_absolute_errors(numbers):
    model = nnreg.run(numbers, out="out", overrides=["metrics=[]"])
    prepared = prepare_from_checkpoint(nnreg.load("out"))
    error = np.mean(np.abs(model.network.predict(prepared.test.x) - prepared.test.raw_targets))
    baseline = np.mean(np.abs(prepared.train.raw_targets.mean() - prepared.test.raw_targets))
    text = page_of("out").text_of("p")
    assert f"Mean absolute error on 18 test rows: {format_value(float(error))}, " in text
    assert f"(always the mean, {format_value(float(baseline))})." in text


def test_without_held_out_rows_the_page_says_that_performance_is_unknown(spec):
    nnreg.run(spec, out="out", overrides=["data.split={}"])
    text = page_of("out").text_of("p")
    assert "training rows" in text
    assert "No rows were held out" in text


def test_predictions_belong_to_the_raw_rows(spec, tmp_path):
    model = nnreg.run(spec, out="out")
    results = predict_held_out(prepare_from_checkpoint(nnreg.load("out")))[""]
    with (tmp_path / "data.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert results.split == "test"
    assert results.confusion.sum() == len(results.true_values) == 30
    for true, predicted in np.ndindex(3, 3):
        both = (results.true_values == true) & (results.predictions == predicted)
        assert results.confusion[true, predicted] == both.sum()
    for index in range(30):
        shown = results.input(index)
        match = [row for row in rows if all(float(row[n]) == float(shown[n]) for n in "abcd")]
        assert results.row_label(index) == f"line {rows.index(match[0]) + 2}"
        assert match[0]["place"] == shown["place"]
        assert match[0]["tree"] == model.classes[results.true_values[index]]
        probability = model.predict([match[0]])[0, results.predictions[index]]
        assert results.confidence[index] == pytest.approx(probability, abs=1e-6)


def test_the_most_confident_errors_come_first(spec):
    nnreg.run(spec, out="out", overrides=["train.epochs=1"])
    results = predict_held_out(prepare_from_checkpoint(nnreg.load("out")))[""]
    worst = results.worst(100)
    wrong = np.flatnonzero(results.true_values != results.predictions)
    assert sorted(worst) == sorted(wrong)
    assert len(wrong) > 2
    assert (np.diff(results.confidence[worst]) <= 0).all()
    assert len(results.worst(2)) == 2


def test_a_run_that_was_trained_on_arrays_is_given_them_again(tmp_path):
    data = blobs(120)
    spec = classifier(data={"source": "csv", "path": "-", "target": "target", "split": SPLIT})
    model = nnreg.run(spec, data=data, out=tmp_path / "out")
    assert "trained on data passed in" in page_of(tmp_path / "out").text_of("p")
    page = Page(report(tmp_path / "out", data=data).read_text())
    assert "on 30 test rows" in page.text_of("p")
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    correct = round(30 * summary["test"]["accuracy"])
    assert f"({correct} correct)" in page.text_of("p")
    assert model.history


def test_predictions_use_the_averaged_weights_if_there_are_any(spec):
    nnreg.run(spec, out="out", overrides=["train.ema=0.9", "train.epochs=1"])
    prepared = prepare_from_checkpoint(nnreg.load("out/checkpoints/last.h5"))
    results, model, test = predict_held_out(prepared)[""], prepared.model, prepared.test
    y = model.inference_network.predict(test.x)
    assert not np.allclose(y, model.network.predict(test.x))
    np.testing.assert_array_equal(results.confidence, y.max(axis=-1))


def test_the_confidence_of_a_single_output_is_that_of_the_predicted_class(spec):
    layers = [{"type": "dense", "units": 1, "activation": "sigmoid"}]
    x, y = blobs(60)
    write_csv(Path("data.csv"), ["tree", *"abcd"],
              [[n == "ash", *row] for n, row in zip(y, x, strict=True)])  # fmt: skip
    changes = [f"model.layers={json.dumps(layers)}", "loss=binary_cross_entropy"]
    model = nnreg.run(spec, out="out", overrides=[*changes, "data.exclude=[]"])
    results = predict_held_out(prepare_from_checkpoint(nnreg.load("out")))[""]
    y = model.network.predict(prepare_from_checkpoint(nnreg.load("out")).test.x)[:, 0]
    np.testing.assert_allclose(results.confidence, np.maximum(y, 1 - y))
    assert results.confusion.shape == (2, 2)


def test_misclassified_images_are_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.savez("data.npz", image=rng.integers(0, 256, (40, 5, 4)), digit=np.arange(40) % 4)
    layers = [{"type": "flatten"}, {"type": "dense", "units": "classes", "activation": "softmax"}]
    spec = classifier(
        data={"source": "npz", "path": "data.npz", "target": "digit", "split": {"test": 0.5}},
        model={"layers": layers},
    )
    nnreg.run(spec, out="out")
    page = page_of("out")
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert 5 < len(images) <= 12
    assert all(attributes["src"].startswith("data:image/png;base64,") for attributes in images)
    assert images[0]["alt"].startswith("input: location row ")
    results = predict_held_out(prepare_from_checkpoint(nnreg.load("out")))[""]
    image = np.load("data.npz")["image"]
    shown = results.input(0)[..., 0].astype(float)
    near = [np.abs(shown - 255 * (i - i.min()) / (i.max() - i.min())).max() for i in image]
    assert min(near) < 0.51


def test_several_targets_and_sequences_are_drawn(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    write_csv(tmp_path / "data.csv", ["a", "u", "v"], rng.normal(size=(30, 3)).tolist())
    data = {"source": "csv", "path": "data.csv", "target": ["u", "v"], "split": {"test": 0.5}}
    model = {"layers": [{"type": "dense", "units": 2}]}
    nnreg.run(regressor(data=data, model=model), out="two")
    assert "Mean absolute error on 15 test rows: " in page_of("two").text_of("p")
    assert {"predicted-0", "predicted-1"} < {file.stem for file in Path("two/plots").iterdir()}
    np.savez("paths.npz", x=rng.normal(size=(20, 6, 3)), y=rng.normal(size=(20, 6, 2)))
    data = {"source": "npz", "path": "paths.npz", "target": "y", "split": {"test": 0.5}}
    nnreg.run(regressor(data=data, model=model), out="paths")
    assert "Mean absolute error on 10 test rows: " in page_of("paths").text_of("p")
    drawn = {file.stem for file in Path("paths/plots").iterdir()}
    assert {one for one in drawn if "predicted" in one or "residuals" in one} == {
        "predicted", "residuals",
    }  # fmt: skip
    assert "mean absolute error" in page_of("paths").text_of("th")
    np.savez("tags.npz", x=rng.normal(size=(20, 6, 3)), tag=rng.integers(0, 2, (20, 6)))
    data = {"source": "npz", "path": "tags.npz", "target": "tag", "split": {"test": 0.5}}
    layers = [{"type": "dense", "units": "classes", "activation": "softmax"}]
    nnreg.run(classifier(data=data, model={"layers": layers}), out="tags")
    assert "Accuracy on 60 predictions for 10 test rows" in page_of("tags").text_of("p")


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (1234567, "1,234,567"), (0.123456, "0.1235"), (-2.5, "−2.5"), (1e-7, "1e−07"),
     (123456.7, "123,457"), (7.4e18, "7.4e+18"), (float("nan"), "nan"), (float("-inf"), "−inf"),
     (True, "True"), ("<", "&lt;")],
)  # fmt: skip
def test_numbers_are_human_readable(value, text):
    assert format_value(value) == text


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0, "0 %"), (1, "100 %"), (0.5, "50.0 %"), (0.99999, "99.999 %"), (1e-5, "0.001 %")],
)
def test_a_percentage_is_not_rounded_to_0_or_100(fraction, text):
    assert percent(fraction) == text


@pytest.mark.parametrize(
    ("correct", "baseline", "judgement"),
    [(90, 50, "better"), (55, 50, "not clearly better"), (30, 50, "not better"),
     (50, 50, "not clearly better")],
)  # fmt: skip
def test_the_judgement_depends_on_the_confidence_interval(correct, baseline, judgement):
    true = np.arange(100) >= baseline  # `baseline` rows belong to the majority class
    predicted = true ^ (np.arange(100) >= correct)
    results = SplitPredictions(
        "test", ("a", "b"), ("y",), true.astype(int), predicted.astype(int), np.ones(100),
        0, 1, None, np.zeros((100, 1)), nnreg.Table({}),
    )  # fmt: skip
    text = " ".join(Page(compare_with_baseline(results)).texts["span"])
    assert text == f"{judgement} than the baseline"


def test_the_confidence_interval_is_wilsons():
    low, high = confidence_interval(8, 10)
    assert (low, high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert confidence_interval(10, 10)[1] == 1
