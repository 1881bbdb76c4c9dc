"""The operations that a computation in NumPy consists of, recorded to be written elsewhere."""

from nnreg.operations import numpy_functions as numpy_functions  # records the calls of NumPy's
