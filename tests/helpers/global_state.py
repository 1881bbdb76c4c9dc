"""What a test could leave behind for the tests after it in the same process."""

import os
import signal
import sys
import threading

import numpy as np

import nnreg._utils.hdf5  # noqa: F401 - sets an environment variable when it is first imported
from nnreg.registry.registry import installed

SIGNALS = [signal.SIGINT, signal.SIGTERM]


def global_state():
    """Return the state that is shared by all tests of a process, by subject."""
    environment = {**os.environ, "PYTEST_CURRENT_TEST": ""}
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
