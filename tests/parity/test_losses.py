"""Every loss beside that of PyTorch or Keras in float64: values, gradients, and weights of rows."""

import warnings

import numpy as np
import pytest

from nnreg.builtin import losses
from tests.parity.comparison import compare, name_of, peer, require_all

pytestmark = pytest.mark.verify

RNG = np.random.default_rng(7)
X, T = RNG.normal(size=(6, 5)) * 2, RNG.normal(size=(6, 5)) * 2
POSITIVE, COUNTS = np.abs(X) + 0.01, RNG.poisson(3, X.shape).astype(float)
SHARES, OTHER_SHARES = RNG.uniform(0.05, 0.95, (2, *X.shape))
ROWS, OTHER_ROWS = (one / one.sum(axis=1, keepdims=True) for one in (SHARES, OTHER_SHARES))
LABELS = RNG.integers(0, 5, 6)
ONE_HOT = np.eye(5)[LABELS]
SIGNS = np.where(RNG.uniform(size=X.shape) > 0.5, 1.0, -1.0)
MASKS = (SIGNS > 0).astype(float)
IMAGES, IMAGE_MASKS = RNG.uniform(0.05, 0.95, (3, 4, 4, 2)), RNG.integers(0, 2, (3, 4, 4, 2)) * 1.0
NEAR = np.tile([[1.0, -1.0, 0.7, -0.7, 0.0]], (6, 1))  # errors at kinks, beside targets of 0
EPSILON = 1e-7


def contrastive(torch, y, t, margin):
    return ((1 - t) * y**2 + t * torch.relu(margin - y) ** 2).mean()


@peer("torch.nn.functional.triplet_margin_loss")
def triplet(torch, y, t, margin):
    return torch.nn.functional.triplet_margin_loss(*y.chunk(3, dim=-1), margin=margin)


@peer("torch.nn.functional.kl_div")
def kl(torch, y, t):
    return torch.nn.functional.kl_div(torch.log(y), t, reduction="batchmean")


@peer("torch.nn.functional.kl_div")
def kl_of_logits(torch, y, t):
    logs = torch.nn.functional.log_softmax(y, dim=-1)
    return torch.nn.functional.kl_div(logs, t, reduction="batchmean")


def tversky(torch, y, t, alpha, beta, smooth):
    axes = tuple(range(1, y.ndim))
    common = (y * t).sum(axes)
    wrong = alpha * (y * (1 - t)).sum(axes) + beta * ((1 - y) * t).sum(axes)
    return (1 - (common + smooth) / (common + wrong + smooth + EPSILON)).mean()


def dice_with_smoothing(torch, y, t, smooth):
    axes = tuple(range(1, y.ndim))
    whole = (y + t).sum(axes) + smooth + EPSILON
    return (1 - (2 * (y * t).sum(axes) + smooth) / whole).mean()


def focal(torch, y, t, gamma, alpha):
    logs = torch.nn.functional.log_softmax(y, dim=-1)
    each = torch.tensor(alpha, dtype=torch.float64) * t * (1 - logs.exp()) ** gamma * logs
    return -each.sum(-1).mean()


def binary_focal(torch, z, t, gamma, alpha):
    """Compute what torchvision's sigmoid_focal_loss does."""
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(z, t, reduction="none")
    p = torch.sigmoid(z)
    right = p * t + (1 - p) * (1 - t)
    return (entropy * (1 - right) ** gamma * (alpha * t + (1 - alpha) * (1 - t))).mean()


def generalized(torch, z, t, q):
    p = torch.softmax(z, dim=-1)[torch.arange(len(t)), t]
    return ((1 - p**q) / q).mean()


def value(torch, y, t):
    return y.mean()


def pinball(torch, y, t, quantiles):
    d = t[:, None] - y.reshape(len(y), len(quantiles), -1)
    q = torch.tensor(quantiles, dtype=torch.float64)[:, None]
    return torch.maximum(q * d, (q - 1) * d).mean()


