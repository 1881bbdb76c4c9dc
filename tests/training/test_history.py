"""The best epoch of a run that has not said which one it is."""

import math

import numpy as np
import pytest

from nnreg.training.history import History, best_epoch, records, table
from nnreg.training.monitor import Monitor


def best(*losses):
    return best_epoch([{"epoch": e, "val_loss": loss} for e, loss in enumerate(losses, 1)])


def test_it_is_the_first_with_the_lowest_validation_loss():
    assert best(3, 1, 2, 1) == 2


def test_losses_that_are_not_finite_are_left_out():
    assert best(math.nan, 5, math.nan, 4) == 4
    assert best(math.inf, 5) == 2


@pytest.mark.parametrize(
    "losses",
    [(), (1,), (3, 1, 2, 1), (math.nan, 5, math.nan, 4), (math.inf, 5), (math.nan,),
     (math.nan, math.inf), (math.inf, -math.inf)],
)  # fmt: skip
def test_it_is_that_whose_weights_training_keeps(losses):
    monitor = Monitor("val_loss")
    monitor.follow({"epoch": epoch, "val_loss": loss} for epoch, loss in enumerate(losses, 1))
    assert best(*losses) == (monitor.best_epoch or None)


def test_of_losses_that_are_all_not_finite_the_first_is_the_best():
    assert best(math.nan, math.inf) == 1
    records = [{"epoch": n, "loss": 1.0 / n, "val_loss": math.nan} for n in (1, 2)]
    assert History(records).svg("nan").startswith("<svg")


def test_without_a_validation_loss_there_is_none():
    assert best_epoch([{"epoch": 1, "loss": 1.0}]) is None


@pytest.mark.parametrize(
    ("rows", "ambiguous"),
    [
        ([], False),
        ([{"epoch": 1}], False),
        ([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}], False),
        ([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25, "new": 1.0}], False),
        ([{"loss": 0.5, "epoch": 1}, {"epoch": 2, "loss": math.nan}], True),
        ([{"epoch": 1, "loss": math.nan}, {"epoch": 2, "loss": 0.25, "new": 1.0}], True),
    ],
)
def test_a_table_has_the_records(rows, ambiguous):
    names = History(rows).names
    values, measured = table(names, rows)
    assert (values.shape, values.dtype) == ((len(rows), len(names)), np.float64)
    assert (measured is not None) == ambiguous
    np.testing.assert_equal(records(names, values, measured), rows)
