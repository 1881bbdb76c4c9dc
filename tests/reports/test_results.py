"""What a report finds in the predictions of a run, and how it words it."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import nnreg
from nnreg.reports.evaluation import against_baseline, interval
from nnreg.reports.html import figure, percent
from nnreg.reports.predictions import SplitPredictions, predict_held_out
from nnreg.reports.report import report
from nnreg.runs.baseline import best_constant
from nnreg.runs.prepare import prepare_from_checkpoint
from tests.helpers.specs import blobs, classifier, regressor
from tests.reports.page import SPLIT, Page, page_of, write_csv


def test_the_page_says_how_many_are_right_and_how_many_a_constant_guess_gets_right(spec):
    model = nnreg.run(spec, out="out")
    test = prepare_from_checkpoint(nnreg.load("out")).test
    guesses = model.network.predict(test.x).argmax(axis=-1)
    right = int((guesses == test.raw_targets).sum())
    said = page_of("out").said("p")
    assert f"right for {right} of {len(test)} test rows, {percent(right / len(test))}" in said
    majority, name = best_constant(model, prepare_from_checkpoint(nnreg.load("out")).train)
    assert name in page_of("out").said("em")
    assert f"is right for {percent(float(np.mean(test.raw_targets == majority)))}" in said


def test_of_numbers_it_says_how_far_they_are_off(numbers):
    model = nnreg.run(numbers, out="out")
    prepared = prepare_from_checkpoint(nnreg.load("out"))
    off = np.mean(np.abs(model.network.predict(prepared.test.x) - prepared.test.raw_targets))
    mean = np.mean(np.abs(prepared.train.raw_targets.mean() - prepared.test.raw_targets))
    said = page_of("out").said("p")
    assert f"On 18 test rows it is off by {figure(float(off))} on average" in said
    assert f"always answering the mean is off by {figure(float(mean))}" in said


def test_without_held_out_rows_it_says_that_this_tells_nothing_of_new_ones(spec):
    nnreg.run(spec, out="out", overrides=["data.split={}"])
    said = page_of("out").said("p")
    assert "training rows" in said
    assert "No rows were held out" in said


def test_results_are_those_of_the_model_and_its_raw_rows(spec, tmp_path):
    model = nnreg.run(spec, out="out")
    results = predict_held_out(prepare_from_checkpoint(nnreg.load("out")))
    with (tmp_path / "data.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert results.split == "test"
    assert results.confusion.sum() == len(results.true_values) == 30
    for true, answered in np.ndindex(3, 3):
        both = (results.true_values == true) & (results.predictions == answered)
        assert results.confusion[true, answered] == both.sum()
    for place in range(30):
        shown = results.input(place)
        match = [row for row in rows if all(float(row[n]) == float(shown[n]) for n in "abcd")]
        assert results.row_label(place) == f"line {rows.index(match[0]) + 2}"
        assert match[0]["place"] == shown["place"]
        assert match[0]["tree"] == model.classes[results.true_values[place]]
        probability = model.predict([match[0]])[0, results.predictions[place]]
        assert results.confidence[place] == pytest.approx(probability, abs=1e-6)


def test_the_errors_it_was_surest_of_come_first(spec):
    nnreg.run(spec, out="out", overrides=["train.epochs=1"])
    results = predict_held_out(prepare_from_checkpoint(nnreg.load("out")))
    worst = results.worst(100)
    wrong = np.flatnonzero(results.true_values != results.predictions)
    assert sorted(worst) == sorted(wrong)
    assert len(wrong) > 2
    assert (np.diff(results.confidence[worst]) <= 0).all()
    assert len(results.worst(2)) == 2


def test_data_that_were_passed_in_are_passed_in_again(tmp_path):
    data = blobs(120)
    spec = classifier(data={"source": "csv", "path": "-", "target": "target", "split": SPLIT})
    model = nnreg.run(spec, data=data, out=tmp_path / "out")
    assert "trained on data passed in" in page_of(tmp_path / "out").said("p")
    page = Page(report(tmp_path / "out", data=data).read_text())
    assert "of 30 test rows" in page.said("p")
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    right = round(30 * summary["test"]["accuracy"])
    assert f"It is right for {right} of 30" in page.said("p")
    assert model.history


def test_the_answers_are_those_of_averaged_weights_where_training_keeps_them(spec):
    nnreg.run(spec, out="out", overrides=["train.ema=0.9", "train.epochs=1"])
    prepared = prepare_from_checkpoint(nnreg.load("out/checkpoints/last.h5"))
    results, model, test = predict_held_out(prepared), prepared.model, prepared.test
    y = model.inference_network.predict(test.x)
    assert not np.allclose(y, model.network.predict(test.x))
    np.testing.assert_array_equal(results.confidence, y.max(axis=-1))


def test_a_single_output_is_as_sure_of_the_other_class(spec):
    layers = [{"type": "dense", "units": 1, "activation": "sigmoid"}]
    x, y = blobs(60)
    write_csv(Path("data.csv"), ["tree", *"abcd"],
              [[n == "ash", *row] for n, row in zip(y, x, strict=True)])  # fmt: skip
    changes = [f"model.layers={json.dumps(layers)}", "loss=binary_cross_entropy"]
    model = nnreg.run(spec, out="out", overrides=[*changes, "data.exclude=[]"])
    results = predict_held_out(prepare_from_checkpoint(nnreg.load("out")))
    y = model.network.predict(prepare_from_checkpoint(nnreg.load("out")).test.x)[:, 0]
    np.testing.assert_allclose(results.confidence, np.maximum(y, 1 - y))
    assert results.confusion.shape == (2, 2)


def test_images_that_were_taken_for_others_are_shown(tmp_path, monkeypatch):
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
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert 5 < len(pictures) <= 12
    assert all(one["src"].startswith("data:image/png;base64,") for one in pictures)
    assert pictures[0]["alt"].startswith("input: where row ")
    results = predict_held_out(prepare_from_checkpoint(nnreg.load("out")))
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
    prepared = prepare_from_checkpoint(nnreg.load("two"))
    y, truth = prepared.model.network.predict(prepared.test.x), prepared.test.raw_targets
    guessed = np.abs(truth - prepared.train.raw_targets.mean(axis=0)).mean(axis=0)
    share = figure(float(np.mean(np.abs(y - truth).mean(axis=0) / guessed)))
    said = page_of("two").said("p")
    assert f"off by {share} times as much as always answering the mean, over 2 targets" in said
    assert {"predicted-0", "predicted-1"} < {file.stem for file in Path("two/plots").iterdir()}
    np.savez("paths.npz", x=rng.normal(size=(20, 6, 3)), y=rng.normal(size=(20, 6, 2)))
    data = {"source": "npz", "path": "paths.npz", "target": "y", "split": {"test": 0.5}}
    nnreg.run(regressor(data=data, model=model), out="paths")
    assert "On 60 test rows" in page_of("paths").said("p")
    assert "over 2 targets" in page_of("paths").said("p")
    assert "y 1" in page_of("paths").said("td")
    np.savez("tags.npz", x=rng.normal(size=(20, 6, 3)), tag=rng.integers(0, 2, (20, 6)))
    data = {"source": "npz", "path": "tags.npz", "target": "tag", "split": {"test": 0.5}}
    layers = [{"type": "dense", "units": "classes", "activation": "softmax"}]
    nnreg.run(classifier(data=data, model={"layers": layers}), out="tags")
    assert "of 60 test rows" in page_of("tags").said("p")


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (1234567, "1,234,567"), (0.123456, "0.1235"), (-2.5, "−2.5"), (1e-7, "1e−07"),
     (123456.7, "123,457"), (7.4e18, "7.4e+18"), (float("nan"), "–"),
     (True, "True"), ("<", "&lt;")],
)  # fmt: skip
def test_numbers_are_written_as_people_read_them(value, text):
    assert figure(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (1, "100 %"), (0.5, "50.0 %"), (0.99999, "99.999 %"), (1e-5, "0.001 %")],
)
def test_a_share_is_not_rounded_to_all_or_none(share, text):
    assert percent(share) == text


@pytest.mark.parametrize(
    ("right", "guessed", "said"),
    [(90, 50, "better than guessing"), (55, 50, "not clearly better than guessing"),
     (30, 50, "no better than guessing"), (50, 50, "not clearly better than guessing")],
)  # fmt: skip
def test_better_than_guessing_is_what_chance_does_not_explain(right, guessed, said):
    truth = np.arange(100) >= guessed  # so many are of the class that is guessed
    answers = truth ^ (np.arange(100) >= right)
    results = SplitPredictions(
        "test", ("a", "b"), ("y",), truth.astype(int), answers.astype(int), np.ones(100),
        np.array(0), "a", 1, None, np.zeros((100, 1)), nnreg.Table({}),
    )  # fmt: skip
    text = " ".join(Page(against_baseline(results)).texts["span"])
    assert text == said


def test_the_interval_is_wilsons():
    low, high = interval(8, 10)
    assert (low, high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert interval(10, 10)[1] == 1
