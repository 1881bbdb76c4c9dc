"""scikit-learn's multi-layer perceptron, for dense networks."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peers import Job
from benchmarks.workloads import Workload


class ScikitLearn:
    """`MLPClassifier`, trained by one pass over the examples per call."""

    def train(self, workload: Workload) -> Job:
        """Train with `partial_fit`."""
        network = self._network(workload)
        x, y = workload.examples()
        classes = np.arange(workload.classes)
        return lambda: network.partial_fit(x, y, classes=classes)

    def predict(self, workload: Workload, rows: int) -> Job:
        """Predict with `predict_proba`."""
        network = self._network(workload)
        network.partial_fit(*workload.examples(), classes=np.arange(workload.classes))
        x, _ = workload.examples(rows)
        return lambda: network.predict_proba(x)

    def _network(self, workload: Workload) -> Any:
        from sklearn.neural_network import MLPClassifier

        if not workload.dense:
            raise NotImplementedError("only dense networks are supported")
        hidden = tuple(layer["units"] for layer in workload.layers)
        return MLPClassifier(
            hidden_layer_sizes=hidden, batch_size=workload.batch, alpha=0, shuffle=False
        )
