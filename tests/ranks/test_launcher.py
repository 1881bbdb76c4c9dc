"""Whether a process was started with others to train with them."""

import sys
from contextlib import contextmanager

import pytest

from nnreg.errors import UsageError
from nnreg.ranks.group import ALONE, Ranks
from nnreg.ranks.launcher import launched_ranks
from nnreg.ranks.variables import RANKS, SIZES, processes_started, rank_started
from nnreg.sweeps.directory import DIGEST, SWEEP

LAUNCHERS = {
    "MPICH": {"PMI_RANK": "3", "PMI_SIZE": "4"},
    "Open MPI": {"OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_SIZE": "4", "PMIX_RANK": "3"},
    "MVAPICH": {"MV2_COMM_WORLD_RANK": "3", "MV2_COMM_WORLD_SIZE": "4"},
    "srun": {"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4", "PMIX_RANK": "3"},
}


@pytest.fixture
def variables(monkeypatch):
    """Set the variables of a launcher, and no others."""

    def change(**values):
        for name in (*SIZES, *RANKS, "NNREG_MPI"):
            monkeypatch.delenv(name, raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        launched_ranks.cache_clear()

    yield change
    launched_ranks.cache_clear()


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_the_variables_of_a_launcher_have_the_number_and_the_rank(launcher):
    assert processes_started(LAUNCHERS[launcher]) == 4
    assert rank_started(LAUNCHERS[launcher]) == 3


def test_mpiexec_counts_rather_than_the_step_of_slurm_in_which_it_runs():
    step = {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2"}
    assert processes_started(step | LAUNCHERS["MPICH"]) == 4
    assert rank_started(step | {"PMI_RANK": "0", "PMI_SIZE": "4"}) == 0


def test_of_pmix_alone_the_number_is_unknown():
    assert processes_started({"PMIX_RANK": "1"}) == 0
    assert rank_started({"PMIX_RANK": "1"}) == 1


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"PMI_RANK": "0", "PMI_SIZE": "1"},
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "4"},  # a script of sbatch, before any srun
        {"PMI_RANK": "3", "PMI_SIZE": "4", "NNREG_MPI": "0"},
    ],
)
def test_other_processes_are_alone(environment):
    assert processes_started(environment) == 1
    assert rank_started(environment) == 0


def test_a_process_alone_imports_no_mpi(variables, monkeypatch):
    variables()
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    assert launched_ranks() is ALONE


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_without_mpi4py_several_are_refused_with_what_to_install(variables, monkeypatch, launcher):
    variables(**LAUNCHERS[launcher])
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(UsageError, match=r"4 processes .* pip install 'nnreg\[mpi\]'"):
        launched_ranks()


def test_then_only_the_first_one_prints(variables, monkeypatch, nnreg):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    for rank, printed in (("0", True), ("1", False)):
        variables(PMI_RANK=rank, PMI_SIZE="2")
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", sys.stdout)
            patch.setattr(sys, "stderr", sys.stderr)
            code, _, err = nnreg("run", "spec.json")
            if not printed:
                sys.stdout.close()
        assert code == 2
        assert bool(err) == printed


class Recording(Ranks):
    """A single rank that records the errors which several would raise together."""

    def __init__(self):
        self.raised = []

    @contextmanager
    def together(self):
        try:
            yield
        except BaseException as error:
            self.raised.append(type(error).__name__)
            raise


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (("run", "none.json"), "UsageError"),
        (("run", "spec.json", "--plugin", "none.py"), "UsageError"),
        (("run", "spec.json", "--plugin", "."), "PluginError"),
        (("resume", "none", "--plugin", "none.py"), "UsageError"),
        (("resume", "none"), "CheckpointError"),
        (("resume", "sweep"), "UsageError"),
    ],
)
def test_a_file_that_one_rank_cannot_read_is_an_error_of_all(
    nnreg, tmp_path, monkeypatch, command, error
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / SWEEP).write_text(f'{{"{DIGEST}": ""}}')
    ranks = Recording()
    monkeypatch.setattr("nnreg.ranks.launcher.launched_ranks", lambda: ranks)
    nnreg(*command)
    assert ranks.raised == [error]
