"""Estimates of a training from a few of its steps."""

import tracemalloc

import numpy as np
import pytest

from nnreg.runs.estimate import estimate
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from nnreg.training.evaluation import Evaluation
from nnreg.training.update import OptimizerRunner
from tests.helpers.paths import MODELS
from tests.helpers.specs import blobs, classifier, csv_data
from tests.helpers.work import Clock, CpuClock, cpu_seconds


def prepared(count=60, **changes):
    """Return a run whose steps are made one by one, also where Numba is installed."""
    changes["train"] = {"kernels": "numpy", **changes.get("train", {})}
    return prepare_from_spec(read_spec(classifier(**changes)), blobs(count))


@pytest.fixture
def clock(monkeypatch):
    """Let each training step take a second, and everything else no time."""
    clock, step = Clock(), OptimizerRunner.step

    def slow_step(own, count):
        clock.now += 1
        step(own, count)

    monkeypatch.setattr(OptimizerRunner, "step", slow_step)
    monkeypatch.setattr("nnreg.runs.estimate.time", clock)
    return clock


@pytest.mark.usefixtures("clock")
def test_the_time_is_that_of_all_epochs():
    found = estimate(prepared(train={"epochs": 40, "batch_size": 8}), seconds=50)
    assert (found.epochs, found.epoch_steps) == (40, 8)
    assert found.steps > 8
    assert found.seconds == 40 * found.epoch_seconds > 0


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("rows", [3, 30, 3000], ids=["one step", "many epochs", "not even one"])
@pytest.mark.parametrize("seconds", [0, 1, 40])
def test_epochs_shorter_and_longer_than_the_time_are_estimated_exactly(rows, seconds):
    found = estimate(prepared(rows, train={"epochs": 7, "batch_size": 4}), seconds)
    assert found.epoch_seconds == pytest.approx(rows / 4, abs=1)
    assert found.seconds == 7 * found.epoch_seconds


def test_validation_is_part_of_an_epoch(monkeypatch, clock):
    def evaluate(own, network, examples, **how):
        clock.now += len(examples)
        return {"loss": 1.0, "accuracy": 1.0}

    monkeypatch.setattr(Evaluation, "evaluate", evaluate)
    for rows, steps in ((60, 8), (30_000, 3750)):
        run = prepared(rows, train={"batch_size": 4}, data=halved())
        assert estimate(run, 40).epoch_seconds == pytest.approx(steps + rows / 2, rel=0.02)


def halved():
    return csv_data(split={"validation": 0.5})


def test_early_stopping_does_not_end_the_steps():
    stopping = {"patience": 1, "monitor": "loss", "min_delta": 1e9}
    found = estimate(prepared(train={"epochs": 500, "early_stopping": stopping}), seconds=0.05)
    assert found.epochs == 500


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "diabetes", "digits_conv"])
def test_the_estimated_time_is_close_to_the_actual_one(name, monkeypatch):
    monkeypatch.setattr("nnreg.runs.estimate.time", CpuClock)
    spec, ratios = [MODELS / f"{name}.json", ["train.early_stopping=null"]], []
    for _ in range(5):  # others use the processor's caches too
        estimated = estimate(prepare_from_spec(read_spec(*spec))).seconds
        run = prepare_from_spec(read_spec(*spec))
        epochs = run.model.trainer(run.train, run.validation).epochs()
        ratios.append(estimated / cpu_seconds(list, epochs))
        if 0.67 < ratios[-1] < 1.5:
            return
    pytest.fail(f"ratios of the estimated to the actual time: {ratios}")


def test_the_estimated_memory_is_close_to_the_actual_one():
    spec = [MODELS / "digits_conv.json", ["train.epochs=1"]]
    estimated = estimate(prepare_from_spec(read_spec(*spec)), seconds=0.05).memory
    run = prepare_from_spec(read_spec(*spec))
    values = run.model.network.vector.nbytes + run.model.network.state_vector.nbytes
    tracemalloc.start()
    for _ in run.model.trainer(run.train, run.validation).epochs():
        pass
    actual = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert estimated["parameters"] == values
    assert estimated["optimizer"] == 2 * values
    total = sum(estimated.values()) - estimated["data"] - values
    assert total == pytest.approx(actual, rel=0.3)


def test_memory_tracing_that_was_on_stays_on():
    tracemalloc.start()
    try:
        estimate(prepared(), seconds=0.01)
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()


def test_the_data_count_as_the_network_takes_them():
    run = prepared()
    found = estimate(run, seconds=0.01).memory["data"]
    assert found == run.train.x.nbytes + run.train.targets.nbytes
    assert run.train.x.dtype == np.float32
