"""A network with my_component is trained on other batches, and evaluated on the same rows."""

from typing import Any

import nnreg
import numpy as np


def test_training_batches_change_and_held_out_rows_do_not() -> None:
    x = np.random.default_rng(0).normal(size=(60, 2))
    y = np.where(x[:, 0] > x[:, 1], "right", "left")
    found = []
    for amount in (0.0, 0.5):
        spec: dict[str, Any] = {
            "model": {"layers": [{"type": "dense", "units": "classes", "activation": "softmax"}]},
            "loss": "cross_entropy",
            "optimizer": {"type": "sgd", "learning_rate": 0.1},
            "train": {
                "epochs": 20,
                "augment": {"type": "my_component", "amount": amount},
            },
        }
        model = nnreg.run(spec, data=(x, y))
        found.append((model.history[-1]["loss"], model.evaluate(x, y)["loss"]))
    (plain, plain_evaluated), (changed, evaluated) = found
    assert changed > plain
    assert evaluated < changed
    assert plain_evaluated < evaluated
