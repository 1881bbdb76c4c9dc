"""A small data file that becomes large is refused before it takes the memory, from any source."""

import importlib.util
import json
import re
import subprocess
import sys

import numpy as np
import pytest

from nnreg.data.loading import read_table
from nnreg.errors import DataError
from nnreg.interfaces.source import Source
from nnreg.tables.table import Table
from tests.helpers.paths import ROOT
from tests.security.data_bombs import BOMBS, MEMORY

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="measures memory as on Linux")


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_a_file_that_becomes_large_is_refused_before_it_takes_the_memory(tmp_path, name):
    if name.endswith(".parquet") and importlib.util.find_spec("pyarrow") is None:
        pytest.skip("pyarrow is not installed")
    write, message = BOMBS[name]
    file = tmp_path / name
    write(file)
    assert file.stat().st_size < 10 * 10**6
    done = subprocess.run(
        [sys.executable, "-m", "tests.security.data_bombs", file],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["message"].startswith(str(file) if message else "")
    assert re.search(message or "^$", outcome["message"]), outcome["message"]
    assert "allow_pickle" not in outcome["message"]
    assert outcome["grown"] < 0.6 * MEMORY


@pytest.mark.parametrize("chunked", [False, True])
def test_the_table_of_a_plugins_source_counts_too(tmp_path, monkeypatch, chunked):
    class Zeros(Source):
        def read(self, path):
            return Table({"x": np.zeros(10_000), "y": np.full(10_000, "a", object)})

        def iter_chunks(self, path, text=()):
            yield from [self.read(path)] * (20 if chunked else 1)

    monkeypatch.setattr("nnreg._utils.memory.memory_limit", lambda: 300_000)
    with pytest.raises(DataError, match=r"a\.bin, its .*, more than half of the 300 kB"):
        read_table(Zeros(), tmp_path / "a.bin")
    monkeypatch.setattr("nnreg._utils.memory.memory_limit", lambda: 10**8)
    assert len(read_table(Zeros(), tmp_path / "a.bin")) >= 10_000
