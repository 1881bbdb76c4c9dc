"""The best epoch of a run that has not said which one it is."""

import math

from nnreg.training.history import best_epoch


def best(*losses):
    return best_epoch([{"epoch": e, "val_loss": loss} for e, loss in enumerate(losses, 1)])


def test_it_is_the_first_with_the_lowest_validation_loss():
    assert best(3, 1, 2, 1) == 2


def test_losses_that_are_not_finite_are_left_out():
    assert best(math.nan, 5, math.nan, 4) == 4
    assert best(math.inf, 5) == 2
    assert best(math.nan) is None


def test_without_a_validation_loss_there_is_none():
    assert best_epoch([{"epoch": 1, "loss": 1.0}]) is None
