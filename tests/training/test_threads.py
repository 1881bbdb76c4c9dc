"""Results have the same bits on any number of threads, in one run and through a kill."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import nnreg
from nnreg._utils.threads import blas_threads
from nnreg.errors import NnregWarning
from nnreg.testing.threads import (
    COMPONENTS,
    LARGE,
    LARGE_COMPONENTS,
    SMALL,
    THREADS,
    digest,
    trained,
)

LONG = {"dense 1024-2048-2048-1000", *LARGE_COMPONENTS}
TRAININGS = {**SMALL, **LARGE, **COMPONENTS, **LARGE_COMPONENTS}

any_training = pytest.mark.parametrize(
    "name", [pytest.param(one, marks=[pytest.mark.slow] * (one in LONG)) for one in TRAININGS]
)


@any_training
def test_the_number_of_threads_changes_no_bit_of_a_training(name):
    assert len({trained(TRAININGS[name], None, count) for count in THREADS}) == 1


@any_training
def test_nor_does_it_if_a_training_continues_in_mid_epoch_on_another_number(name, tmp_path):
    training = TRAININGS[name]
    model = training.model(threads=1)
    trainer = training.trainer(model)
    for threads in (2, 3, 4):  # a step on each
        with blas_threads(threads - 1), closing(trainer.iterate(lambda: True)) as steps:
            next(steps)
        nnreg.save(model, tmp_path / f"{threads}.h5")
        model = nnreg.load(tmp_path / f"{threads}.h5", overrides=[f"train.threads={threads}"])
        trainer = training.trainer(model)
    with blas_threads(4):
        assert len(list(trainer.epochs())) >= 1
        found = digest(trainer)
    assert found == trained(training, None, 1)


def test_some_of_these_trainings_are_divided_or_reproducible_by_default():
    found = {}
    for name, training in TRAININGS.items():
        trainer = training.trainer(training.model())
        found[name] = trainer.shards
        assert trainer.reproducible
    assert found["convolution with batch norm, divided by default"] == 4
    assert found["transformer with large products"] == 8
    assert found["dense 784-512-256-10"] == 2


def test_an_epoch_that_was_begun_with_another_number_of_shards_continues_with_a_note(
    monkeypatch, tmp_path
):
    """Earlier versions divided batches by the number of threads."""
    monkeypatch.setattr("nnreg.training.parallelism.MIN_ACTIVATIONS_FOR_SHARDING", 0)
    training = SMALL["dense"]
    with monkeypatch.context() as earlier:
        earlier.setattr("nnreg.training.parallelism.MAX_SHARDS", 2)
        model = training.model()
        with closing(training.trainer(model).iterate(lambda: True)) as steps:
            next(steps)
        nnreg.save(model, tmp_path / "stopped.h5")
    model = nnreg.load(tmp_path / "stopped.h5")
    trainer = training.trainer(model)
    assert trainer.shards == 4
    with pytest.warns(NnregWarning, match="begun with 2 shards per batch, and continues with 4"):
        list(trainer.epochs())
    assert model.training_state.epoch == 2


KILLED = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    from nnreg._utils.threads import blas_threads
    from nnreg.runs.run import prepare_resume, prepare_run

    spec, out, threads, last = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    changes = [f"train.threads={threads}"]
    with blas_threads(threads):
        if (Path(out) / "checkpoints/last.h5").exists():
            run = prepare_resume(out, overrides=changes)
        else:
            run = prepare_run(spec, out=out, overrides=changes)
        step = run._trainer._step

        def killed(*position):
            if run.model.training_state.step == last:
                os.kill(os.getpid(), signal.SIGKILL)
            step(*position)

        run._trainer._step = killed
        run.train()
""")


@pytest.mark.slow
def test_a_killed_run_continues_on_another_number_of_threads_with_the_same_bits(tmp_path):
    training = SMALL["convolution with batch norm"]
    x, y = training.data
    np.savez(tmp_path / "data.npz", x=x, y=y)
    spec = training.spec | {
        "data": {"source": "npz", "path": "data.npz", "inputs": ["x"], "target": "y",
                 "split": {"validation": 0.25}},
        "checkpoint": {"every_steps": 1},
    }  # fmt: skip
    spec["train"] |= {"epochs": 5, "kernels": "numpy"}
    (tmp_path / "spec.json").write_text(json.dumps(spec))

    def run(out, threads, last):
        command = [sys.executable, "-c", KILLED, "spec.json", out, str(threads), str(last)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == (0 if last < 0 else -signal.SIGKILL), done.stderr
        assert done.stderr == ""

    run("whole", 1, -1)
    for threads, last in ((1, 1), (2, 3), (4, 8), (3, -1)):
        run("killed", threads, last)
    for name in ("metrics.jsonl", "gradients.jsonl"):
        found, expected = (Path(tmp_path, one, name).read_text() for one in ("killed", "whole"))
        assert found == expected
    found, expected = (
        nnreg.load(tmp_path / one / "checkpoints/last.h5") for one in ("killed", "whole")
    )
    assert found.network.vector.tobytes() == expected.network.vector.tobytes()
    assert found.environment == expected.environment
    results = [
        json.loads((tmp_path / one / "summary.json").read_text()) for one in ("killed", "whole")
    ]
    for result in results:
        del result["seconds"], result["threads"]
    assert results[0] == results[1]
