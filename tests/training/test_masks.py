"""Padded sequences in training: the loss and the gradients are those of the real steps."""

import sys

import numpy as np
import pytest

from nnreg import Padded
from nnreg._utils.threads import ThreadPool
from nnreg.builtin.losses import Huber, MeanSquaredError, Value
from nnreg.builtin.metrics import MeanAbsoluteErrorMetric
from nnreg.interfaces import Context, Workspace
from nnreg.interfaces.graph import EntryKeys
from nnreg.interfaces.layer import LayerEntry
from nnreg.tables.named import NamedArrays
from nnreg.testing.strict_arrays import StrictWorkspace, as_strict, unwrap
from nnreg.training import evaluation as evaluation_module
from nnreg.training import gradient as gradient_module
from nnreg.training.epoch import EpochTotals, mean_loss
from nnreg.training.evaluation import Examples
from nnreg.training.gradient import Batch, DataParallelGradient, losses_of
from nnreg.training.outputs import OutputEvaluation, SeveralEvaluation
from nnreg.training.replay import Replay
from nnreg.training.state import EpochState
from tests.helpers.masked import (
    MeanOfSteps,
    PerStep,
    evaluation_of,
    network_of,
    sequences,
    with_values_at_masked_steps,
)

X = sequences()
T = X.with_points(np.random.default_rng(1).normal(size=(X.lengths.sum(), 3)))
TAGGER = [PerStep(4), PerStep(3)]
POOLED = [PerStep(4), MeanOfSteps(), PerStep(3)]
ROWS = np.arange(len(X))


def exact(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def loss_and_gradient(network, evaluation, x, t, weights=None, threads=1, size=99):
    """Return the loss of a step over all rows, and its gradient, in batches of `size`."""
    points, rows = evaluation.points(t), np.arange(len(x))
    pool = ThreadPool(threads)
    gradient = DataParallelGradient(
        network, evaluation, threads, pool, threads, several=size < len(x)
    )
    shards = []
    with pool.open():
        for found in gradient.batches(Batch(x, t, weights, points), rows, size):
            shards += found
    return mean_loss(shards), gradient.gradient.copy()


def alone(network, evaluation, x, t, weights=None):
    """Return the loss and the gradient as sums over each sequence alone, without padding."""
    loss, gradient = 0.0, 0.0
    for row in range(len(x)):
        length = int(x.lengths[row])
        if not length and evaluation.masked:
            continue
        one = Padded(x.values[row : row + 1, :length], [length])
        truth = (
            Padded(t.values[row : row + 1, :length], [length])
            if evaluation.masked
            else t[row : row + 1]
        )
        share = length / t.lengths.sum() if evaluation.masked else 1 / len(x)
        share *= 1 if weights is None else weights[row]
        own_loss, own_gradient = loss_and_gradient(network, evaluation, one, truth)
        loss, gradient = loss + share * own_loss, gradient + share * own_gradient
    return loss, gradient


def of_steps():
    return network_of(TAGGER), evaluation_of(), T


def of_rows():
    return network_of(POOLED), evaluation_of(masked=False), T.values[:, 0] + 1.0


BOTH = pytest.mark.parametrize("case", [of_steps, of_rows])


@BOTH
def test_a_padded_batch_has_the_loss_and_the_gradients_of_each_sequence_alone(case):
    network, evaluation, t = case()
    expected_loss, expected = alone(network, evaluation, X, t)
    assert np.abs(expected).max() > 0.01
    loss, gradient = loss_and_gradient(network, evaluation, X, t)
    exact(loss, expected_loss)
    exact(gradient, expected)


@BOTH
def test_neither_the_width_of_the_padding_nor_values_at_masked_steps_matter(case):
    network, evaluation, t = case()
    expected_loss, expected = loss_and_gradient(network, evaluation, X, t)
    for x in (X.resized(20), with_values_at_masked_steps(X), with_values_at_masked_steps(X, -7.0)):
        truth = t.resized(x.steps) if evaluation.masked else t
        loss, gradient = loss_and_gradient(network, evaluation, x, truth)
        exact(loss, expected_loss)
        exact(gradient, expected)


@BOTH
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("threads", "size"), [(2, 99), (4, 99), (1, 2), (2, 5)])
def test_shards_and_accumulated_batches_count_by_their_real_points(case, weighted, threads, size):
    network, evaluation, t = case()
    weights = np.random.default_rng(2).uniform(0, 2, len(X)) if weighted else None
    expected_loss, expected = alone(network, evaluation, X, t, weights)
    loss, gradient = loss_and_gradient(network, evaluation, X, t, weights, threads, size)
    exact(loss, expected_loss)
    exact(gradient, expected)


