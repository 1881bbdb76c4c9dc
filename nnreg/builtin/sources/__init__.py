"""The data sources that come with nnreg, one file a family of formats."""

from nnreg.builtin.sources.arrays import Hdf5, Npz
from nnreg.builtin.sources.delimited import Csv, Tsv
from nnreg.builtin.sources.idx import Idx
from nnreg.builtin.sources.images import Images
from nnreg.builtin.sources.parquet import Parquet
from nnreg.tables.column_types import parse_number, plain
from nnreg.tables.dataframes import columns_of_arrow

__all__ = [
    "Csv",
    "Hdf5",
    "Idx",
    "Images",
    "Npz",
    "Parquet",
    "Tsv",
    "columns_of_arrow",
    "parse_number",
    "plain",
]
