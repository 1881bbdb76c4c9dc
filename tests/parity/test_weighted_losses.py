"""Weights of rows and classes beside PyTorch and scikit-learn."""

import numpy as np
import pytest

import nnreg
from nnreg.builtin import losses
from tests.parity.comparison import RNG, SHARES, X, close, compare

pytestmark = pytest.mark.verify


ALL_LABELS = np.array([3, 0, 4, 1, 2, 1])
WEIGHTED = [
    ("cross_entropy", "cross_entropy", ALL_LABELS, {}),
    ({"type": "cross_entropy", "label_smoothing": 0.2}, "cross_entropy", ALL_LABELS, {}),
    ("mean_squared_error", "mse_loss", SHARES, {}),
    ({"type": "huber", "delta": 0.7}, "huber_loss", SHARES, {"delta": 0.7}),
]


@pytest.mark.parametrize(("loss", "name", "t", "options"), WEIGHTED)
def test_a_weighted_step_is_pytorchs(torch, loss, name, t, options):
    """Weights of rows: the mean over the batch is Σ w · loss / Σ w, and so is its gradient."""
    weights = RNG.uniform(0, 3, len(X))
    labels = t is ALL_LABELS
    smoothing = loss.get("label_smoothing") if isinstance(loss, dict) else None
    layer = {"type": "dense", "units": 5, **({"activation": "softmax"} if labels else {})}
    targets = t if labels else {f"t{i}": t[:, i] for i in range(5)}
    spec = {
        "model": {"layers": [layer], "dtype": "float64"},
        "loss": loss,
        "optimizer": {"type": "sgd", "learning_rate": 0.1},
        "train": {"epochs": 1, "batch_size": len(X)},
    }
    model = nnreg.build(spec, data=(X, targets))
    model.parameters["layers/0/weight"][...] = first = RNG.normal(size=(5, 5))
    leaf = torch.tensor(first.copy(), requires_grad=True)
    extra = {"label_smoothing": smoothing} if smoothing else options
    each = getattr(torch.nn.functional, name)(
        torch.tensor(X) @ leaf, torch.tensor(t.copy()), reduction="none", **extra
    )
    own = torch.tensor(weights)
    expected = (each if labels else each.mean(dim=1)).mul(own).sum() / own.sum()
    expected.backward()
    model.fit(X, targets, weights=weights)
    close(model.history["loss"][0], expected)
    close((first - model.parameters["layers/0/weight"]) / 0.1, leaf.grad)


def test_weights_of_classes_are_pytorchs(torch):
    """A loss over all rows is that of `cross_entropy(weight=…)`; balanced is scikit-learn's."""
    labels = np.array([0, 0, 0, 0, 1, 2])
    for choice, own in (("balanced", [0.5, 2, 2]), ({"0": 0.3, "2": 4}, [0.3, 1, 4])):
        spec = {
            "data": {"source": "csv", "path": "none", "target": "target", "class_weights": choice,
                     "scaling": "none"},
            "model": {"layers": [{"type": "dense", "units": 3, "activation": "softmax"}],
                      "dtype": "float64"},
            "loss": "cross_entropy",
            "optimizer": {"type": "sgd", "learning_rate": 0.1},
            "train": {"epochs": 1, "batch_size": len(X)},
        }  # fmt: skip
        model = nnreg.build(spec, data=(X, labels))
        first = model.parameters["layers/0/weight"].copy()
        leaf = torch.tensor(first.copy(), requires_grad=True)
        weight = torch.tensor(own, dtype=torch.float64)
        expected = torch.nn.functional.cross_entropy(
            torch.tensor(X) @ leaf, torch.tensor(labels), weight=weight
        )
        expected.backward()
        model.fit(X, labels)
        close(model.history["loss"][0], expected)
        close((first - model.parameters["layers/0/weight"]) / 0.1, leaf.grad)


def test_weights_are_scikit_learns(sklearn):
    """Balanced weights, and where a weighted network without layers between ends."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.array([0] * 60 + [1] * 25 + [2] * 15)
    x = np.random.default_rng(1).normal(size=(100, 2)) + labels[:, None] * [0.7, -0.3]
    weights = np.random.default_rng(2).uniform(0, 3, 100)
    spec = {
        "data": {"source": "csv", "path": "none", "target": "target",
                 "class_weights": "balanced", "scaling": "none"},
        "model": {"layers": [{"type": "dense", "units": 3, "activation": "softmax"}],
                  "dtype": "float64"},
        "loss": "cross_entropy",
        "optimizer": {"type": "sgd", "learning_rate": 0.5},
        "train": {"epochs": 3000, "batch_size": 100},
    }  # fmt: skip
    model = nnreg.build(spec, data=(x, labels))
    examples = model.with_sample_weights(model.examples(x, labels), x)
    balanced = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(examples.weights, balanced[labels], rtol=1e-12)
    model.fit(x, labels, weights=weights)
    both = weights / np.bincount(labels, weights)[labels]  # newer versions: "balanced"
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000)
    theirs.fit(x, labels, sample_weight=both * 100)
    np.testing.assert_allclose(model.predict(x), theirs.predict_proba(x), atol=1e-5)
    expected_loss = log_loss(labels, model.predict(x), sample_weight=both)
    assert model.history["loss"][-1] == pytest.approx(expected_loss, rel=1e-8)


@pytest.mark.parametrize("quantiles", [(0.1, 0.5), (0.3, 0.9)])
def test_quantile_is_the_pinball_loss_of_scikit_learn(sklearn, quantiles):
    y, t = X[:, :4], X[:, 3:]
    loss = losses.Quantile(quantiles)
    value, _ = loss.forward(y, t)
    parts = zip(quantiles, (y[:, :2], y[:, 2:]), strict=True)
    expected = np.mean([sklearn.mean_pinball_loss(t, part, alpha=q) for q, part in parts])
    compare(loss, "sklearn.metrics.mean_pinball_loss", [(value, expected)])
