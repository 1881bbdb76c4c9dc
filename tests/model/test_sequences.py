"""Models of sequences of different lengths, from raw rows to predictions."""

import pickle

import numpy as np
import pytest

import nnreg
from nnreg import DataError, Padded, SpecError
from nnreg.errors import NnregWarning

RNG = np.random.default_rng(0)
LENGTHS = [1, 8, *RNG.integers(1, 8, 28)]
X = [RNG.normal(size=(length, 3)) for length in LENGTHS]
SUMS = [np.cumsum(x[:, 0]) for x in X]
SIGNS = [(sums > 0).astype(int) for sums in SUMS]
MEANS = np.array([x.mean() for x in X])

LSTM = {"type": "lstm", "units": 5, "sequences": True}
OUTPUT = {"type": "dense", "units": 1}
TAGGER = [LSTM, OUTPUT]
CLASSIFIER = [LSTM, {"type": "dense", "units": "classes", "activation": "softmax"}]
POOLED = [LSTM, {"type": "lstm", "units": 4}, OUTPUT]
SEVERAL = [
    {**LSTM, "name": "words"},
    {**OUTPUT, "name": "sum"},
    {"type": "lstm", "units": 4, "inputs": "words"},
    {**OUTPUT, "name": "mean"},
]
ATTENTION = [
    {"type": "dense", "units": 4, "name": "low"},
    {"type": "multi_head_attention", "heads": 2},
    {"type": "layer_norm"},
    {
        "type": "residual",
        "name": "block",
        "layers": [{"type": "dense", "units": 4, "activation": "tanh"}],
    },
    {"type": "concat", "inputs": ["block", "low"]},
    OUTPUT,
]
TWO_LOSSES = {"sum": "mean_squared_error", "mean": "huber"}
BOTH = {"sum": SUMS, "mean": MEANS}


def spec(layers=TAGGER, loss="mean_squared_error", **changes):
    return {
        "model": {"layers": layers, "dtype": "float64"},
        "loss": loss,
        "optimizer": {"type": "adam", "learning_rate": 0.02},
        "train": {"epochs": 3, "batch_size": 7},
        **changes,
    }


CASES = {
    "per step": (spec(metrics=["mean_absolute_error"]), SUMS),
    "classes per step": (spec(CLASSIFIER, "cross_entropy", metrics=["accuracy"]), SIGNS),
    "one per sequence": (spec(POOLED), MEANS),
    "several": (spec(SEVERAL, TWO_LOSSES, metrics={"sum": ["mean_absolute_error"]}), BOTH),
}
cases = pytest.mark.parametrize("case", CASES)


