"""The same job as a spec and as a script of each library."""

import json
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from benchmarks.jobs.data import JOBS
from benchmarks.processes import ROOT, limited, python, run


def test_the_jobs_are_those_of_the_specs():
    from nnreg.spec.document import read_spec

    for name, job in JOBS.items():
        spec = read_spec(ROOT / "models" / f"{name}.json").spec
        layers = {type(layer).__name__: layer for layer in reversed(spec.model.layers)}
        assert job.validation == spec.data.split.validation
        assert job.test == spec.data.split.test
        assert spec.data.split.stratify
        assert job.hidden == layers["Dense"].units
        assert job.dropout == (layers["Dropout"].rate if "Dropout" in layers else 0)
        assert job.rate == spec.optimizer.learning_rate
        assert (job.epochs, job.batch) == (spec.train.epochs, spec.train.batch_size)
        assert job.patience == spec.train.early_stopping.patience


@pytest.mark.parametrize("name", JOBS)
def test_the_jobs_read_as_many_rows_and_features_as_nnreg(name, monkeypatch):
    from benchmarks.jobs.data import from_command_line
    from nnreg.runs.prepare import prepare_from_spec
    from nnreg.spec.document import read_spec

    monkeypatch.setattr(sys, "argv", ["job", name])
    _, *splits = from_command_line()
    prepared = prepare_from_spec(read_spec(ROOT / "models" / f"{name}.json"))
    expected = [prepared.train, prepared.validation, prepared.test]
    for (x, y), examples in zip(splits, expected, strict=True):
        assert abs(len(x) - len(examples)) <= 2
        assert x[0].size == examples.x[0].size
        assert x.dtype == np.float32
        assert np.isfinite(x).all()
        assert len(np.unique(y)) == len(np.unique(examples.targets))
    assert splits[0][0].std() == pytest.approx(prepared.train.x.std(), rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize(
    ("script", "needs"),
    [("scikit_learn", "sklearn"), ("pytorch", "torch"), ("keras_on_jax", "keras")],
)
def test_every_job_script_reaches_the_expected_accuracy(script, needs, job):
    if find_spec(needs) is None or (needs == "keras" and find_spec("jax") is None):
        pytest.skip(f"{needs} is not installed")
    outcome = json.loads(run(python("-m", f"benchmarks.jobs.{script}", job), limited(1)).output)
    assert outcome["accuracy"] >= 0.94
    assert 1 <= outcome["epochs"] <= JOBS[job].epochs
