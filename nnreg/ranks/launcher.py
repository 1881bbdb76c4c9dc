"""The ranks of a job, if mpiexec or srun has started this process with others."""

from __future__ import annotations

import functools
import socket

from nnreg._version import __version__
from nnreg.errors import UsageError
from nnreg.ranks.group import ALONE, Ranks
from nnreg.ranks.variables import SWITCH, processes_started

INSTALL = "pip install 'nnreg[mpi]'"


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
