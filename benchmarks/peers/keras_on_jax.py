"""Keras with the JAX backend."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from benchmarks.peers import RATE, Job, predictions
from benchmarks.workloads import Workload

IMAGES = 100
"""Images predicted at once: the fastest of 100, 250, 1,000 and 10,000."""


class KerasOnJax:
    """Keras with `fit`, one epoch per call, and `predict_on_batch`."""

    def train(self, workload: Workload) -> Job:
        """Train with `fit`."""
        keras, network = self._network(workload)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        network.compile(keras.optimizers.Adam(RATE), loss)
        x, y = workload.examples()

        def job() -> None:
            network.fit(x, y, batch_size=workload.batch, epochs=1, shuffle=False, verbose=0)

        return job

    def predict(self, workload: Workload, rows: int) -> Job:
        """Predict with `predict_on_batch`, which is compiled; calling the model is not."""
        keras, network = self._network(workload)
        network = keras.Model(network.inputs, keras.layers.Softmax()(network.output))
        network.compile()
        x, _ = workload.examples(rows)
        chunks = workload.chunks(x, IMAGES)
        return predictions(network.predict_on_batch, chunks)

    def _network(self, workload: Workload) -> tuple[Any, Any]:
        os.environ["KERAS_BACKEND"] = "jax"
        import keras

        keras.utils.set_random_seed(0)
        if workload.members > 1:
            raise NotImplementedError("it has no ensembles")
        inputs = keras.Input(workload.shape, dtype="int32" if workload.vocabulary else "float32")
        outputs = layers(keras, inputs, workload.layers)
        return keras, keras.Model(inputs, keras.layers.Dense(workload.classes)(outputs))


def layers(keras: Any, x: Any, described: Any) -> Any:
    """Return the output of layers that are described as nnreg describes them."""
    of = keras.layers
    for layer in described:
        functions = {"identity": None, "gelu": partial(keras.activations.gelu, approximate=True)}
        activation = functions.get(name := layer.get("activation"), name)
        match layer["type"]:
            case "dense":
                x = of.Dense(layer["units"], activation)(x)
            case "dropout":
                x = of.Dropout(layer["rate"])(x)
            case "conv2d":
                options = {
                    "padding": layer.get("padding", "valid"),
                    "use_bias": layer.get("bias", True),
                }
                x = of.Conv2D(layer["filters"], 3, activation=activation, **options)(x)
            case "batch_norm":
                x = of.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
            case "activation":
                x = of.Activation(activation)(x)
            case "max_pool2d":
                x = of.MaxPooling2D(2)(x)
            case "flatten":
                x = of.Flatten()(x)
            case "lstm":
                x = of.LSTM(layer["units"])(x)
            case "layer_norm":
                x = of.LayerNormalization()(x)
            case "multi_head_attention":
                x = of.MultiHeadAttention(layer["heads"], x.shape[-1] // layer["heads"])(x, x)
            case "residual":
                x = of.Add()([x, layers(keras, x, layer["layers"])])
            case "embedding":
                x = of.Embedding(layer["vocabulary"], layer["units"])(x)
            case "global_average_pool":
                x = of.GlobalAveragePooling1D()(x)
    return x
