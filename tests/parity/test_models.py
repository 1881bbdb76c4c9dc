"""The ready models: each is trained to a stated result."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

import nnreg
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from tests.helpers.paths import MODELS

RESULTS = {
    "penguins": ("test", "accuracy", 0.97),
    "digits": ("test", "accuracy", 0.96),
    "digits_conv": ("test", "accuracy", 0.98),
    "diabetes": ("test", "r2", 0.40),
    "xor": ("train", "accuracy", 1.0),
    "three_dense": ("train", "accuracy", 0.97),
    "gradient_check": ("train", "accuracy", 0.70),
    "reber": ("test", "accuracy", 0.98),
    "forecast": ("test", "r2", 0.8),
    "fraud": ("test", "auc", 0.93),
    "two_outputs": ("test", "heating_accuracy", 0.88),
    "siamese": ("test", "accuracy", 0.9),
    "recommender": ("test", "r2", 0.72),
    "unet": ("test", "mean_iou", 0.88),
}
"""What seed 0 of each model must reach; `benchmarks/heldout.py` judges by five seeds."""

SLOW = {"reber", "forecast", "fraud", "two_outputs", "siamese", "recommender", "unet"}


def trained(name, tmp_path):
    model = nnreg.run(MODELS / f"{name}.json", out=tmp_path / name)
    return model, json.loads((tmp_path / name / "summary.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in RESULTS]
)
def test_a_model_reaches_its_stated_result(name, tmp_path):
    part, metric, least = RESULTS[name]
    _, summary = trained(name, tmp_path)
    assert summary[part][metric] >= least


def test_every_model_is_trained_by_a_test():
    own_tests = {
        "single_neuron", "two_layer", "characters", "topics", "autoencoder", "vae", "mnist",
    }  # fmt: skip
    assert {file.stem for file in MODELS.glob("*.json")} == RESULTS.keys() | own_tests


def test_single_neuron_follows_the_formula_by_hand(tmp_path):
    start = nnreg.build(MODELS / "single_neuron.json")
    w, b = (float(start.parameters[f"layers/0/{name}"].item()) for name in ("weight", "bias"))
    x, target, losses = 0.5, 0.1, []
    for _ in range(520):
        y = 1 / (1 + math.exp(-(w * x + b)))
        losses.append((y - target) ** 2)
        slope = 2 * (y - target) * y * (1 - y)
        w, b = w - 0.3 * slope * x, b - 0.3 * slope
    model, summary = trained("single_neuron", tmp_path)
    np.testing.assert_allclose(model.history["loss"], losses, rtol=1e-9)
    assert model.parameters["layers/0/weight"].item() == pytest.approx(w, rel=1e-9)
    assert model.parameters["layers/0/bias"].item() == pytest.approx(b, rel=1e-9)
    assert summary["train"]["loss"] < 1e-5


def test_two_layer_follows_the_matrix_form_by_hand(tmp_path):
    parameters = nnreg.build(MODELS / "two_layer.json").parameters
    w1, b1, w2, b2 = (parameters[f"layers/{k}/{name}"].copy()
                      for k in (0, 1) for name in ("weight", "bias"))  # fmt: skip
    x = np.array([[0.5]])
    for _ in range(520):
        h = 1 / (1 + np.exp(-(x @ w1 + b1)))
        y = 1 / (1 + np.exp(-(h @ w2 + b2)))
        d2 = 2 * (y - 0.1) * y * (1 - y)
        d1 = d2 @ w2.T * h * (1 - h)  # with the weights that y was computed from
        w2, b2 = w2 - 0.1 * h.T @ d2, b2 - 0.1 * d2[0]
        w1, b1 = w1 - 0.1 * x.T @ d1, b1 - 0.1 * d1[0]
    model, _ = trained("two_layer", tmp_path)
    for name, expected in zip(model.parameters, (w1, b1, w2, b2), strict=True):
        np.testing.assert_allclose(model.parameters[name], expected, rtol=1e-9)
    assert model.predict([[0.5]]).item() == pytest.approx(0.1, abs=0.02)


def test_three_dense_learns_and_its_loss_is_printed_every_100_epochs(tmp_path, capsys):
    from nnreg.cli.app import main

    spec, out = str(MODELS / "three_dense.json"), str(tmp_path / "out")
    with pytest.raises(SystemExit):
        main(["run", spec, "--every", "100", "--out", out])
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  loss")[0].split()[-1] for line in lines] == [
        "1/1000", *(f"{epoch}/1000" for epoch in range(100, 1001, 100))
    ]  # fmt: skip
    losses = [float(line.split("loss ")[1].split()[0]) for line in lines]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.02


def gradient_check():
    """Return the model of gradient_check, its examples, its weights and their gradients."""
    prepared = prepare_from_spec(read_spec(MODELS / "gradient_check.json"))
    model, examples = prepared.model, prepared.train
    table = nnreg.Table({"species": np.array(model.classes, object)[examples.raw_targets]})
    raw = read_spec(MODELS / "gradient_check.json")
    rows = raw.spec.data.source.read(MODELS / "iris.csv")
    loss, gradients = model.gradients(rows, table)
    return model, examples, loss, gradients


def test_gradient_check_agrees_with_central_differences():
    model, examples, loss, gradients = gradient_check()
    weight = model.parameters["layers/0/weight"]

    def loss_now():
        return float(np.mean((model.network.predict(examples.x) - examples.targets) ** 2))

    assert loss == pytest.approx(loss_now(), rel=1e-12)
    for place in np.ndindex(weight.shape):
        kept, ends = weight[place], []
        for step in (1e-5, -1e-5):
            weight[place] = kept + step
            ends.append(loss_now())
        weight[place] = kept
        difference = (ends[0] - ends[1]) / 2e-5
        assert gradients["layers/0/weight"][place] == pytest.approx(difference, rel=1e-6, abs=1e-10)


@pytest.mark.verify
def test_gradient_check_agrees_with_pytorch_to_the_last_digits(peer):
    torch = peer("torch")
    model, examples, loss, gradients = gradient_check()
    leaves = {name: torch.tensor(a, requires_grad=True) for name, a in model.parameters.items()}
    y = torch.tensor(examples.x)
    for k, function in enumerate((torch.relu, torch.sigmoid, torch.sigmoid)):
        y = function(y @ leaves[f"layers/{k}/weight"] + leaves[f"layers/{k}/bias"])
    found = torch.nn.functional.mse_loss(y, torch.tensor(examples.targets))
    found.backward()
    assert loss == pytest.approx(found.item(), rel=1e-12)
    for name, leaf in leaves.items():
        np.testing.assert_allclose(gradients[name], leaf.grad.numpy(), rtol=1e-12, atol=1e-15)


TAPE = """
import sys
import numpy as np
import tensorflow as tf

