"""What a test could leave behind for the tests after it in the same process."""

import os
import signal
import sys
import threading

import numpy as np

from nnreg.registry.registry import installed

BY_IMPORTS = ("KMP_", "TF2_", "TPU_", "ENABLE_RUNTIME_", "HDF5_PLUGIN_PATH", "_RJEM_", "TORCH",
              "TRITON_", "PYTORCH_")  # fmt: skip
"""The beginnings of the environment variables that scikit-learn, TensorFlow, polars and PyTorch set
when they, or parts of them, are first imported."""

SIGNALS = [signal.SIGINT, signal.SIGTERM]


def global_state():
    """Return the state that is shared by all tests of a process, by subject."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTEST_CURRENT_TEST" and not name.startswith(BY_IMPORTS)
    }
    return {
        "working directory": os.getcwd(),
        "environment": environment,
        "sys.path": list(sys.path),
        "plugins": list(installed().plugins),
        "modules of plugins": [name for name in sys.modules if name.startswith("nnreg_")],
        "signal handlers": [signal.getsignal(number) for number in SIGNALS],
        "threads": sorted(t.name for t in threading.enumerate() if t.name.startswith("nnreg")),
        "floating-point errors": np.geterr(),
        "print options": np.get_printoptions(),
    }
