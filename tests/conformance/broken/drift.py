"""Global state of the components that are not functions of their input."""

import itertools

DRIFT = itertools.cycle([0, 1e-14])
"""Values that change from call to call."""

KEPT = {}
"""Values kept from one call to another."""
