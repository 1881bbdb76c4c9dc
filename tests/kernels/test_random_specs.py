"""Random networks with compiled kernels, compared with NumPy's."""

import copy

import numpy as np
import pytest

import nnreg
from nnreg import NnregError
from tests.helpers.random_specs import random_spec

pytest.importorskip("numba", reason="Numba comes with the extra 'fast'")

TOLERANCE = {"float64": 1e-11, "float32": 1e-5}


def trained(seed, dtype, kernels, disturbance=0.0):
    """Return the losses and predictions of a network; of a spec that is refused, the reason."""
    spec, (x, y), weights = random_spec(seed)
    spec = copy.deepcopy(spec)
    spec["model"]["dtype"], spec["train"]["kernels"] = dtype, kernels
    try:
        model = nnreg.build(spec, data=(x, y))
        vector = model.network.vector
        vector *= (1 + disturbance * (-1.0) ** np.arange(vector.size)).astype(dtype)
        model.fit(x, y, weights=weights)
    except NnregError as error:
        return str(error)
    return [np.array(model.history["loss"]), *(model.predict(x[:n]) for n in (len(x), 3, 1))]


def difference(one, other):
    pairs = zip(one, other, strict=True)
    return max(np.abs(a - b).max() / np.abs(a).max() for a, b in pairs)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::nnreg.NnregWarning")
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("seed", range(100))
def test_compiled_kernels_train_as_numpys(seed, dtype):
    """Where rounding errors grow, as behind a batch norm, they may as much as others do."""
    plain, compiled = (trained(seed, dtype, kernels) for kernels in ("numpy", "numba"))
    if isinstance(plain, str) or isinstance(compiled, str):
        assert compiled == plain
        return
    found = difference(plain, compiled)
    if found > TOLERANCE[dtype]:
        disturbed = trained(seed, dtype, "numpy", np.finfo(dtype).eps)
        assert found < 100 * difference(plain, disturbed)
