"""Whether this process was started with others, by mpiexec or srun, to train with them."""

from __future__ import annotations

import functools
import os
import socket
from collections.abc import Mapping

from nnreg._version import __version__
from nnreg.errors import UsageError
from nnreg.ranks.group import ALONE, Ranks

SWITCH = "NNREG_MPI"
"""The environment variable that is 0 if each process is to train alone, whatever started it."""

SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
"""Variables with the number of processes: of Open MPI, MPICH and Intel MPI, MVAPICH, and Slurm."""

RANKS = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "MV2_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID")
"""Variables with the number of this process; that of PMIx may be the only one of all."""

INSTALL = "pip install 'nnreg[mpi]'"


def processes_started(environment: Mapping[str, str] = os.environ) -> int:
    """Return how many processes a launcher started together: 1 without one, 0 if unknown."""
    if environment.get(SWITCH) == "0":
        return 1
    sizes = [int(environment[name]) for name in SIZES if environment.get(name, "").isdecimal()]
    if sizes:
        return max(sizes)
    return 0 if "PMIX_RANK" in environment else 1


def rank_started(environment: Mapping[str, str] = os.environ) -> int:
    """Return the number of this process among those that a launcher started together."""
    if processes_started(environment) == 1:
        return 0
    found = [int(environment[name]) for name in RANKS if environment.get(name, "").isdecimal()]
    return max(found, default=0)


@functools.cache
def launched_ranks() -> Ranks:
    """Return the ranks that a launcher started; `ALONE` without a launcher.

    Raises `UsageError` if there are several and they cannot communicate.
    """
    count = processes_started()
    if count == 1:
        return ALONE
    started = f"{count} processes were" if count else "this process was"
    where = f"{started} started together, by mpiexec or srun"
    alone = f"or set {SWITCH}=0 to train in each process alone"
    try:
        from mpi4py import MPI
    except ModuleNotFoundError as error:
        problem = f"{where}, and training needs mpi4py to share the work"
        raise UsageError(f"{problem}: {INSTALL}; {alone}") from error
    except (ImportError, RuntimeError) as error:
        text = f"{where}, but mpi4py cannot load an MPI library: {error}"
        raise UsageError(f"{text}; install that of the cluster, or: pip install mpich") from error
    from nnreg.ranks.mpi import MpiRanks

    world = MPI.COMM_WORLD
    if count and world.size != count:
        library = MPI.Get_library_version().split("\n")[0].strip("\0 ")
        raise UsageError(
            f"{where}, but MPI connects {world.size} of them: the launcher belongs to another MPI "
            f"than the library of mpi4py ({library}); use the mpiexec of that library, or srun "
            f"with the --mpi that it needs, {alone}"
        )
    if world.size == 1:
        return ALONE
    versions = world.allgather((socket.gethostname(), __version__))
    if len({version for _, version in versions}) > 1:
        found = ", ".join(f"{v} on rank {rank} ({h})" for rank, (h, v) in enumerate(versions))
        raise UsageError(f"the processes have different versions of nnreg: {found}; install one")
    return MpiRanks(world.Dup())
