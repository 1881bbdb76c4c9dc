"""Arrays that do not fit the model."""

from __future__ import annotations

import numpy as np

from tests.security.harness import attack, restated, void


@attack("'parameters/more' is not an array of this model")
def an_extra_array(path):
    restated(path, lambda d, a: a.update({"parameters/more": np.zeros(3, np.float32)}))


@attack("'parameters/layers/0/bias' is missing")
def a_missing_array(path):
    restated(path, lambda d, a: void(a.pop("parameters/layers/0/bias")))


@attack(r"the spec requires float32 \(3, 4\)")
def an_array_of_another_shape(path):
    restated(
        path, lambda d, a: a.update({"parameters/layers/0/weight": np.zeros((4, 3), np.float32)})
    )


@attack("is float64")
def an_array_of_another_type(path):
    restated(path, lambda d, a: a.update({"parameters/layers/0/weight": np.zeros((3, 4))}))


@attack("5 of the 12 values of 'parameters/layers/0/weight' are not finite")
def weights_that_are_not_numbers(path):
    restated(path, lambda d, a: a["parameters/layers/0/weight"].reshape(-1)[:5].fill(np.nan))


@attack("of 'state/layers/1/running_variance' are not finite")
def an_infinite_state(path):
    restated(path, lambda d, a: a["state/layers/1/running_variance"].fill(np.inf))


@attack("'history' has a value that 'history_measured' lacks")
def a_history_that_was_not_measured(path):
    restated(path, lambda d, a: a.update(history_measured=np.zeros(a["history"].shape, "u1")))


@attack(r"'history_measured' is uint8 \(1,\); the spec requires uint8 \(2, ")
def measured_of_another_shape(path):
    restated(path, lambda d, a: a.update(history_measured=np.ones(1, "u1")))


@attack("does not number its epochs")
def a_history_of_nothing(path):
    restated(path, lambda d, a: a["history"].fill(np.inf))
