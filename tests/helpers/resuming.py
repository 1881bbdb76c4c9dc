"""A training that is resumed beside one that is not."""

import numpy as np

import nnreg


def require_identical_bits(spec, directory, *overrides):
    """Require the same bits after two epochs and two resumed ones as after four."""
    for out, epochs in (("whole", 4), ("half", 2)):
        nnreg.run(spec, out=directory / out, overrides=[*overrides, f"train.epochs={epochs}"])
    nnreg.resume(directory / "half", overrides=["train.epochs=4"])
    whole, resumed = (
        nnreg.load(directory / out / "checkpoints/last.h5") for out in ("whole", "half")
    )
    np.testing.assert_array_equal(resumed.network.vector, whole.network.vector)
    assert list(resumed.history) == list(whole.history)
