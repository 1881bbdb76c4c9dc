"""What is compiled by Numba and kept on disk."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import nnreg
from nnreg.kernels.compiling import NOTE, telling

pytest.importorskip("numba", reason="Numba comes with the extra 'fast'")

PROGRAM = """
from nnreg.kernels.numba.caller import f
print(f(2.0), sum(f.stats.cache_hits.values()))
"""

CALLER = """
from nnreg.kernels.numba.compile import compiled
from nnreg.kernels.numba.callee import g

@compiled
def f(x):
    return g(x)
"""

CALLEE = """
from nnreg.kernels.numba.compile import compiled

@compiled
def g(x):
    return x * {factor}
"""


def test_a_loop_is_compiled_again_if_one_that_it_calls_changed(tmp_path):
    shutil.copytree(Path(nnreg.__file__).parent, tmp_path / "nnreg")
    folder = tmp_path / "nnreg" / "kernels" / "numba"
    folder.joinpath("caller.py").write_text(CALLER)
    found = []
    for factor in (3, 3, 5):
        folder.joinpath("callee.py").write_text(CALLEE.format(factor=factor))
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
        environment["NUMBA_CACHE_DIR"] = str(tmp_path / "cache")
        command = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, cwd=tmp_path
        )
        found.append(done.stdout.split())
    assert found == [["6.0", "0"], ["6.0", "1"], ["10.0", "0"]]


def _doubled(x):
    return 2 * x


@pytest.fixture
def compiled_in(monkeypatch):
    from numba.core import config

    from nnreg.kernels.numba.compile import compiled

    def compile_in(folder):
        monkeypatch.setattr(config, "CACHE_DIR", str(folder))
        return compiled(_doubled)

    return compile_in


def test_a_loop_is_compiled_where_no_folder_can_be_written(compiled_in, monkeypatch):
    from numba.core import caching

    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    assert compiled_in("")(2.0) == 4


def test_a_loop_is_used_where_the_disk_is_full(compiled_in, tmp_path, monkeypatch):
    from numba.core.caching import IndexDataCacheFile

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(IndexDataCacheFile, "_save_data", fail)
    assert compiled_in(tmp_path)(2.0) == 4


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_damaged_files_of_a_loop_are_replaced(compiled_in, tmp_path, kind):
    hits = []
    for _ in range(3):
        loop = compiled_in(tmp_path)
        assert loop(2.0) == 4
        hits.append(sum(loop.stats.cache_hits.values()))
        if len(hits) == 1:
            (file,) = tmp_path.rglob(f"*.{kind}")
            file.write_bytes(b"damaged")
    assert hits == [0, 0, 1]


def test_a_listener_is_told_of_a_loop_that_is_compiled_but_not_of_one_on_disk(
    compiled_in, tmp_path
):
    notes = []
    with telling(notes.append):
        for _ in range(2):
            assert compiled_in(tmp_path)(2.0) == 4
    compiled_in(tmp_path / "other")(2.0)
    assert notes == [NOTE]
