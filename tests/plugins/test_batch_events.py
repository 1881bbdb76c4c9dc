"""Plugins receive the events of batches, and cost nothing otherwise."""

import numpy as np
import pytest

import nnreg
from tests.helpers.specs import regressor
from tests.helpers.work import calls
from tests.plugins.listeners import Batches, Recorder, Stopping

DATA = ([[float(x)] for x in range(8)], [float(2 * x) for x in range(8)])


def test_a_batch_sends_its_epoch_step_and_loss_after_the_weights_changed(listen):
    batches = Batches()
    listen(batches=batches)
    spec = regressor(train={"epochs": 2, "batch_size": 3, "shuffle": False})
    model = nnreg.run(spec, data=DATA)
    assert [(one["epoch"], one["step"]) for one in batches.records] == [
        (1, 1), (1, 2), (1, 3), (2, 4), (2, 5), (2, 6),
    ]  # fmt: skip
    for epoch, record in enumerate(model.history):
        losses = [one["loss"] for one in batches.records[3 * epoch : 3 * epoch + 3]]
        assert np.average(losses, weights=[3, 3, 2]) == pytest.approx(record["loss"], rel=1e-6)
    assert batches.weights[-1].tobytes() == model.network.vector.tobytes()
    assert len({weights.tobytes() for weights in batches.weights}) == 6


def test_accumulated_batches_are_one_with_their_mean_loss(listen):
    batches = Batches()
    listen(batches=batches)
    accumulated = {"epochs": 1, "batch_size": 2, "accumulate": 3, "shuffle": False}
    nnreg.run(regressor(train=accumulated), data=DATA)
    two, one = batches.records[:], Batches()
    listen(batches=one)
    nnreg.run(regressor(train={"epochs": 1, "batch_size": 6, "shuffle": False}), data=DATA)
    assert [record["step"] for record in two] == [1, 2]
    for ours, theirs in zip(two, one.records, strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-6)


def test_a_batch_has_the_learning_rate_of_a_schedule(listen):
    batches = Batches()
    listen(batches=batches)
    schedule = {"type": "cosine"}
    model = nnreg.run(regressor(schedule=schedule, train={"epochs": 3, "batch_size": 4}), data=DATA)
    rates = [record["learning_rate"] for record in batches.records]
    assert sorted(rates, reverse=True) == rates
    assert rates[1::2] == [record["learning_rate"] for record in model.history]


def test_the_steps_of_a_resumed_run_continue(listen, spec):
    batches = Batches()
    nnreg.run(spec, out="out", overrides=["train.epochs=2", "train.batch_size=4"])
    listen(batches=batches)
    model = nnreg.resume("out", overrides=["train.epochs=3"])
    steps = [record["step"] for record in batches.records]
    assert steps == list(range(2 * len(steps) + 1, model.training_state.step + 1))


def test_a_run_whose_plugins_ignore_batches_makes_no_more_calls_per_batch(listen):
    def counted(batch_size):
        spec = regressor(train={"epochs": 2, "batch_size": batch_size})
        nnreg.run(spec, data=DATA, check=False)  # what the first run alone does
        counts = [calls(lambda: nnreg.run(spec, data=DATA, check=False)) for _ in range(3)]
        return min(counts)  # the garbage collector may call finalizers in one of them

    listen()
    alone = [counted(size) for size in (1, 8)]
    listen(recorder=Recorder(), asked=Stopping(99))
    watched = [counted(size) for size in (1, 8)]
    assert alone[0] - alone[1] == watched[0] - watched[1] > 0
    listen(batches=Batches())
    assert counted(1) - counted(8) > alone[0] - alone[1]
