"""Every built-in loss: its gradient over all its configurations, and its masks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnreg.builtin import losses
from nnreg.interfaces import Context, Workspace
from nnreg.kernels.numpy.dense import MAX_NARROW_FEATURES
from nnreg.testing import check_loss, configurations
from tests.components.test_components import built_in, component

RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3))
PROBABILITIES = RNG.uniform(0.05, 0.95, (4, 3)), RNG.uniform(size=(4, 3))
ROWS = PROBABILITIES[0] / PROBABILITIES[0].sum(axis=1, keepdims=True)
LABELS = np.array([0, 2, 1, 1])
ONE_HOT = np.eye(3)[LABELS]
CLASSES = [
    (y, t, logits)
    for y, logits in ((ROWS, False), (NUMBERS[0], True))
    for t in (ONE_HOT, LABELS, ROWS[::-1])
]
LOSSES = {
    "mean_squared_error": [(*NUMBERS, False)],
    "mean_absolute_error": [(*NUMBERS, False)],
    "huber": [(*NUMBERS, False)],
    "value": [(*NUMBERS, False)],
    "binary_cross_entropy": [(*PROBABILITIES, False), (NUMBERS[0], PROBABILITIES[1], True)],
    "cross_entropy": [
        (ROWS, ONE_HOT, False),
        (ROWS, np.array([0, 2, 1, 1]), False),
        (NUMBERS[0], ONE_HOT, True),
        (NUMBERS[0], np.array([0, 2, 1, 1]), True),
        (RNG.normal(size=(2, 5, 3)), RNG.integers(0, 3, (2, 5)), True),
        (
            RNG.normal(size=(3, MAX_NARROW_FEATURES + 1)),
            np.array([0, MAX_NARROW_FEATURES, 7]),
            True,
        ),
    ],
    "smooth_l1": [(*NUMBERS, False)],
    "log_cosh": [(*NUMBERS, False)],
    "mean_absolute_percentage_error": [(*NUMBERS, False)],
    "mean_squared_logarithmic_error": [(NUMBERS[0], np.abs(NUMBERS[1]), False)],
    "poisson": [(np.abs(NUMBERS[0]), np.abs(NUMBERS[1]), False)],
    "cosine_similarity": [(*NUMBERS, False)],
    "hinge": [(NUMBERS[0], ONE_HOT, False), (NUMBERS[0], 2 * ONE_HOT - 1, False)],
    "squared_hinge": [(NUMBERS[0], ONE_HOT, False), (NUMBERS[0], 2 * ONE_HOT - 1, False)],
    "categorical_hinge": [(NUMBERS[0], ONE_HOT, False), (NUMBERS[0], LABELS, False)],
    "multi_margin": [(NUMBERS[0], ONE_HOT, False), (NUMBERS[0], LABELS, False)],
    "dice": [(*PROBABILITIES, False)],
    "tversky": [(*PROBABILITIES, False)],
    "binary_focal_cross_entropy": [
        (*PROBABILITIES, False),
        (NUMBERS[0], PROBABILITIES[1], True),
        (NUMBERS[0], ONE_HOT, True),
    ],
    "focal_cross_entropy": CLASSES,
    "generalized_cross_entropy": CLASSES,
    "kl_divergence": CLASSES,
    "nll": [(np.log(ROWS), ONE_HOT, False), (np.log(ROWS), LABELS, False)],
    "triplet_margin": [(RNG.normal(size=(4, 6)), np.empty((4, 0)), False)],
    "contrastive": [(np.abs(NUMBERS[0][:, :1]), PROBABILITIES[1][:, :1], False)],
    "quantile": [],  # their shapes depend on the options: see `examples` in the class
    "ctc": [],  # so do its targets
    "gaussian_nll": [(RNG.normal(size=(4, 6)), RNG.normal(size=(4, 3)), False)],
}
"""Outputs, targets, and whether the outputs are logits."""


def test_every_loss_has_cases():
    assert LOSSES.keys() == set(built_in("loss"))


@pytest.mark.parametrize(
    ("name", "y", "t", "logits"), [(n, *case) for n, cases in LOSSES.items() for case in cases]
)
@given(data=st.data())
def test_a_loss_passes_its_checks_in_every_configuration(name, y, t, logits, data):
    loss = data.draw(configurations(component("loss", name)))
    check_loss(loss, y.copy(), t, logits=logits)


@pytest.mark.parametrize(
    ("name", "y", "t", "logits"), [(n, *case) for n, cases in LOSSES.items() for case in cases]
)
def test_a_loss_of_sequences_is_that_of_their_real_steps(name, y, t, logits):
    loss, rows = component("loss", name)(), np.arange(len(y))
    steps = np.stack([rows, rows[::-1]])
    mask = np.zeros(steps.shape, bool)
    mask[0], mask[1, 0] = True, True
    context = Context({}, {}, {}, {}, Workspace(np.float64, reuse=False))
    found, backward = loss.forward_masked(y[steps], t[steps], mask, context, logits=logits)
    real = [*rows, rows[-1]]
    forward = loss.forward_logits if logits else loss.forward
    expected, gradient = forward(y[real], t[real])
    assert found == pytest.approx(expected, rel=1e-12)
    dy = backward()
    np.testing.assert_allclose(dy[mask], gradient(), rtol=1e-12, atol=1e-15)
    assert not dy[~mask].any()


def test_class_labels_and_one_hot_rows_give_the_same_loss():
    loss = losses.CrossEntropy()
    for forward, y in ((loss.forward, ROWS), (loss.forward_logits, NUMBERS[0])):
        by_label, by_row = forward(y, np.array([0, 2, 1, 1])), forward(y, ONE_HOT)
        assert by_label[0] == pytest.approx(by_row[0], rel=1e-13)
        np.testing.assert_allclose(by_label[1](), by_row[1](), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("classes", [3, MAX_NARROW_FEATURES + 1])
def test_a_smoothed_label_equals_the_row_of_smoothed_probabilities_in_every_path(classes):
    z, labels = RNG.normal(size=(4, classes)), np.array([0, 2, 1, 1])
    rows = 0.7 * np.eye(classes)[labels] + 0.3 / classes
    plain, smoothed = losses.CrossEntropy(), losses.CrossEntropy(0.3)
    value, backward = plain.forward_logits(z, rows)
    context = Context({}, {}, {}, {}, Workspace(np.float64, reuse=False))
    for found, found_backward in (
        smoothed.forward_logits(z, labels),
        smoothed.forward_logits(z, np.eye(classes)[labels]),
        smoothed.forward_with_workspace(z.copy(), labels, context, logits=True),
    ):
        assert found == pytest.approx(value, rel=1e-12)
        np.testing.assert_allclose(found_backward(), backward(), rtol=1e-9, atol=1e-15)
    two = losses.BinaryCrossEntropy(0.3).forward_logits(z[:, :1], labels[:, None] > 0)
    expected = losses.BinaryCrossEntropy().forward_logits(
        z[:, :1], (labels[:, None] > 0) * 0.7 + 0.15
    )
    assert two[0] == pytest.approx(expected[0], rel=1e-12)


@pytest.mark.parametrize("name", [n for n in LOSSES if component("loss", n).input_range == (0, 1)])
@pytest.mark.parametrize("wrong", [False, True])
def test_a_loss_of_probabilities_is_finite_where_they_are_0_or_1(name, wrong):
    y = np.eye(3, dtype=np.float32)
    t = y[::-1].copy() if wrong else y
    value, backward = component("loss", name)().forward(y, t)
    assert np.isfinite(value)
    assert np.isfinite(backward()).all()
    assert (value > 0.5) == wrong  # some are at most 1
