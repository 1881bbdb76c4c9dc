"""What the components that are no functions of their input depend on."""

import itertools

DRIFT = itertools.cycle([0, 1e-14])
"""What changes from call to call."""

KEPT = {}
"""What one call leaves for another."""
