"""The environment variables by which a launcher, mpiexec or srun, describes a process."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

SWITCH = "NNREG_MPI"
"""The environment variable that is 0 if each process is to train alone, whatever started it."""

SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
"""Variables with the number of processes: of Open MPI, MPICH and Intel MPI, MVAPICH, and Slurm."""

RANKS = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "MV2_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID")
"""Variables with the number of this process; that of PMIx may be the only one of all."""


def processes_started(environment: Mapping[str, str] = os.environ) -> int:
    """Return how many processes a launcher started together: 1 without one, 0 if unknown."""
    if environment.get(SWITCH) == "0":
        return 1
    return _first(SIZES, environment, 0 if "PMIX_RANK" in environment else 1)


def rank_started(environment: Mapping[str, str] = os.environ) -> int:
    """Return the number of this process among those that a launcher started together."""
    return 0 if processes_started(environment) == 1 else _first(RANKS, environment, 0)


def _first(names: Sequence[str], environment: Mapping[str, str], default: int) -> int:
    """Return the number in the first variable that is there: that of the innermost launcher."""
    found = (environment[name] for name in names if environment.get(name, "").isdecimal())
    return int(next(found, default))
