"""Loops that were just compiled compute the same bits as those loaded from the disk."""

import importlib
import os
import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest

pytest.importorskip("numba", reason="Numba comes with the extra 'fast'")

PROGRAM = """
import hashlib
import numpy as np
import nnreg
from nnreg.builtin.kernels.numba import NumbaKernels
from nnreg.provenance.kernel_outputs import OUTPUTS
from tests.helpers.specs import classifier

def show(name, *arrays):
    print(name, hashlib.sha256(b"".join(np.asarray(one).tobytes() for one in arrays)).hexdigest())

for dtype in (np.float32, np.float64):
    for name, outputs in OUTPUTS.items():
        show(name, *outputs(NumbaKernels(), dtype))

dense = {"type": "dense", "units": 16, "activation": "tanh"}
norms = [{"type": "batch_norm"}, {"type": "layer_norm"}, {"type": "rms_norm"}]
scores = {"type": "dense", "units": "classes", "activation": "softmax"}
NETWORKS = {
    "chain": ((12,), [dense, dense, scores]),
    "norms": ((12,), [dense, *norms, {"type": "dense", "units": 16, "activation": "gelu"}, scores]),
    "images": ((8, 8, 2), [
        {"type": "conv2d", "filters": 9, "kernel": 3, "padding": "same", "activation": "relu"},
        {"type": "max_pool2d", "size": 2}, {"type": "flatten"}, scores,
    ]),
    "sequences": ((7, 3), [{"type": "lstm", "units": 16}, scores]),
}
for name, (shape, layers) in NETWORKS.items():
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(90, *shape)).astype(np.float32), rng.integers(0, 10, 90)
    train = {"batch_size": 10, "epochs": 2, "kernels": "numba"}
    model = nnreg.run(classifier(model={"layers": layers}, train=train), data=(x, labels))
    show(name, model.network.vector, model.history["loss"])
"""


def modules() -> list[ModuleType]:
    import nnreg.kernels.numba as package

    names = [one.name for one in pkgutil.iter_modules(package.__path__)]
    return [importlib.import_module(f"{package.__name__}.{name}") for name in names]


def test_compiled_loops_call_only_functions_that_have_the_same_bits_in_every_copy():
    from numba.core.dispatcher import Dispatcher

    loops = [one for module in modules() for one in vars(module).values()]
    loops = [one for one in loops if isinstance(one, Dispatcher)]
    assert loops
    for loop in loops:
        function = loop.py_func
        called = [function.__globals__.get(name) for name in function.__code__.co_names]
        for one in called:
            if isinstance(one, Dispatcher):
                exact = one.targetoptions["fastmath"] is False
                inlined = one.targetoptions.get("forceinline", False)
                same = exact or (inlined and loop.targetoptions["fastmath"] is not False)
                assert same, f"{function.__name__} calls {one}; see nnreg/kernels/numba/compile.py"


@pytest.mark.slow
def test_a_process_that_compiles_loops_has_the_bits_of_one_that_loads_them(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    found = []
    for _ in range(2):
        command = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found.append(done.stdout.splitlines())
    assert found[0] == found[1]