@BOTH
def test_microbatches_count_by_their_real_points(case, monkeypatch):
    network, evaluation, t = case()
    expected_loss, expected = alone(network, evaluation, X, t)
    monkeypatch.setattr(gradient_module, "microbatch_size", lambda *_: 2)
    loss, gradient = loss_and_gradient(network, evaluation, X, t)
    exact(loss, expected_loss)
    exact(gradient, expected)


@pytest.fixture(name="three_outputs")
def fixture_three_outputs():
    """Return a network whose outputs are per step, per row, and per step without a target."""
    layers = [
        LayerEntry(PerStep(4), EntryKeys(name="low")),
        LayerEntry(PerStep(3), EntryKeys(name="tags")),
        LayerEntry(MeanOfSteps(), EntryKeys(name="mean", inputs="low")),
        LayerEntry(PerStep(1), EntryKeys(name="size", inputs="low")),
    ]
    shapes = {"tags": (6, 3), "mean": (4,), "size": (6, 1)}
    network = network_of(layers, outputs=shapes)
    parts = {
        "tags": OutputEvaluation(
            evaluation_of(error=MeanAbsoluteErrorMetric()), shapes["tags"], 0.7, True
        ),
        "mean": OutputEvaluation(
            evaluation_of(masked=False, loss=Huber()), shapes["mean"], 1.3, True
        ),
        "size": OutputEvaluation(evaluation_of(loss=Value()), shapes["size"], 0.2, False),
    }
    t = NamedArrays(
        {
            "tags": T,
            "mean": np.random.default_rng(3).normal(size=(len(X), 4)),
            "size": Padded(np.empty((len(X), 6, 0)), X.lengths),
        }
    )
    return network, SeveralEvaluation(parts), t


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("threads", "size"), [(1, 99), (2, 99), (4, 99), (1, 2), (2, 5)])
def test_each_of_several_outputs_counts_by_its_own_points(three_outputs, weighted, threads, size):
    network, evaluation, t = three_outputs
    weights = np.random.default_rng(2).uniform(0, 2, len(X)) if weighted else None
    assert network.output_masks == {"tags": "input", "mean": None, "size": "input"}
    expected_loss, expected = 0.0, 0.0
    points = evaluation.points(t)
    for row in ROWS:
        one, truth = X[row : row + 1], t[row : row + 1]
        for index in range(3):
            scale = np.zeros(3)
            scale[index] = points[row, index] / points[:, index].sum()
            scale *= 1 if weights is None else weights[row]
            vector = np.zeros_like(network.vector)
            context = network.context(network.workspace(reuse=False), vector)
            z, backward = network.forward(one, context)
            losses, loss_backward = evaluation.losses_of(z, truth, context)
            backward(loss_backward(scale))
            expected_loss += losses[index] * scale[index]
            expected = expected + vector
    loss, gradient = loss_and_gradient(network, evaluation, X, t, weights, threads, size)
    exact(loss, expected_loss)
    exact(gradient, expected)


@pytest.mark.parametrize("split", [[9], [4, 5], [1, 1, 7]])
def test_the_loss_of_an_epoch_is_the_mean_over_its_real_points(three_outputs, split):
    for network, evaluation, t in (of_steps(), three_outputs):
        points = evaluation.points(t)
        totals = EpochTotals(EpochState(len(X)), None, points)
        expected, _ = loss_and_gradient(network, evaluation, X, t)
        gradient = DataParallelGradient(network, evaluation, 1, ThreadPool(1))
        for rows in np.split(ROWS, np.cumsum(split)[:-1]):
            for shards in gradient.batches(Batch(X, t, None, points), rows, 99):
                totals.add(shards)
        exact(totals.loss / len(X), expected)


def test_evaluation_is_over_real_points(three_outputs):
    network, evaluation, t = three_outputs
    raw = NamedArrays({"tags": t["tags"], "mean": t["mean"]})
    found = evaluation.evaluate(network, Examples(X, t, raw))
    expected, _ = loss_and_gradient(network, evaluation, X, t)
    exact(found["loss"], expected)
    y = network.predict(X)["tags"][X.mask]
    exact(found["tags_error"], np.mean(np.abs(y - T.points)))
    wide = Examples(with_values_at_masked_steps(X), t, raw)
    assert evaluation.evaluate(network, wide) == found


