"""Real tasks on tables and pairs: their data, results beside baselines and PyTorch, resuming."""

import csv
import gzip
import importlib
import json
import runpy

import numpy as np
import pytest

import nnreg
from benchmarks.tasks import prepare
from tests.helpers.paths import MODELS
from tests.helpers.resuming import require_identical_bits

NAMES = ("forecast", "fraud", "two_outputs", "siamese", "recommender")
SEEDS = (0, 1, 2)


@pytest.fixture
def trained(tmp_path):
    def train(name, seed=0):
        out = tmp_path / name
        model = nnreg.run(MODELS / f"{name}.json", out=out, overrides=[f"seed={seed}"])
        return model, json.loads((out / "summary.json").read_text())["test"]

    return train


def read(name):
    """Return the columns of a CSV file in `models`; numbers are float64."""
    with (MODELS / name).open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    return {
        key: values if values[0].isalpha() else values.astype(float)
        for key, values in columns.items()
    }


@pytest.mark.slow
def test_the_files_are_those_of_the_generators(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(MODELS)
    make = runpy.run_path(str(MODELS / "make_data.py"))
    monkeypatch.setitem(make["generated"].__globals__, "HERE", tmp_path)
    (tmp_path / "digits.npz").write_bytes((MODELS / "digits.npz").read_bytes())
    make["generated"]()
    for name in ("forecast.csv", "two_outputs.csv", "recommender.csv"):
        assert (tmp_path / name).read_text() == (MODELS / name).read_text()
    drawn, ours = (gzip.decompress((at / "fraud.csv.gz").read_bytes()) for at in (tmp_path, MODELS))
    assert drawn == ours
    drawn, ours = (np.load(at / "siamese.npz") for at in (tmp_path, MODELS))
    for name in ("left", "right", "pair"):
        np.testing.assert_array_equal(drawn[name], ours[name])


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_quantiles_of_later_days_hold_and_beat_those_of_the_week_before(trained, seed):
    columns, quantiles = read("forecast.csv"), np.array([0.1, 0.5, 0.9])
    visitors, before = columns["visitors"], columns["before_7"]
    later = slice(-len(visitors) // 5, None)
    days = {key: values[later] for key, values in columns.items()}
    found, target = trained("forecast", seed)[0].predict(days), visitors[later, None]

    def pinball(outputs):
        difference = target - outputs
        return np.mean(np.maximum(quantiles * difference, (quantiles - 1) * difference))

    earlier = slice(len(visitors) * 65 // 100)
    changes = np.quantile((visitors - before)[earlier], quantiles)
    assert pinball(found) < 0.55 * pinball(before[later, None] + changes)
    assert 0.7 < np.mean((found[:, :1] <= target) & (target <= found[:, 2:])) < 0.9


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_rare_fraud_is_ranked_before_other_payments(trained, seed):
    _, found = trained("fraud", seed)
    assert found["auc"] > 0.93
    assert found["average_precision"] > 0.55  # 0.02 for scores that say nothing
    assert found["recall_at_precision"] > 0.6


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_number_and_a_class_are_both_predicted(trained, seed):
    _, found = trained("two_outputs", seed)
    assert found["price_r2"] > 0.86
    assert found["heating_accuracy"] > 0.88


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_pairs_of_images_that_no_other_pair_has_are_told_apart(trained, seed):
    assert trained("siamese", seed)[1]["accuracy"] > 0.9


def test_no_image_is_in_two_pairs():
    data = np.load(MODELS / "siamese.npz")
    images = np.concatenate([data["left"], data["right"]])
    repeated = len(images) - len(np.unique(images, axis=0))
    assert repeated == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_ratings_are_predicted_better_than_by_levels_of_users_and_films(trained, seed):
    data = prepare("recommender", [f"seed={seed}"])

    def levels(split):
        user, film = split.inputs["user"], split.inputs["film"]
        return np.hstack([user == np.arange(120), film == np.arange(80)]).astype(float)

    fitted, *_ = np.linalg.lstsq(levels(data.train), data.train.targets, rcond=None)
    only_levels = data.metrics(levels(data.test) @ fitted)["root_mean_squared_error"]
    found = trained("recommender", seed)[1]["root_mean_squared_error"]
    assert found < 0.5
    assert found < 0.65 * only_levels


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_resumes_bit_identically(name, tmp_path):
    require_identical_bits(MODELS / f"{name}.json", tmp_path)


@pytest.mark.slow
@pytest.mark.verify
@pytest.mark.parametrize("name", NAMES)
def test_pytorch_comes_to_the_same_results(name, trained, torch):
    data = prepare(name)
    train = importlib.import_module(f"benchmarks.tasks.{name}").train
    expected, (_, found) = (
        train(torch, data, epochs=data.epochs, seed=0),
        trained(name),
    )
    for metric, value in expected.items():
        within = {"rel": 0.1} if metric.endswith("error") else {"abs": 0.06}
        assert found[metric] == pytest.approx(value, **within), metric
