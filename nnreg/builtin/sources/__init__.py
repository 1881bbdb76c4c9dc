"""The data sources that come with nnreg, one file a family of formats."""

from nnreg.builtin.sources.arrays import Hdf5, Npz, plain
from nnreg.builtin.sources.delimited import Csv, Tsv, number
from nnreg.builtin.sources.idx import Idx
from nnreg.builtin.sources.images import Images

__all__ = ["Csv", "Hdf5", "Idx", "Images", "Npz", "Tsv", "number", "plain"]
