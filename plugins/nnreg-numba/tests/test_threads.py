"""Trainings with compiled kernels have the same bits on any number of threads."""

from contextlib import closing

import pytest
from nnreg_numba import NumbaKernels

import nnreg
from nnreg.testing.threads import (
    COMPONENTS,
    LARGE,
    LARGE_COMPONENTS,
    SMALL,
    THREADS,
    digest,
    trained,
)

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
