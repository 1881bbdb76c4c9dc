"""What every kind of network must do: have the right gradients, save, resume and copy."""

import pickle

import numpy as np

import nnreg
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from nnreg.testing.finite_differences import STEP

MAX_PARAMETERS = 300
"""The most parameters whose gradients are compared, for the time that it takes."""


def require_gradients_of_loss(model, x, y):
    """Require the gradients of the loss to be those of central differences."""
    _, gradients = model.gradients(x, y)
    found, vector = (
        np.concatenate([one.ravel() for one in gradients.values()]),
        model.network.vector,
    )
    count = min(MAX_PARAMETERS, len(vector))
    some = np.random.default_rng(0).choice(len(vector), count, replace=False)
    expected = np.zeros(count)
    for index, parameter in enumerate(some):
        before, losses = vector[parameter], []
        for change in (STEP, -STEP):
            vector[parameter] = before + change
            losses.append(model.gradients(x, y)[0])
        vector[parameter] = before
        expected[index] = (losses[0] - losses[1]) / (2 * STEP)
    np.testing.assert_allclose(found[some], expected, atol=1e-7 * max(1, np.abs(found).max()))


def require_saved_and_resumed(spec, data, directory):
    """Require a saved half of a training to predict and to continue as if it had not been saved."""
    x, y = data
    whole, half = (
        nnreg.run({**spec, "train": {**spec["train"], "epochs": epochs}}, data=data)
        for epochs in (4, 2)
    )
    nnreg.save(half, directory / "half.h5")
    loaded = nnreg.load(directory / "half.h5")
    for other in (loaded, pickle.loads(pickle.dumps(half))):
        _require_same(other.predict(x), half.predict(x))
    loaded.fit(x, y, epochs=2)
    np.testing.assert_array_equal(loaded.network.vector, whole.network.vector)
    assert loaded.history.records == whole.history.records


def _require_same(found, expected):
    """Require the same predictions, of one output or of several."""
    if not isinstance(expected, dict):
        found, expected = {"": found}, {"": expected}
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def require_resumed_in_mid_epoch(spec, batches):
    """Require a training of the data of a spec that stops after some batches to resume the same."""
    whole = nnreg.run(spec)
    prepared = prepare_from_spec(read_spec(spec))
    segments = prepared.model.trainer(prepared.train, prepared.validation).iterate(lambda: True)
    for _ in range(batches):
        next(segments)
    segments.close()
    nnreg.save(prepared.model, "half.h5")
    resumed = nnreg.resume("half.h5")
    assert list(resumed.history) == list(whole.history)
    assert resumed.network.vector.tobytes() == whole.network.vector.tobytes()