@BOTH
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_a_set_is_evaluated_in_parts_whose_mean_is_its_loss(case, rows, monkeypatch):
    network, evaluation, t = case()
    expected, _ = loss_and_gradient(network, evaluation, X, t)
    z, sizes, loss_of = network.logits(X), [], evaluation.loss_of
    monkeypatch.setattr(evaluation_module, "EVALUATED_VALUES", rows * z[0].size)
    monkeypatch.setattr(
        evaluation, "loss_of", lambda z, *rest: sizes.append(len(z)) or loss_of(z, *rest)
    )
    exact(evaluation.whole_loss(z, t, network), expected)
    assert sizes == [rows] * (len(X) // rows) + [len(X) % rows] * (len(X) % rows > 0)


def test_a_batch_without_real_steps_has_no_loss_and_no_gradient():
    network, evaluation, t = of_steps()
    empty = X[np.array([0, 0])]
    loss, gradient = loss_and_gradient(network, evaluation, empty, t[np.array([0, 0])])
    assert loss == 0
    assert not gradient.any()


def test_a_loss_of_whole_sequences_may_override_forward_masked():
    class LastStepError(MeanSquaredError):
        independent = False

        def forward_masked(self, y, t, mask, context, *, logits):
            rows = np.flatnonzero(mask.any(axis=1))
            last = mask.sum(axis=1)[rows] - 1
            loss, backward_fn = self.forward(y[rows, last], t[rows, last])

            def backward():
                dy = np.zeros_like(y)
                dy[rows, last] = backward_fn()
                return dy

            return loss, backward

    network = network_of(TAGGER)
    loss, _ = loss_and_gradient(network, evaluation_of(loss=LastStepError()), X, T)
    y, rows = network.predict(X), ROWS[X.lengths > 0]
    last = X.lengths[rows] - 1
    exact(loss, np.mean((y[rows, last] - T.values[rows, last]) ** 2))


def test_the_losses_of_no_output_are_summed_by_points():
    network, evaluation, t = of_steps()
    gradient = DataParallelGradient(network, evaluation, 1, ThreadPool(1))
    batch = Batch(X, t, None, evaluation.points(t))
    (first,) = [shards[0] for shards in gradient.batches(batch, ROWS[:4], 99)]
    first_losses = first.losses.copy(), first.points.copy()
    (second,) = [shards[0] for shards in gradient.batches(batch, ROWS[4:], 99)]
    losses, points = losses_of([first, second])
    assert points == X.lengths.sum()
    exact(losses, (first_losses[0] * first_losses[1] + second.losses * second.points) / points)


@pytest.mark.parametrize("size", [99, 4])
def test_a_repeated_pass_has_the_loss_of_the_real_steps(size):
    network, evaluation, t = of_steps()
    expected, _ = loss_and_gradient(network, evaluation, X, t)
    gradient = DataParallelGradient(network, evaluation, 1, ThreadPool(1), several=size < len(X))
    for worker in gradient:
        worker.workspace.rng = np.random.default_rng(0)
    replay = Replay(network, gradient, size)
    replay.begin(Batch(X, t, None, evaluation.points(t)), ROWS)
    exact(replay.run(), expected)


def test_a_chain_without_masks_makes_no_call_for_them():
    network = network_of(TAGGER, masked=())
    evaluation, called = evaluation_of(masked=False), set()
    gradient = DataParallelGradient(network, evaluation, 1, ThreadPool(1))
    steps = gradient.batches(Batch(X.values, T.values), ROWS, 99)
    sys.setprofile(lambda frame, event, argument: called.add(frame.f_code.co_name))
    try:
        shards = next(steps)
    finally:
        sys.setprofile(None)
    EpochTotals(EpochState(len(X)), None).add(shards)
    assert {"forward", "loss_of", "forward_with_workspace"} <= called
    of_masks = {"unmask", "mask", "masks", "share", "losses_of", "forward_masked", "points"}
    assert not called & of_masks


def test_a_masked_loss_works_on_another_array_type():
    mask, y = X.mask, np.zeros((*X.shape[:2], 3))
    contexts = [
        Context({}, {}, {}, {}, cls(np.float64, reuse=True)) for cls in (Workspace, StrictWorkspace)
    ]
    loss, backward = MeanSquaredError().forward_masked(y, T.values, mask, contexts[0], logits=False)
    found, strict = MeanSquaredError().forward_masked(
        as_strict(y), as_strict(T.values), mask, contexts[1], logits=False
    )
    assert float(found) == loss
    exact(unwrap(strict()), backward())


def test_points_of_different_numbers_keep_no_arrays():
    context = Context({}, {}, {}, {}, Workspace(np.float64, reuse=True))
    y = np.zeros((1, 6, 3))
    for length in range(1, 7):
        context.workspace.rewind()
        mask = np.arange(6)[None] < length
        MeanSquaredError().forward_masked(y, y + 1, mask, context, logits=False)[1]()
    assert len(context.workspace._buffers) == 1