@peer("torch.nn.functional.gaussian_nll_loss")
def gaussian(torch, y, t):
    mean, z = y.chunk(2, dim=-1)
    variance = torch.nn.functional.softplus(z) + 1e-6
    return torch.nn.functional.gaussian_nll_loss(mean, t, variance)


@peer("torch.nn.functional.ctc_loss")
def ctc(torch, y, t, blank=0, zero_infinity=False):
    count, steps = (t != blank).sum(dim=1), torch.full((len(t),), y.shape[1])
    logs = y.log_softmax(dim=-1).transpose(0, 1)
    options = {"blank": blank, "reduction": "none", "zero_infinity": zero_infinity}
    losses = torch.nn.functional.ctc_loss(logs, t.long(), steps, count, **options)
    return (losses / count.clamp(min=1)).mean()


PATHS = 3 * np.random.default_rng(5).normal(size=(6, 7, 4))
SEQUENCES = np.array([[1, 2, 3], [3, 3, 3], [2, 2, 0], [1, 0, 0], [0, 0, 0], [3, 1, 1.0]])
TOO_LONG = np.array([[1, 1, 1], [2, 2, 0], [1, 2, 0], [1, 1, 1], [0, 0, 0], [3, 1, 1.0]])
AXES = {"axis": (1, 2, 3)}
CASES = [
    # loss, outputs, targets, from logits; a function of PyTorch or one above, or one of Keras
    (losses.MeanSquaredError(), X, T, False, "mse_loss", {}),
    (losses.MeanAbsoluteError(), X, T, False, "l1_loss", {}),
    (losses.MeanAbsoluteError(), NEAR, 0 * T, False, "l1_loss", {}),
    (losses.Huber(0.7), X, T, False, "huber_loss", {"delta": 0.7}),
    (losses.Huber(0.7), NEAR, 0 * T, False, "huber_loss", {"delta": 0.7}),
    (losses.SmoothL1(), X, T, False, "smooth_l1_loss", {}),
    (losses.SmoothL1(0.7), X, T, False, "smooth_l1_loss", {"beta": 0.7}),
    (losses.SmoothL1(0.7), NEAR, 0 * T, False, "smooth_l1_loss", {"beta": 0.7}),
    (losses.LogCosh(), X, T, False, "keras log_cosh", {}),
    (losses.LogCosh(), 500 * X, T, False, "keras log_cosh", {}),
    (losses.MeanAbsolutePercentageError(), X, T, False, "keras mean_absolute_percentage_error", {}),
    (losses.MeanAbsolutePercentageError(), NEAR, 0 * T, False,
     "keras mean_absolute_percentage_error", {}),
    (losses.MeanSquaredLogarithmicError(), POSITIVE, COUNTS[::-1] + 1, False,
     "keras mean_squared_logarithmic_error", {}),
    (losses.Poisson(), POSITIVE, COUNTS, False, "keras poisson", {}),
    (losses.Poisson(1e-3), POSITIVE, COUNTS, False, "poisson_nll_loss",
     {"log_input": False, "eps": 1e-3}),
    (losses.CosineSimilarity(), X, T, False, "keras cosine_similarity", {}),
    (losses.Hinge(), X, MASKS, False, "keras hinge", {}),
    (losses.Hinge(), X, SIGNS, False, "keras hinge", {}),
    (losses.Hinge(), NEAR, SIGNS, False, "keras hinge", {"kinks": True}),
    (losses.SquaredHinge(), X, MASKS, False, "keras squared_hinge", {}),
    (losses.SquaredHinge(), NEAR, SIGNS, False, "keras squared_hinge", {}),
    (losses.CategoricalHinge(), X, ONE_HOT, False, "keras categorical_hinge", {}),
    (losses.CategoricalHinge(), -POSITIVE, ONE_HOT, False, "keras categorical_hinge", {}),
    (losses.MultiMargin(), X, LABELS, False, "multi_margin_loss", {}),
    (losses.MultiMargin(0.7, 2), X, LABELS, False, "multi_margin_loss", {"margin": 0.7, "p": 2}),
    (losses.Dice(), IMAGES, IMAGE_MASKS, False, "keras dice", AXES),
    (losses.Dice(0.3), IMAGES, IMAGE_MASKS, False, dice_with_smoothing, {"smooth": 0.3}),
    (losses.Tversky(), IMAGES, IMAGE_MASKS, False, "keras tversky", AXES),
    (losses.Tversky(0.3, 0.8), IMAGES, IMAGE_MASKS, False, "keras tversky",
     {"alpha": 0.8, "beta": 0.3, **AXES}),
    (losses.Tversky(0.3, 0.8, 0.5), IMAGES, IMAGE_MASKS, False, tversky,
     {"alpha": 0.3, "beta": 0.8, "smooth": 0.5}),
    (losses.BinaryCrossEntropy(), SHARES, OTHER_SHARES, False, "binary_cross_entropy", {}),
    (losses.BinaryCrossEntropy(), X, OTHER_SHARES, True, "binary_cross_entropy_with_logits", {}),
    (losses.CrossEntropy(), X, LABELS, True, "cross_entropy", {}),
    (losses.CrossEntropy(), X, ONE_HOT, True, "cross_entropy", {}),
    (losses.CrossEntropy(0.2), X, LABELS, True, "cross_entropy", {"label_smoothing": 0.2}),
    (losses.CrossEntropy(0.2), X, ROWS, True, "cross_entropy", {"label_smoothing": 0.2}),
    (losses.BinaryFocalCrossEntropy(), SHARES, MASKS, False,
     "keras binary_focal_crossentropy", {}),
    (losses.BinaryFocalCrossEntropy(1.5, 0.3, 0.1), SHARES, MASKS, False,
     "keras binary_focal_crossentropy",
     {"gamma": 1.5, "alpha": 0.3, "label_smoothing": 0.1, "apply_class_balancing": True}),
    (losses.BinaryFocalCrossEntropy(), X, OTHER_SHARES, True,
     "keras binary_focal_crossentropy", {"from_logits": True}),
    (losses.BinaryFocalCrossEntropy(2.0, 0.25), X, MASKS, True, binary_focal,
     {"gamma": 2.0, "alpha": 0.25}),
    (losses.FocalCrossEntropy(), ROWS, OTHER_ROWS, False,
     "keras categorical_focal_crossentropy", {"normalizes": True}),
    (losses.FocalCrossEntropy(), X, ONE_HOT, True,
     "keras categorical_focal_crossentropy", {"from_logits": True}),
    (losses.FocalCrossEntropy(1.5, 0.4, 0.1), X, ONE_HOT, True,
     "keras categorical_focal_crossentropy",
     {"from_logits": True, "gamma": 1.5, "alpha": 0.4, "label_smoothing": 0.1}),
    (losses.FocalCrossEntropy(1.5, (1.0, 2.0, 0.5, 0.1, 3.0)), X, ONE_HOT, True, focal,
     {"gamma": 1.5, "alpha": (1.0, 2.0, 0.5, 0.1, 3.0)}),
    (losses.GeneralizedCrossEntropy(0.6), ROWS, LABELS, False,
     "keras categorical_generalized_cross_entropy", {"q": 0.6}),
    (losses.GeneralizedCrossEntropy(0.6), X, LABELS, True, generalized, {"q": 0.6}),
    (losses.KlDivergence(), ROWS, OTHER_ROWS, False, "keras kl_divergence", {}),
    (losses.KlDivergence(), ROWS, OTHER_ROWS, False, kl, {}),
    (losses.KlDivergence(), X, OTHER_ROWS, True, kl_of_logits, {}),
    (losses.Nll(), np.log(ROWS), LABELS, False, "nll_loss", {}),
    (losses.Contrastive(1.2), POSITIVE[:, :1], MASKS[:, :1], False, contrastive, {"margin": 1.2}),
    (losses.TripletMargin(), RNG.normal(size=(6, 12)), np.empty((6, 0)), False, triplet,
     {"margin": 1.0}),
    (losses.TripletMargin(0.3), RNG.normal(size=(6, 12)), np.empty((6, 0)), False, triplet,
     {"margin": 0.3}),
    (losses.Quantile((0.1, 0.5, 0.8)), RNG.normal(size=(6, 6)), T[:, :2], False, pinball,
     {"quantiles": (0.1, 0.5, 0.8)}),
    (losses.GaussianNll(), X[:, :4], T[:, :2], False, gaussian, {}),
    (losses.Ctc(), PATHS, SEQUENCES, False, ctc, {}),
    (losses.Ctc(), 100 * PATHS, SEQUENCES, False, ctc, {}),
    (losses.Ctc(3), PATHS, 3 - SEQUENCES, False, ctc, {"blank": 3}),
    (losses.Ctc(zero_infinity=True), PATHS[:, :4], TOO_LONG, False, ctc, {"zero_infinity": True}),
    (losses.Ctc(), PATHS[:, :1], SEQUENCES[[3, 4, 3, 4, 3, 4]][:, :1], False, ctc, {}),
    (losses.Value(), X, np.empty((6, 0)), False, value, {}),
]  # fmt: skip


