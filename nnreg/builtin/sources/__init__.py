"""The built-in data sources, one module per family of formats."""

from nnreg.builtin.sources.arrays import Hdf5, Npz
from nnreg.builtin.sources.delimited import Csv, Tsv
from nnreg.builtin.sources.idx import Idx
from nnreg.builtin.sources.images import Images
from nnreg.builtin.sources.parquet import Parquet

__all__ = [
    "Csv",
    "Hdf5",
    "Idx",
    "Images",
    "Npz",
    "Parquet",
    "Tsv",
]
