"""A filter that an HDF5 file names is not searched for on disk."""

import os
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest

from nnreg.builtin.sources.arrays import Hdf5
from nnreg.errors import DataError

UNKNOWN = 32123

LIBRARY = """
#include <stdio.h>
#include <stdlib.h>
__attribute__((constructor)) static void loaded(void) { fclose(fopen(getenv("WITNESS"), "w")); }
"""

READ = """
import sys
from pathlib import Path
from nnreg.builtin.sources.arrays import Hdf5
from nnreg.errors import DataError
if "plain" in sys.argv:
    import h5py
    try:
        h5py.File("data.h5")["x"][:]
    except OSError:
        pass
else:
    try:
        Hdf5().read(Path("data.h5"))
    except DataError as error:
        assert "'x' uses the filter 32123" in str(error), error
    else:
        raise AssertionError("read")
"""


@pytest.fixture
def file(tmp_path):
    """Write a dataset whose filter has a number that no library has registered."""
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.arange(10.0), chunks=(5,), compression="gzip")
    content = bytearray(path.read_bytes())
    at = content.find(b"deflate") - 8  # number, length of the name, flags, values; two bytes each
    assert content[at : at + 2] == b"\x01\x00"
    content[at : at + 2] = UNKNOWN.to_bytes(2, "little")
    path.write_bytes(content)
    return path


def test_data_with_a_filter_of_a_plugin_are_refused_before_they_are_read(file):
    paths = [h5py.h5pl.get(index) for index in range(h5py.h5pl.size())]
    with pytest.raises(DataError, match=r"'x' uses the filter 32123.*write the file with gzip"):
        Hdf5().read(file)
    assert [h5py.h5pl.get(index) for index in range(h5py.h5pl.size())] == paths


@pytest.mark.parametrize("options", [
    {}, {"compression": "gzip"}, {"compression": "lzf", "shuffle": True}, {"fletcher32": True},
    {"scaleoffset": 3},
], ids=str)  # fmt: skip
def test_data_with_the_filters_of_the_library_are_read(tmp_path, options):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file.create_dataset("x", data=np.arange(10.0), chunks=(5,), **options)
    assert np.array_equal(Hdf5().read(tmp_path / "data.h5").columns["x"], np.arange(10.0))


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
def test_no_library_is_loaded_for_a_filter(file, tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "library.c").write_text(LIBRARY)
    library = tmp_path / "plugins" / "libfilter.so"
    build = ["cc", "-shared", "-fPIC", "-o", library, tmp_path / "library.c"]
    subprocess.run(build, check=True)
    witness = tmp_path / "loaded"
    environment = {**os.environ, "HDF5_PLUGIN_PATH": str(library.parent), "WITNESS": str(witness)}
    environment.pop("HDF5_PLUGIN_PRELOAD", None)
    for which, loaded in (("nnreg", False), ("plain", True)):
        command = [sys.executable, "-c", READ, which]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True)
        assert witness.exists() == loaded
