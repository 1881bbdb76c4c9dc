"""Reports of targets that are arrays of numbers, such as images, and of other numeric targets."""

import json
from pathlib import Path

import numpy as np
import pytest

import nnreg
from nnreg.plotting.html import format_value
from nnreg.reports.predictions import pixels, predict_held_out
from nnreg.runs.prepare import prepare_from_checkpoint
from tests.helpers.specs import regressor
from tests.reports.page import page_of

DENSE = [{"type": "flatten"}, {"type": "dense", "units": 4, "activation": "relu"}]
IMAGE = [{"type": "dense", "units": 64}, {"type": "reshape", "shape": [8, 8], "name": "again"}]
MODELS = {
    "numbers": ("size", [*DENSE, {"type": "dense", "units": 1}], "mean_squared_error"),
    "vectors": ("pair", [*DENSE, {"type": "dense", "units": 2}], "mean_squared_error"),
    "sequences": ("path", [{"type": "dense", "units": 2}], "mean_squared_error"),
    "images": ("image", [*DENSE, *IMAGE], "mean_squared_error"),
    "several": (
        {"again": ["image"], "size": ["size"]},
        [*DENSE, {**IMAGE[0], "inputs": "dense"}, IMAGE[1],
         {"type": "dense", "units": 1, "name": "size", "inputs": "dense"}],
        {"again": "mean_squared_error", "size": "mean_squared_error"},
    ),
}  # fmt: skip


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that trains on one of the targets above, with changes of the spec."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(60, 1, 1))
    scale = np.where(np.arange(8) == 0, 1e-3, 10)  # the first column is near-constant
    image = factor * scale * rng.normal(size=(8, 8)) + 1e-3 * rng.standard_cauchy((60, 8, 8))
    path = np.concatenate([image[:, :, 1:2], image[:, :, :1]], axis=2)
    np.savez("data.npz", x=image, image=image, path=path, pair=path[:, 0], size=factor[:, 0, 0])

    def train(name, **changes):
        target, layers, loss = MODELS[name]
        if name == "several":
            layers = [{**DENSE[0]}, {**DENSE[1], "name": "dense"}, *layers[2:]]
        data = {"source": "npz", "path": "data.npz", "inputs": "x", "target": target,
                "split": {"test": 0.5}}  # fmt: skip
        train = {"epochs": 30, "batch_size": 10}
        optimizer = {"type": "adam", "learning_rate": 0.01}
        parts = {"model": {"layers": layers}, "loss": loss, "optimizer": optimizer}
        nnreg.run({**regressor(data=data, train=train), **parts, **changes}, out="out")
        return json.loads(Path("out/summary.json").read_text()), page_of("out")

    return train


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("rate", [0.01, 0.0])
def test_the_page_has_the_verdict_of_the_summary(run, name, rate):
    summary, page = run(name, optimizer={"type": "sgd" if not rate else "adam",
                                         "learning_rate": rate or 1e-12})  # fmt: skip
    verdicts = summary.get("verdicts", {"": summary["verdict"]})
    said = [text for text in page.texts["span"] if text.endswith("than the baseline")]
    assert said == [
        f"{'' if one['better'] else 'not '}better than the baseline" for one in verdicts.values()
    ]
    text = page.text_of("p")
    for one in verdicts.values():
        assert f"on 30 test rows: {format_value(one['value'])}, " in text
        assert f"(always the mean, {format_value(one['guess_value'])})." in text


def test_the_verdict_of_the_page_is_by_the_first_metric(run):
    summary, page = run("vectors", metrics=["r2"])
    assert summary["verdict"]["metric"] == "r2"
    assert f"R2 on 30 test rows: {format_value(summary['test']['r2'])}, " in page.text_of("p")


def test_the_verdict_on_labels_is_that_of_the_summary(run):
    x = np.load("data.npz")["x"]
    labels = np.stack([x[:, 0, 1] > 0, x[:, 1, 2] > 0], axis=1)
    np.savez("data.npz", x=x, pair=labels.astype(float))
    dense = {"type": "dense", "units": 2, "activation": "sigmoid"}
    summary, page = run("vectors", model={"layers": [DENSE[0], dense]},
                        loss="binary_cross_entropy", metrics=["auc"])  # fmt: skip
    verdict = summary["verdict"]
    text = f"Auc on 30 test rows: {format_value(verdict['value'])}, "
    assert text in page.text_of("p")
    assert f"(always {verdict['guess']}, " in page.text_of("p")


@pytest.mark.parametrize("name", ["images", "several"])
def test_predicted_images_are_shown_beside_the_true_ones(run, name):
    _, page = run(name)
    names = [attributes["alt"].partition(":")[0] for tag, attributes in page.tags if tag == "img"]
    of_images = 2 * (8 + 12)
    assert names[:of_images] == ["true", "predicted"] * (of_images // 2)
    drawn = [file.stem for file in Path("out/plots").iterdir() if "predicted" in file.stem]
    assert drawn == ([] if name == "images" else ["output-1-predicted"])


def test_images_are_those_of_the_rows_and_the_largest_errors_come_first(run):
    run("images")
    prepared = prepare_from_checkpoint(nnreg.load("out"))
    results = predict_held_out(prepared)[""]
    true = prepared.test.raw_targets
    predicted = prepared.model.evaluation.predictions(
        prepared.model.inference_network.predict(prepared.test.x), true
    )
    errors = np.abs(predicted - true).mean(axis=(1, 2))
    assert results.worst(3).tolist() == np.argsort(-errors)[:3].tolist()
    for index in (0, 7):
        low, high = true[index].min(), true[index].max()
        for shown, values in zip(results.images(index), (true, predicted), strict=True):
            expected = np.clip((values[index] - low) / (high - low), 0, 1) * 255
            assert np.abs(shown[..., 0] - expected).max() <= 0.51
        assert results.row_label(index) == prepared.tables["test"].row_label(index)


def test_predicted_pixels_beyond_the_scale_are_black_or_white():
    image = np.array([[-np.inf, -1.0, np.nan], [2.0, 1e300, np.inf]])
    assert pixels(image, 0.0, 1.0)[..., 0].tolist() == [[0, 0, 0], [255, 255, 255]]
