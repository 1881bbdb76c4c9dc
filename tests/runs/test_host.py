"""A program that uses nnreg finds its own state as it was: what is global belongs to the host."""

import subprocess
import sys

import pytest

from tests.helpers.specs import CSV

HOST = """
# NumPy adds filters of warnings when it is imported.
import gc, locale, logging, os, random, signal, sys, threading, warnings

def of_python():
    root = logging.getLogger()
    return {
        "environment": dict(os.environ),
        "signal handlers": {n: signal.getsignal(n) for n in signal.valid_signals()},
        "warnings": [[one for one in warnings.filters if "numpy" not in repr(one)],
                     warnings.showwarning, warnings.formatwarning],
        "logging": [root.level, list(root.handlers), logging.root.manager.disable],
        "random state": random.getstate(),
        "locale": locale.setlocale(locale.LC_ALL),
        "working directory": os.getcwd(),
        "path": [list(sys.path), list(sys.path_hooks), list(sys.meta_path)],
        "threads": threading.enumerate(),
        "streams": [sys.stdin, sys.stdout, sys.stderr, sys.stdout.encoding, sys.stdout.errors],
        "hooks": [sys.excepthook, sys.displayhook, threading.excepthook, sys.unraisablehook],
        "limits": [sys.getrecursionlimit(), sys.getswitchinterval(), gc.isenabled(),
                   gc.get_threshold(), sys.get_int_max_str_digits()],
        "umask": [os.umask(0o22), os.umask(0o22)][1],
        "files": {os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")
                  if os.path.exists(f"/proc/self/fd/{n}")},
    }

def of_libraries():
    import h5py, threadpoolctl
    import numpy as np
    return {
        "numpy": [np.geterr(), np.geterrcall(), np.get_printoptions(), np.getbufsize()],
        "numpy's random state": repr(np.random.get_state()),
        "BLAS threads": [one["num_threads"] for one in threadpoolctl.threadpool_info()],
        "HDF5 plugins": [h5py.h5pl.get(n) for n in range(h5py.h5pl.size())],
    }

def changed(before, after):
    return {name: (before[name], after[name]) for name in before if before[name] != after[name]}

if "early" in sys.argv:  # the host uses the same libraries
    import h5py, numpy, pydantic, rich.console, threadpoolctl
    numpy.random.seed(3)
before = of_python()
import nnreg
assert not (found := changed(before, of_python())), ("import nnreg", found)
if "early" not in sys.argv:
    import h5py, numpy, pydantic, rich.console, threadpoolctl
    before = of_python()
libraries = of_libraries()

def use(name, function):
    result = function()
    found = changed(before, of_python()) | changed(libraries, of_libraries())
    assert not found, (name, found)
    return result

ROWS = {"island": ["north"], "length": ["1.0"], "depth": ["5.2"]}
spec = use("propose", lambda: nnreg.propose("data.csv", "species").tree)
spec["train"] = {"epochs": 3, "threads": 2, "early_stopping": {"patience": 2}}
model = use("run", lambda: nnreg.run(spec, out="out"))
use("save", lambda: nnreg.save(model, "model.h5"))
model = use("load", lambda: nnreg.load("model.h5"))
use("predict", lambda: model.predict(ROWS))
use("report", lambda: nnreg.report("out"))
use("resume", lambda: nnreg.resume("out", overrides=["train.epochs=4"]))
import h5py
with h5py.File("data.h5", "w") as file:
    file["x"], file["y"] = numpy.arange(40.0).reshape(20, 2), numpy.arange(20.0)
other = {
    "data": {"source": "hdf5", "path": "data.h5", "inputs": ["x"], "target": "y"},
    "model": {"layers": [{"type": "dense", "units": 1}]},
    "loss": "huber", "optimizer": "sgd", "train": {"epochs": 2},
}
use("run on HDF5", lambda: nnreg.run(other))
try:
    use("failed load", lambda: nnreg.load("data.csv"))
except nnreg.CheckpointError:
    pass
found = changed(before, of_python()) | changed(libraries, of_libraries())
assert not found, found
import subprocess
child = [sys.executable, "-c", "import os; print(sorted(os.environ))"]
inherited = subprocess.run(child, check=True, capture_output=True, text=True).stdout
assert inherited.strip() == str(sorted(before["environment"]))
"""


@pytest.mark.parametrize("when", ["early", "late"])
def test_a_host_program_finds_its_own_state_as_it_was(tmp_path, when):
    (tmp_path / "data.csv").write_text(CSV + CSV.split("\n", 1)[1] * 4)
    (tmp_path / "host.py").write_text(HOST)
    command = [sys.executable, "host.py", when]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
