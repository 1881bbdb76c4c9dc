"""The data sources that come with nnreg, one file a family of formats."""

from nnreg.builtin.sources.arrays import Hdf5, Npz, plain
from nnreg.builtin.sources.delimited import Csv, Tsv, number

__all__ = ["Csv", "Hdf5", "Npz", "Tsv", "number", "plain"]
