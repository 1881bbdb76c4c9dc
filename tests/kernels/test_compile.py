"""What is compiled by Numba and kept on disk."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import nnreg

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
