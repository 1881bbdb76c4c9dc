"""Networks whose targets are sequences of classes that are not aligned with their steps."""

import itertools

import numpy as np
import pytest

import nnreg
from nnreg import DataError, SpecError
from nnreg.builtin.losses import Ctc

RNG = np.random.default_rng(2)
CLASSES, STEPS = 3, 6
T = np.array([[1, 2], [2, 1], [1, 1], [2, 2], [1, 0], [0, 0]] * 8)


def shown(targets):
    """Return noisy steps that show the classes of each row, at places of their own."""
    x = 0.2 * RNG.normal(size=(len(targets), STEPS, CLASSES))
    for row, target in enumerate(targets):
        places = np.sort(RNG.choice([0, 2, 4], len(target), replace=False))
        x[row, places, target] += 2
        x[row, np.setdiff1d(np.arange(STEPS), places[target > 0]), 0] += 2
    return x


X = shown(T)


def spec(loss="ctc", **layer):
    return {
        "model": {"layers": [{"type": "dense", "units": CLASSES, **layer}], "dtype": "float64"},
        "loss": loss,
        "optimizer": {"type": "adam", "learning_rate": 0.1},
        "train": {"epochs": 30},
    }


def decoded(scores):
    """Return the classes of the best path without repetitions and blanks, filled up with 0."""
    best = [k for k, _ in itertools.groupby(np.argmax(scores, axis=-1))]
    found = [k for k in best if k != 0]
    return found + [0] * (T.shape[1] - len(found))


def test_a_network_learns_classes_without_their_places():
    model = nnreg.build(spec(), data=(X, T))
    model.fit(X, T, weights=np.linspace(0.5, 2, len(X)))
    assert [decoded(one) for one in model.predict(X)] == T.tolist()
    assert model.evaluate(X, T)["loss"] < 0.1


def test_the_loss_is_the_probability_of_all_paths():
    scores, target = RNG.normal(size=(4, 3)), [1, 2]
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    total = 0.0
    for path in itertools.product(range(3), repeat=4):
        merged = [k for k, _ in itertools.groupby(path) if k != 0]
        total += np.prod(p[range(4), path]) if merged == target else 0
    found, _ = Ctc().forward(scores[None], np.array([target]))
    assert found == pytest.approx(-np.log(total) / 2, rel=1e-13)


def test_a_target_without_enough_steps_is_infinite_or_counts_as_0():
    y, t = RNG.normal(size=(2, 2, 3)), np.array([[1, 1], [1, 2]])
    with np.errstate(all="raise"):
        value, backward = Ctc().forward(y, t)
        other, other_backward = Ctc(zero_infinity=True).forward(y, t)
        assert value == np.inf
        assert other == Ctc().forward(y[1:], t[1:])[0] / 2
        for one in (backward(), other_backward()):
            np.testing.assert_array_equal(one[0], 0)
            assert np.isfinite(one).all()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ([1, 3], "row 7.*: 3 is not the number of one of the 3 classes of the output"),
        ([1.5, 0], "row 7.*: 1.5 is not the number"),
        ([-1, 0], "row 7.*: -1 is not the number"),
    ],
)
def test_a_target_that_is_no_class_is_refused_with_its_row(target, message):
    t = T.astype(float)
    t[7] = target
    with pytest.raises(DataError, match=message):
        nnreg.build(spec(), data=(X, t))


def test_a_target_without_enough_steps_is_refused_with_its_row():
    with pytest.raises(DataError, match=r"row 2.*: its classes need 3 steps, with a blank between"):
        nnreg.build(spec(), data=(X[:, :2], T))
    assert nnreg.build(spec({"type": "ctc", "zero_infinity": True}), data=(X[:, :2], T))


def test_outputs_without_steps_or_without_the_blank_are_refused():
    with pytest.raises(SpecError, match=r"scores of shape \(steps, classes\)"):
        nnreg.build(spec(), data=(X[:, 0], T))
    with pytest.raises(SpecError, match="that of class 3, the blank"):
        nnreg.build(spec({"type": "ctc", "blank": 3}), data=(X, T))


def test_classes_instead_of_numbers_and_steps_of_different_number_say_what_to_do():
    with pytest.raises(SpecError, match=r'set "units" to how many numbers there are'):
        nnreg.build(spec(units="classes"), data=(X, T))
    sequences = nnreg.Padded(X, 1 + np.arange(len(X)) % STEPS)
    with pytest.raises(SpecError, match="takes sequences of one length"):
        nnreg.build(spec(), data=(sequences, T))
