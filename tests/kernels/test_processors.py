"""Compiled products on processors with other vectors, and what the cache on disk serves."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba", reason="Numba comes with the extra 'fast'")
pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
TESTS = (
    "test_chain.py",
    "test_chain_outputs.py",
    "test_direct_convolution.py",
    "test_pooled_convolution.py",
    "test_recurrent.py",
)
AVX2 = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+avx,+fma,+sse4.2"}
PLAIN = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
BYTES = "import nnreg.kernels.numba.vectors as v; print(v.VECTOR_BYTES)"
PROGRAM = """
import numpy as np
from nnreg.kernels.numba.chain_outputs import outputs
from nnreg.kernels.numba.vectors import VECTOR_BYTES

plan, x, out = np.array([[3, 2, 0, 6, 1], [0, 0, 0, 0, 0]]), np.ones((5, 3)), np.empty((5, 2))
assert outputs(plan, np.zeros(2), False, np.arange(8.0), x, out)
assert (out == [12, 16]).all()
print(VECTOR_BYTES, sum(outputs.stats.cache_hits.values()))
"""


def run(arguments, cache, processor):
    environment = {**os.environ, **processor, "NUMBA_CACHE_DIR": str(cache)}
    environment["PYTHONPATH"] = str(HERE.parent.parent)
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout.split()


@pytest.mark.parametrize(("processor", "size"), [(AVX2, "32"), (PLAIN, "16")])
def test_products_are_right_with_shorter_vectors(tmp_path, processor, size):
    assert run(["-c", BYTES], tmp_path, processor) == [size]
    tests = [str(HERE / name) for name in TESTS]
    run(["-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *tests], tmp_path, processor)


def test_what_was_compiled_is_kept_for_one_processor(tmp_path):
    own = run(["-c", PROGRAM], tmp_path, {})[0]
    assert run(["-c", PROGRAM], tmp_path, {}) == [own, "1"]
    for processor, size in ((PLAIN, "16"), (AVX2, "32")):
        assert run(["-c", PROGRAM], tmp_path, processor) == [size, "0"]
        assert run(["-c", PROGRAM], tmp_path, processor) == [size, "1"]
    assert run(["-c", PROGRAM], tmp_path, {}) == [own, "1"]
