"""Trainings with compiled kernels have the same bits on any number of threads."""

from contextlib import closing

import pytest

import nnreg
from nnreg._utils.threads import blas_threads
from nnreg.builtin.kernels.numba import NumbaKernels
from nnreg.runs.run import prepare_run
from nnreg.testing.threads import (
    COMPONENTS,
    LARGE,
    LARGE_COMPONENTS,
    SMALL,
    THREADS,
    Training,
    digest,
    trained,
)

pytest.importorskip("numba", reason="Numba comes with the extra 'fast'")

TRAININGS = {**SMALL, **LARGE, **COMPONENTS, **LARGE_COMPONENTS}


@pytest.mark.parametrize("name", TRAININGS)
def test_the_number_of_threads_changes_no_bit(name, tmp_path):
    training = TRAININGS[name]
    (expected,) = {trained(training, NumbaKernels(), count) for count in THREADS}
    model = training.model(kernels="numba", threads=1)
    trainer = training.trainer(model)
    for threads in (2, 3, 4):  # stopped after a step, and continued on another number
        with closing(trainer.iterate(lambda: True)) as steps:
            next(steps)
        nnreg.save(model, tmp_path / "stopped.h5")
        model = nnreg.load(tmp_path / "stopped.h5", overrides=[f"train.threads={threads}"])
        trainer = training.trainer(model)
    list(trainer.epochs())
    assert digest(trainer) == expected


PICTURES = [{"type": "conv2d", "filters": 32, "activation": "relu"}, "flatten"]
DENSE = [{"type": "dense", "units": 700, "activation": "tanh"}] * 2
PREDICTIONS = {
    "chunks": (DENSE, (1500, 60), {"reproducible": True}),
    "blocks": (DENSE, (300, 60), {"reproducible": True}),
    "blocks by default": ([{**DENSE[0], "units": 1000}] * 2, (300, 60), {}),
    "shards by default": (PICTURES, (300, 16, 16, 2), {"batch_size": 64}),
}


@pytest.mark.parametrize("name", PREDICTIONS)
def test_nor_does_it_change_one_of_predictions_and_evaluations(name):
    layers, shape, train = PREDICTIONS[name]
    training = Training(layers, shape[1:], 3, shape[0], {"epochs": 1, "batch_size": 250, **train})
    x, y = training.data
    found = set()
    for threads in THREADS:
        settings = {**training.settings, "kernels": "numba", "threads": threads}
        with blas_threads(5 - threads):
            run = prepare_run({**training.spec, "train": settings}, data=(x, y))
            model = run.train()
            assert (run.summary["kernels"], run.summary["reproducible"]) == ("numba", True)
            results = [str(run.summary["train"])]
            if model.network.reproducible:
                results += [model.predict(x).tobytes(), str(model.evaluate(x, y))]
        found.add(tuple(results))
    assert len(found) == 1