def same(first, second):
    """Return whether two predictions are bit-identical."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[n], second[n]) for n in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(same, first, second))
    return first.tobytes() == second.tobytes()


def test_an_output_per_step_predicts_an_array_for_each_row():
    model = nnreg.run(CASES["per step"][0], data=(X, SUMS))
    found = model.predict(X)
    assert isinstance(found, list)
    assert [one.shape for one in found] == [(length,) for length in LENGTHS]
    for row in (0, 1, 5):
        np.testing.assert_allclose(model.predict([X[row]])[0], found[row], rtol=1e-12, atol=1e-14)


def test_classes_per_step_are_lists_too():
    model = nnreg.run(CASES["classes per step"][0], data=(X, SIGNS))
    assert [one.shape for one in model.classify(X)] == [(length,) for length in LENGTHS]
    assert [one.shape for one in model.probabilities(X)] == [(length, 2) for length in LENGTHS]
    assert set(model.classify(X)[1].tolist()) <= {0, 1}
    right = np.concatenate(model.classify(X)) == np.concatenate(SIGNS)
    assert model.evaluate(X, SIGNS)["accuracy"] == pytest.approx(right.mean())


def test_each_of_several_outputs_is_a_list_or_an_array():
    model = nnreg.run(CASES["several"][0], data=(X, BOTH))
    found = model.predict(X)
    assert [one.shape for one in found["sum"]] == [(length,) for length in LENGTHS]
    assert found["mean"].shape == (len(X),)
    metrics = model.evaluate(X, BOTH)
    errors = np.concatenate(found["sum"]) - np.concatenate(SUMS)
    assert metrics["sum_loss"] == pytest.approx(np.mean(errors**2))
    assert metrics["sum_mean_absolute_error"] == pytest.approx(np.mean(np.abs(errors)))


@cases
def test_lists_and_padded_arrays_are_the_same_data(case):
    def padded(values):
        if isinstance(values, dict):
            return {name: padded(one) for name, one in values.items()}
        return Padded.of(values) if isinstance(values, list) else values

    document, y = CASES[case]
    lists = nnreg.run(document, data=(X, y))
    wide = nnreg.run(document, data=(padded(X).resized(12), padded(y)))
    assert list(lists.history) == list(wide.history)
    assert same(lists.predict(X), wide.predict(padded(X)))
    assert lists.evaluate(X, y) == wide.evaluate(padded(X).resized(20), padded(y))
    lists.fit(
        X,
        y,
        epochs=1,
        validation=(X[:4], {n: v[:4] for n, v in y.items()} if isinstance(y, dict) else y[:4]),
    )
    assert np.isfinite(lists.history[-1]["val_loss"])


@cases
def test_the_loss_of_the_history_is_that_of_the_steps(case):
    document, y = CASES[case]
    document = {**document, "optimizer": {"type": "sgd", "learning_rate": 1e-300}}
    model = nnreg.run(document, data=(X, y))
    expected = model.evaluate(X, y)
    for name, value in expected.items():
        assert model.history[-1][name] == pytest.approx(value, rel=1e-12), name


@cases
def test_a_saved_model_predicts_the_same_and_resumes_bit_identically(case, tmp_path):
    document, y = CASES[case]
    whole = nnreg.run(document, data=(X, y))
    model = nnreg.build(document, data=(X, y))
    trainer = model.trainer(model.examples(X, y))
    steps = trainer.iterate(lambda: True)
    for _ in range(7):  # in the second epoch, of which two steps are done
        next(steps)
    steps.close()
    assert model.training_state.epoch_state.seen == 14
    nnreg.save(model, tmp_path / "half.h5")
    loaded = nnreg.load(tmp_path / "half.h5")
    assert same(loaded.predict(X), model.predict(X))
    for _ in loaded.trainer(loaded.examples(X, y)).epochs():
        pass
    assert loaded.network.vector.tobytes() == whole.network.vector.tobytes()
    assert list(loaded.history) == list(whole.history)
    copy = pickle.loads(pickle.dumps(loaded))
    assert same(copy.predict(X), whole.predict(X))


def test_targets_are_as_many_as_the_steps():
    model = nnreg.build(CASES["per step"][0], data=(X, SUMS))
    wrong = [*SUMS[:3], SUMS[3][:-1], *SUMS[4:]]
    text = f"row 3: {len(wrong[3])} targets for a sequence of {LENGTHS[3]} steps"
    with pytest.raises(DataError, match=text):
        model.evaluate(X, wrong)
    with pytest.raises(DataError, match=text):
        nnreg.build(CASES["per step"][0], data=(X, wrong))


def test_a_target_of_another_kind_than_the_output_is_refused():
    with pytest.raises(SpecError, match=r"layers\[2\]: the target has a value for each step"):
        nnreg.build(spec(POOLED), data=(X, SUMS))
    with pytest.raises(SpecError, match=r"layers\[1\]: the network gives an output for each step"):
        nnreg.build(spec(), data=(X, MEANS))


def test_longer_sequences_than_in_training_are_taken_where_no_layer_has_that_many_weights():
    long = RNG.normal(size=(30, 3))
    assert nnreg.run(spec(), data=(X, SUMS)).predict([long, X[0]])[0].shape == (30,)
    assert nnreg.run(spec(POOLED), data=(X, MEANS)).predict([long, X[0]]).shape == (2,)
    members = nnreg.build(
        {**spec(POOLED), "model": {"layers": POOLED, "members": 2}}, data=(X, MEANS)
    )
    assert members.predict([long, X[0]]).shape == (2,)
    model = nnreg.run(spec(), data=(X, SUMS))
    longer = [long, *X], [long[:, 0], *SUMS]
    model.fit(X, SUMS, validation=longer, epochs=1)
    shown = model.evaluate(*longer)["loss"]
    errors = np.concatenate(model.predict(longer[0])) - np.concatenate(longer[1])
    assert shown == pytest.approx(np.mean(errors**2), rel=1e-12)
    assert model.history[-1]["val_loss"] == pytest.approx(shown, rel=1e-12)
    with pytest.raises(DataError, match="up to 30 steps, but the model was built for 8; build a"):
        model.fit(*longer)
    pooled = nnreg.run(spec(POOLED), data=(X, MEANS))
    pooled.fit([long, *X], [0.0, *MEANS], epochs=1)
    assert np.isfinite(pooled.history[-1]["loss"])


@pytest.mark.parametrize(
    ("document", "y", "why"),
    [
        (spec([{"type": "add_position"}, *TAGGER]), SUMS, "layers/0/position has the shape"),
        (CASES["several"][0], BOTH, "the outputs have as many steps"),
    ],
)
def test_longer_sequences_are_refused_where_a_layer_has_as_many_weights(document, y, why):
    model = nnreg.build(document, data=(X, y))
    long = RNG.normal(size=(9, 3))
    with pytest.raises(DataError, match=rf"row 1: a sequence of 9 steps, but .* has 8, and {why}"):
        model.predict([X[0], long])


def test_the_row_of_a_prediction_that_is_not_finite_is_named():
    model = nnreg.build(spec(), data=(X, SUMS))
    model.parameters["layers/1/weight"][...] = np.nan
    with pytest.raises(DataError, match="row 1: the prediction is not finite"):
        model.predict(Padded(np.ones((2, 3, 3)), [0, 2]))


def test_a_sequence_without_steps_has_no_prediction_per_step():
    with pytest.warns(NnregWarning, match="a sequence without steps"):
        model = nnreg.run(spec(), data=([*X, np.empty((0, 3))], [*SUMS, np.empty(0)]))
    assert model.predict([X[0], np.empty((0, 3))])[1].shape == (0,)
    empty = Padded(np.empty((2, 1, 3)), [0, 0])
    assert [one.shape for one in model.predict(empty)] == [(0,), (0,)]
    with pytest.raises(DataError, match="all sequences are empty; nothing can"):
        model.evaluate(empty, Padded(np.empty((2, 1)), [0, 0]))


def test_no_rows_have_no_predictions():
    model = nnreg.build(spec(), data=(X, SUMS))
    assert model.predict(Padded(np.empty((0, 4, 3)), np.empty(0, int))) == []


def gradient_of(document, x, y, weights=None):
    """Return the weights after one step of gradient descent on all rows."""
    train = {"epochs": 1, "batch_size": 200, "shuffle": False}
    document = {**document, "optimizer": {"type": "sgd", "learning_rate": 0.1}, "train": train}
    model = nnreg.build(document, data=(x, y))
    before = model.network.vector.copy()
    model.fit(x, y, weights=weights)
    return model.network.vector - before, model.history[-1]["loss"]


def test_the_weight_of_a_row_is_that_of_each_of_its_steps():
    weights = np.where(np.arange(len(X)) % 3, 1, 2)
    again = [row for row, weight in enumerate(weights) for _ in range(weight)]
    found, loss = gradient_of(spec(), X, SUMS, weights)
    expected, other = gradient_of(spec(), [X[r] for r in again], [SUMS[r] for r in again])
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    assert loss == pytest.approx(other, rel=1e-10)


def test_class_weights_are_those_of_each_step():
    data = {"source": "csv", "path": "unread.csv", "target": "target", "scaling": "none"}
    weights = {"class_weights": {"0": 1.0, "1": 3.0}}
    document = {
        **CASES["classes per step"][0],
        "optimizer": {"type": "sgd", "learning_rate": 1e-300},
    }
    plain, weighted = (
        nnreg.build({**document, "data": data | more}, data=(X, SIGNS)) for more in ({}, weights)
    )
    examples = weighted.with_sample_weights(weighted.examples(X, SIGNS), X)
    steps = np.concatenate(SIGNS)
    each = np.where(steps, 3.0, 1.0)
    np.testing.assert_allclose(examples.weights.points, each / each.mean(), rtol=1e-12)
    losses = -np.log(np.concatenate(plain.probabilities(X))[np.arange(len(steps)), steps])
    record = next(weighted.trainer(examples, epochs=1).epochs())
    assert record["loss"] == pytest.approx(np.sum(each * losses) / each.sum(), rel=1e-10)


def test_summary_and_representation_show_sequences():
    model = nnreg.build(CASES["several"][0], data=(X, BOTH))
    assert "(batch, 8, 5)" in model.summary()
    assert "layers/words" in model._repr_html_()


@pytest.mark.parametrize(
    ("document", "y"),
    [*CASES.values(), (spec(ATTENTION), SUMS)],
    ids=[*CASES, "attention"],
)
def test_gradients_equal_central_differences(document, y):
    model = nnreg.build(document, data=(X, y))
    _, gradients = model.gradients(X, y)
    vector, rng = model.network.vector, np.random.default_rng(0)
    flat = np.concatenate([gradients[name].reshape(-1) for name in model.network.params])
    before = vector.copy()
    for _ in range(3):
        direction = rng.normal(size=vector.shape)
        direction /= np.linalg.norm(direction)
        losses = []
        for step in (1e-5, -1e-5):
            vector[...] = before + step * direction
            losses.append(model.evaluate(X, y)["loss"])
        vector[...] = before
        assert (losses[0] - losses[1]) / 2e-5 == pytest.approx(flat @ direction, rel=1e-7, abs=1e-8)