given = dict(np.load(sys.argv[1]))
y, t = tf.constant(given.pop("x")), tf.constant(given.pop("t"))
leaves = {name: tf.Variable(array) for name, array in given.items()}
with tf.GradientTape() as tape:
    for k, function in enumerate((tf.nn.relu, tf.nn.sigmoid, tf.nn.sigmoid)):
        y = function(y @ leaves[f"layers/{k}/weight"] + leaves[f"layers/{k}/bias"])
    loss = tf.reduce_mean((y - t) ** 2)
found = {name: gradient.numpy() for name, gradient in tape.gradient(loss, leaves).items()}
np.savez(sys.argv[2], loss=loss.numpy(), **found)
"""


@pytest.mark.verify
def test_gradient_check_agrees_with_the_gradient_tape_of_tensorflow(peer, tmp_path):
    peer("tensorflow", imported=False)  # in a process of its own: it cannot share one with PyTorch
    model, examples, loss, gradients = gradient_check()
    given, answer = tmp_path / "given.npz", tmp_path / "answer.npz"
    np.savez(given, x=examples.x, t=examples.targets, **model.parameters)
    subprocess.run([sys.executable, "-c", TAPE, given, answer], check=True, capture_output=True)
    found = np.load(answer)
    assert loss == pytest.approx(found["loss"].item(), rel=1e-12)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, found[name], rtol=1e-12, atol=1e-15)


@pytest.mark.slow
@pytest.mark.parametrize("index", range(4))
def test_held_out_results_reach_their_targets_and_scikit_learn(index):
    from benchmarks.heldout import CASES, measure

    result = measure(CASES[index])
    assert not result.misses, result
