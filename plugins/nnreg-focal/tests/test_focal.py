"""Tests of the installed plugin: discovery, correctness, training, checkpoints."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nnreg_focal import BinaryFocal, Focal

import nnreg
from nnreg import DataError
from nnreg.builtin.losses import BinaryCrossEntropy, CrossEntropy
from nnreg.registry.registry import installed
from nnreg.testing import check_loss, checks

LABELS = np.array([2, 0, 1, 1])
ONE_HOT = np.eye(3)[LABELS]
Z = np.random.default_rng(0).normal(size=(4, 3))


def focal(p, gamma):
    """Return the loss of one example with the probability p for its class."""
    return Focal(gamma=gamma).forward(np.array([[p, 1 - p]]), np.array([0]))[0]


@pytest.mark.parametrize("check", [*checks(Focal), *checks(BinaryFocal)], ids=str)
def test_the_losses_conform(check):
    check()


@pytest.mark.parametrize("targets", [LABELS, ONE_HOT, 0.9 * ONE_HOT + 0.05])
def test_the_gradient_with_class_weights_is_correct(targets):
    loss = Focal(gamma=1.5, alpha=(0.2, 1.0, 3.0))
    check_loss(loss, Z, targets, logits=True)
    check_loss(loss, np.abs(Z) / np.abs(Z).sum(axis=1, keepdims=True), targets)


def test_the_weights_of_examples_with_p_090_and_0968_are_those_of_the_paper():
    assert focal(0.9, 2) == pytest.approx(focal(0.9, 0) / 100)
    assert focal(0.968, 2) == pytest.approx(focal(0.968, 0) / 1000, rel=0.05)


@pytest.mark.parametrize("logits", [False, True])
@pytest.mark.parametrize(
    ("loss", "cross_entropy", "targets"),
    [
        (Focal(gamma=0), CrossEntropy(), LABELS),
        (Focal(gamma=0), CrossEntropy(), 0.8 * ONE_HOT + 0.1),
        (BinaryFocal(gamma=0), BinaryCrossEntropy(), 0.8 * ONE_HOT + 0.1),
    ],
)
def test_with_gamma_zero_it_is_cross_entropy(loss, cross_entropy, targets, logits):
    y = Z if logits else loss.fused_activation().forward(Z)[0]
    name = "forward_logits" if logits else "forward"
    (value, backward), (expected, slope) = (
        getattr(one, name)(y, targets) for one in (loss, cross_entropy)
    )
    assert value == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(backward(), slope(), atol=1e-15)


@given(st.floats(-700, 700), st.floats(0, 5), st.booleans())
def test_two_classes_are_the_binary_loss(z, gamma, true):
    binary, d_binary = BinaryFocal(gamma).forward_logits(np.array([[z]]), np.array([[float(true)]]))
    several, d_several = Focal(gamma).forward_logits(np.array([[0.0, z]]), np.array([int(true)]))
    assert several == pytest.approx(binary, rel=1e-9, abs=1e-14)
    assert d_several()[0, 1] == pytest.approx(d_binary()[0, 0], rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("z", [-1e4, -80.0, -20.0, 20.0, 80.0, 1e4])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_it_is_exact_for_extreme_logits(z, gamma):
    """For z much below 0, -log p is -z and q is 1; for z much above 0, p is 1 and q is exp(-z)."""
    value, backward = BinaryFocal(gamma).forward_logits(np.array([[z]]), np.array([[1.0]]))
    if z < 0:
        assert value == pytest.approx(-z, rel=1e-8)
        assert backward()[0, 0] == pytest.approx(-1, rel=1e-6)
    else:
        assert value == pytest.approx(np.exp(-z * (gamma + 1)), rel=1e-6, abs=1e-300)
        slope = -(gamma + 1) * np.exp(-z * (gamma + 1))
        assert backward()[0, 0] == pytest.approx(slope, rel=1e-6, abs=1e-300)


def test_alpha_is_the_weight_of_class_1_and_1_minus_alpha_that_of_class_0():
    for target, weight in ((1.0, 0.25), (0.0, 0.75)):
        found, plain = (
            BinaryFocal(alpha=alpha).forward_logits(Z, np.full(Z.shape, target))[0]
            for alpha in (0.25, None)
        )
        assert found == pytest.approx(weight * plain)


def test_a_probability_above_one_by_rounding_is_treated_as_one():
    value, backward = Focal(gamma=0.5).forward(np.array([[np.nextafter(1, 2), 0]]), np.array([0]))
    assert value == pytest.approx(0, abs=1e-15)
    assert np.isfinite(backward()).all()


def test_weights_for_another_number_of_classes_are_refused():
    with pytest.raises(DataError, match="alpha has 2 weights for 3 classes"):
        Focal(alpha=(1.0, 1.0)).forward_logits(Z, LABELS)


def rare(count=400):
    """Return points of two overlapping classes, with one in twenty of the second class."""
    rng = np.random.default_rng(0)
    label = (np.arange(count) % 20 == 0).astype(int)
    return rng.normal(size=(count, 2)) + 1.2 * label[:, None], np.array(["common", "rare"])[label]


def train(loss, activation, units, out=None):
    spec = {
        "model": {"layers": [{"type": "dense", "units": units, "activation": activation}]},
        "loss": loss,
        "optimizer": {"type": "adam", "learning_rate": 0.05},
        "metrics": ["recall"],
        "train": {"epochs": 30},
    }
    return nnreg.run(spec, data=rare(), out=out)


def test_weighting_the_rare_class_increases_its_recall():
    plain = train("cross_entropy", "softmax", "classes").evaluate(*rare())["recall"]
    weighted = {"type": "focal", "alpha": [0.05, 0.95]}
    assert train(weighted, "softmax", "classes").evaluate(*rare())["recall"] > plain + 0.1


@pytest.mark.parametrize(
    ("loss", "activation", "units"),
    [("focal", "softmax", "classes"), ("binary_focal", "sigmoid", 1)],
)
def test_a_model_with_it_trains_and_its_checkpoint_reloads(tmp_path, loss, activation, units):
    model = train({"type": loss, "gamma": 1.5}, activation, units, tmp_path / "run")
    assert model.network.output_activation is not None  # computed from the logits
    loaded = nnreg.load(tmp_path / "run" / "checkpoints" / "best.h5")
    x, _ = rare()
    assert loaded.predict(x).tobytes() == model.predict(x).tobytes()
    assert loaded.spec.loss.gamma == 1.5
    assert model.history[-1]["loss"] < model.history[0]["loss"]


def test_it_is_discovered_with_its_distribution_and_version():
    for name, cls in (("focal", Focal), ("binary_focal", BinaryFocal)):
        entry = installed().find("loss", name)
        assert entry.cls is cls
        assert entry.provider == "nnreg-focal 1.0"
    assert installed().plugins["focal"].state == "loaded"