def of_peer(request, function, y, t, options):
    """Return the value and the gradient of a peer."""
    torch = request.getfixturevalue("torch")
    leaf, target = torch.tensor(y, requires_grad=True), torch.tensor(t)
    options = {name: one for name, one in options.items() if name not in ("kinks", "normalizes")}
    if not isinstance(function, str):
        loss = function(torch, leaf, target, **options)
    elif function.startswith("keras "):
        keras = request.getfixturevalue("keras")
        name = function.removeprefix("keras ")
        loss = getattr(keras.losses, name)(target, leaf, **options).mean()
    else:
        loss = getattr(torch.nn.functional, function)(leaf, target, **options)
    loss.backward()
    return loss.item(), leaf.grad.numpy()


def name_of_case(case):
    """Return the name of a case, which is the same in each process."""
    loss, *_, function, _ = case
    return f"{loss} {getattr(function, '__name__', function)}"[:80]


def full_name(function):
    """Return the full name of a peer's function, or one of those above."""
    if not isinstance(function, str):
        return function
    library, _, name = function.rpartition(" ")
    return f"keras.losses.{name}" if library else f"torch.nn.functional.{name}"


@pytest.mark.parametrize("case", CASES, ids=name_of_case)
def test_a_loss_is_that_of_another_library(request, case):
    loss, y, t, logits, function, options = case
    expected, gradient = of_peer(request, function, y.copy(), t.copy(), options)
    with warnings.catch_warnings(action="error"), np.errstate(over="raise", invalid="raise"):
        found, backward = (loss.forward_logits if logits else loss.forward)(y, t)
        dy = backward()
    if options.get("normalizes"):  # Keras divides by the sum, to which the gradient is orthogonal
        dy = dy - np.sum(dy * y, axis=-1, keepdims=True)
    gradients = [] if options.get("kinks") else [(dy, gradient)]
    compare(loss, full_name(function), [(found, expected)], gradients, rtol=1e-9)


@pytest.mark.parametrize("case", CASES, ids=name_of_case)
def test_weights_of_rows_weigh_the_losses_that_another_library_has_for_each(request, case):
    loss, y, t, logits, function, options = case
    found = loss.per_example(y, t, logits=logits)
    rows = [slice(row, row + 1) for row in range(len(y))]
    each = [of_peer(request, function, y[row], t[row], options)[0] for row in rows]
    np.testing.assert_allclose(found, each, rtol=1e-10, atol=1e-12)


def test_every_built_in_loss_is_compared():
    require_all("loss", {name_of(case[0]) for case in CASES})
