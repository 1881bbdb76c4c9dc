"""Print the processor time of a training step in seconds, with the nnreg that PYTHONPATH names.

It imports nothing else of the benchmarks, so that it also measures an older nnreg.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np

import nnreg

STEPS = 32
"""Steps per epoch."""


def main(spec: dict[str, Any], inputs: int, outputs: int, batch: int, seconds: float) -> None:
    """Train a spec on random numbers, and print the best of five measurements."""
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(STEPS * batch, size)).astype("f4") for size in (inputs, outputs))
    model = nnreg.build(spec, data=(x, y))

    def epochs(count: int) -> float:
        ends: list[float] = []  # the first ends after the data were prepared
        model.fit(x, y, epochs=count + 1, on_epoch=lambda _: ends.append(time.process_time()))
        return (ends[-1] - ends[0]) / (count * STEPS)

    epochs(1)
    count = max(int(seconds / (5 * STEPS * epochs(2))), 1)
    print(min(epochs(count) for _ in range(5)))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
