"""Dask and Slurm give the runs that processes of this machine do."""

import os

import pytest

from nnreg.builtin.executors.processes import Processes
from nnreg.errors import SpecError, UsageError
from nnreg.sweeps import api
from tests.helpers.sweeps import UNITS, hashes, train, write_spec, write_sweep


@pytest.fixture
def sweep(tmp_path):
    write_spec(tmp_path)
    return write_sweep(tmp_path, seeds=2, grid={UNITS: [4, 6]})


@pytest.fixture
def restored_environment():
    """Undo what a scheduler of Dask sets in the environment."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]


@pytest.mark.verify
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the libraries
@pytest.mark.parametrize("on", ["dask", {"type": "slurm", "cluster": "local"}])
def test_the_runs_of_a_cluster_are_those_of_this_machine(sweep, tmp_path, on):
    train(sweep, tmp_path / "processes", jobs=2, executor=Processes())
    found = train(sweep, tmp_path / "cluster", jobs=2, executor=api.executor_of(on))
    assert [run.outcome for run in found.runs] == ["done"] * 4
    assert hashes(tmp_path / "cluster") == hashes(tmp_path / "processes")


@pytest.mark.verify
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_workers_of_a_scheduler_are_used_by_its_address(sweep, tmp_path, restored_environment):
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        executor = api.executor_of(f"dask:{cluster.scheduler_address}")
        found = train(sweep, tmp_path / "cluster", jobs=None, executor=executor)
    assert [run.outcome for run in found.runs] == ["done"] * 4


@pytest.mark.parametrize(
    ("on", "text"),
    [
        ("proceses", "no executor 'proceses'; did you mean 'processes'"),
        ("processes:4", "takes no value; write --on processes"),
        ('{"type": "slurm", "minuts": 3}', "unknown key 'minuts'; did you mean 'minutes'"),
    ],
)
def test_an_executor_that_does_not_exist_is_refused(on, text):
    with pytest.raises(UsageError if "value" in text else SpecError, match=text):
        api.executor_of(on)


@pytest.mark.parametrize("on", ["dask", "slurm:cpu"])
def test_a_missing_library_is_named_with_its_extra(on, monkeypatch):
    for module in ("dask_workers", "slurm"):
        monkeypatch.setattr(f"nnreg.builtin.executors.{module}.installed", lambda _: False)
    with pytest.raises(UsageError, match=r"pip install 'nnreg\[(dask|slurm)\]'"):
        api.executor_of(on)
