"""The arrays of a checkpoint, written with plain h5py."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers import Job
from benchmarks.peers.own import Nnreg
from benchmarks.workloads import Workload


class PlainH5py:
    """h5py alone: no digest, no temporary file, no fsync."""

    def save(self, workload: Workload, directory: str) -> Job:
        """Write the arrays of a checkpoint of the same network."""
        import h5py

        import nnreg

        path = Path(directory) / "copied.h5"
        nnreg.save(Nnreg("numpy").trained(workload), path)
        arrays = {}

        def keep(name: str, item: object) -> None:
            if isinstance(item, h5py.Dataset):
                arrays[name] = item[()]

        with h5py.File(path, "r") as file:
            file.visititems(keep)

        def job() -> None:
            with h5py.File(Path(directory) / "plain.h5", "w") as file:
                for name, array in arrays.items():
                    file[name] = array

        return job
