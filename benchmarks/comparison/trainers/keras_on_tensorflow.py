"""Keras on TensorFlow, its default backend: `fit`, `save`, `load_model`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.peers import RATE
from benchmarks.peers.keras_on_jax import layers
from benchmarks.workloads import Workload

os.environ["KERAS_BACKEND"] = "tensorflow"
import keras


def train(
    workload: Workload,
    x: np.ndarray,
    y: np.ndarray,
    epochs: int,
    checkpoint: Path | None,
    on_epoch: Callable[[], None],
) -> list[np.ndarray]:
    """Train with one `fit`; the checkpoint has the optimizer and its `initial_epoch` a name."""
    keras.utils.set_random_seed(0)
    saved = sorted(checkpoint.glob("*.keras")) if checkpoint else []
    network = keras.models.load_model(saved[0]) if saved else compiled(workload)
    network.fit(
        x,
        y,
        batch_size=workload.batch,
        initial_epoch=int(saved[0].stem) if saved else 0,
        epochs=epochs,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: on_epoch())],
        verbose=0,
    )
    if checkpoint:
        network.save(checkpoint / f"{epochs}.keras")
    return [np.asarray(weight) for weight in network.get_weights()]


def compiled(workload: Workload) -> keras.Model:
    """Return the network of a workload, ready to train."""
    inputs = keras.Input(workload.shape)
    outputs = keras.layers.Dense(workload.classes)(layers(keras, inputs, workload.layers))
    network = keras.Model(inputs, outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(RATE), loss)
    return network
